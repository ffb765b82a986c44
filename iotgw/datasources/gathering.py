"""Several messages of one request. The request is answered when all of them are, with the worst of their
answers."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from twisted.internet.defer import Deferred

from iotgw.core.model import Answer, DeviceReply, Downlink, Status

_SEVERITY = {Status.STORED: 0, Status.FAILED: 1, Status.REFUSED: 2, Status.TOO_LARGE: 3, Status.BUSY: 4}

Items = list[tuple[str, Downlink]]
"""Downlinks, each with the identity of the device that it is for."""


class Gathering:
    """The open messages of a request.

    ``done(answer, items)`` is called once, after `close` and as many calls of `answered` as of `expect`, with
    the worst answer and with all downlinks. Of several replies, it has the first.
    """

    def __init__(self, done: Callable[[Answer, Items], None]) -> None:
        self._done = done
        self._open = 1
        self._worst = Answer(Status.STORED)
        self._items: Items = []
        self._reply: DeviceReply | None = None

    def expect(self, identity: str) -> Callable[[Answer], None]:
        """Expect one more message, from this device; returns the function to call with its answer."""
        self._open += 1
        return lambda answer: self._answered(identity, answer)

    def wait_for(self, taken: Deferred[bool]) -> None:
        """Wait until something else of the request is durable, or couldn't be written (False)."""
        answered = self.expect("")
        taken.addCallback(lambda is_taken: answered(Answer(Status.STORED if is_taken else Status.BUSY)))

    def close(self) -> None:
        """No further messages will be expected."""
        self._open -= 1
        if not self._open:
            self._done(msgspec.structs.replace(self._worst, reply=self._reply), self._items)

    def _answered(self, identity: str, answer: Answer) -> None:
        said, worst = _SEVERITY[answer.status], _SEVERITY[self._worst.status]
        if said > worst or (said == worst and not self._worst.message_id):
            self._worst = answer
        self._items += [(identity, item) for item in answer.downlinks]
        self._reply = self._reply or answer.reply
        self.close()
