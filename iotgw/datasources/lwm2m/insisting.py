"""Hands in what nobody sends again: values in the response of a device, which CoAP itself acknowledged, and the end of a registration that no
device asked for.

Where the gateway has no room for such a message now, or a limit is used up, it waits here and is handed in again.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.model import Answer, Metadata, Status
from iotgw.core.ports.intake import IIntake

MOST_WAITING = 16 << 20
"""Bytes of the payloads that wait; what is more is lost."""
SOONEST = 1.0
"""Seconds after which a message is handed in again, at the soonest."""


class Insisting:
    """Hands in messages until they are stored."""

    def __init__(self, intake: IIntake, reactor: IReactorTime) -> None:
        self._intake = intake
        self._reactor = reactor
        self._calls: set[IDelayedCall] = set()
        self._waiting = 0
        self.lost = 0
        """Messages for which there was no room here either, and too large ones."""

    def receive(
        self, payload: bytes, metadata: Metadata, received_ms: int, stored: Callable[[], None]
    ) -> None:
        """Hand in a message that came at ``received_ms``; ``stored`` is called when it is durable, perhaps never."""

        def answered(answer: Answer) -> None:
            if answer.status not in (Status.BUSY, Status.TOO_LARGE):
                stored()
            elif answer.status is Status.BUSY and self._waiting + len(payload) <= MOST_WAITING:
                self._waiting += len(payload)
                self._calls.add(call := self._reactor.callLater(max(SOONEST, answer.retry_after), again))
                calls.append(call)
            else:
                self.lost += 1

        def again() -> None:
            self._calls.discard(calls.pop())
            self._waiting -= len(payload)
            self.receive(payload, metadata, received_ms, stored)

        calls: list[IDelayedCall] = []
        self._intake.receive(payload, metadata, answered, received_ms, listens=False)

    def stop(self) -> None:
        """Hand nothing in any more."""
        calls, self._calls, self._waiting = self._calls, set(), 0
        for call in calls:
            call.cancel()
