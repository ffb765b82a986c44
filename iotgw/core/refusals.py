"""What is turned away at a door leaves a trace: a counter for each reason, and an event for each peer, reason and minute."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime

from iotgw.core.allowance import Allowance
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.intake import Reason, Record, Severity
from iotgw.core.recorder import Recorder

MOST = 100
"""Events of one door in a minute: addresses can be forged, so one for each is not limit enough."""
_HINT = 3
_LONG = 12
"""A key of this length shows so many characters."""

NoteRefusal = Callable[[str, Reason, str, str], None]
"""See `Doors.note`."""


class Refusals:
    """The refusals at one door; ``record`` records its events. ``counts`` are by reason, since the start."""

    def __init__(self, clock: IReactorTime, record: Record) -> None:
        self._allowance = Allowance(clock, total=MOST)
        self._record = record
        self.counts: Counter[str] = Counter()

    def note(self, reason: Reason, peer: str, message: str) -> None:
        """Somebody at the address ``peer`` was turned away; ``message`` says why, and repeats no secret."""
        self.counts[reason] += 1
        hidden = self._allowance.take((peer, reason))
        if hidden is not None:
            more = f" ({hidden} more before)" if hidden else ""
            text = f"{peer or 'somebody'}: {message}{more}"
            hiding = {"more": hidden} if hidden else {}
            self._record("refused", text, "warning", peer=peer, reason=reason, **hiding)


class Doors:
    """The refusals at the gateway's listeners, of senders who named no datasource."""

    def __init__(self, recorder: Recorder, clock: IReactorTime) -> None:
        self._recorder = recorder
        self._clock = clock
        self._doors: dict[str, Refusals] = {}

    def note(self, listener: str, reason: Reason, peer: str, message: str) -> None:
        """As `Refusals.note`, at a listener: ``api``, ``coap 0.0.0.0:5683``."""
        door = self._doors.get(listener)
        if door is None:

            def record(type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
                self._recorder.note(type, "gateway", listener, message, DEFAULT_TENANT, severity, **detail)

            door = self._doors[listener] = Refusals(self._clock, record)
        door.note(reason, peer, message)

    def counts(self) -> dict[str, dict[str, int]]:
        """By listener and reason, since the start."""
        return {listener: dict(door.counts) for listener, door in self._doors.items()}


def nobody(listener: str, reason: Reason, peer: str, message: str) -> None:
    """For a listener whose refusals nobody wants to know."""


GUESSES = "; it has tried so many keys that it is not told any more which are wrong"
"""Added to what is said of an address that guesses routing keys."""


def wrong_key(key: str) -> str:
    """What is said of a routing key that nobody has. It may be nearly somebody's, so it isn't shown whole."""
    hint = f" that begins with {key[:_HINT]!r}" if len(key) >= _LONG else ""
    return f"no open datasource has this routing key, of {len(key)} characters{hint}"
