"""The messages of a connection whose first may say what the later ones are: each follows when the one before is answered.

A login packet names the device; what comes behind it names nobody. A converter that reads the login states facts of the
connection, which later messages carry in their metadata. So a message is handed to the gateway when the one before it has been
converted. Messages of other connections don't wait.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

from iotgw.core.model import Answer, Metadata
from iotgw.core.ports.intake import IIntake, Reply
from iotgw.core.session_facts import merged
from iotgw.datasources.feed import Feed

Waiting = tuple[bytes, Metadata, Reply]


class FollowUp:
    """Hands a connection's messages to its `Feed`, with the facts that are known by then.

    ``steer()`` is called when messages begin to wait here and when none does any more: what is not read doesn't have to wait in
    memory. ``refused(reason)`` is called with facts that are too many.
    """

    def __init__(
        self,
        intake: IIntake,
        feed: Feed,
        steer: Callable[[], None],
        refused: Callable[[str], None],
    ) -> None:
        self._intake = intake
        self._feed = feed
        self._steer = steer
        self._refused = refused
        self._waiting: deque[Waiting] = deque()
        self._is_busy = False
        """Whether a message that may state facts is not answered."""
        self._is_handing_over = False
        self._was_waiting = False
        self.facts: Metadata = {}
        """What converters have stated of this connection."""

    @property
    def is_waiting(self) -> bool:
        """Whether messages wait for an earlier one."""
        return bool(self._waiting)

    def submit(self, payload: bytes, metadata: Metadata, answer: Reply) -> None:
        """Hand a message over when it is its turn. What ``metadata`` says outranks the facts."""
        if self._is_busy or self._waiting or self._intake.sets_facts:
            self._waiting.append((payload, metadata, answer))
            self._hand_over()
        elif self.facts:
            self._feed.submit(payload, {**self.facts, **metadata}, answer)
        else:
            self._feed.submit(payload, metadata, answer)

    def _hand_over(self) -> None:
        """Hand over the next message; a loop, since an answer may come at once."""
        if self._is_handing_over:
            return
        self._is_handing_over = True
        waiting = self._waiting
        while waiting and not self._is_busy:
            payload, metadata, answer = waiting.popleft()
            self._is_busy = True
            self._feed.submit(payload, {**self.facts, **metadata}, partial(self._answered, answer))
        self._is_handing_over = False
        if self.is_waiting is not self._was_waiting:
            self._was_waiting = self.is_waiting
            self._steer()

    def _answered(self, answer: Reply, said: Answer) -> None:
        self._is_busy = False
        if said.facts:
            try:
                self.facts = merged(self.facts, said.facts)
            except ValueError as error:
                self._refused(str(error))
        answer(said)
        self._hand_over()
