"""What all datasources that read from a broker begin with: what they are given, what they count, what a person is told of the
connection."""

from __future__ import annotations

from collections import Counter
from typing import Any, Generic, Protocol, TypeVar

from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.frames import Gathers, held_frames
from iotgw.datasources.pulled import PulledReader
from iotgw.datasources.secret_names import is_secret_header
from iotgw.envelopes.envelope import Envelope

MOST_REASONS = 3
"""Reasons of one outage that are events."""
MOST_HEADERS = 100
"""Headers or attributes of a message that enter its metadata."""
PATIENCE = 5.0
"""Seconds that a datasource which is closed waits for what the gateway is storing."""


class ReadsAnEnvelope(Gathers, Protocol):
    """Settings that say what the messages are, and whether frames are held."""

    def envelope(self) -> Envelope:
        """What the messages are. Raises ValueError."""


S = TypeVar("S", bound=ReadsAnEnvelope)


class Contact:
    """Whether a broker answers. An outage has many reasons, which come in turn; the first few are events."""

    def __init__(self, intake: IIntake) -> None:
        self._intake = intake
        self._told: set[str] = set()
        """The reasons of this outage that were reported."""
        self.is_news = True
        """False when the datasource stops: nothing that comes then is news."""
        self.state = "connecting"
        self.error = ""

    def works(self, words: str) -> None:
        """The broker answers. ``words`` are the event's, if it didn't before."""
        if not self.is_news:
            return
        if self.state != "connected" or self.error:
            self._intake.event("connected", words)
        self.state, self.error = "connected", ""
        self._told.clear()

    def fails(self, reason: str) -> None:
        """The broker doesn't answer, or refuses us."""
        if not self.is_news:
            return
        self.state, self.error = "connecting", reason
        if reason not in self._told and len(self._told) < MOST_REASONS:
            self._told.add(reason)
            self._intake.event("failed", reason, "error")

    def ends(self) -> None:
        """The datasource has stopped."""
        self.is_news = False
        self.state = "stopped"

    def shown(self) -> dict[str, Any]:
        """What a status has of it at its end."""
        return {"lastError": self.error} if self.error else {}


class PulledSource(Generic[S]):
    """What a datasource that reads from a broker has."""

    def __init__(self, settings: S, context: DatasourceContext) -> None:
        self._settings = settings
        self._intake = context.intake
        self._intake.never_waits = True  # nobody hears the answer
        self._intake.is_shared = True
        self._clock = context.reactor
        self._counts: Counter[str] = Counter()
        envelope = settings.envelope()
        self._messages = PulledReader(context, envelope, self._counts)
        self._frames = held_frames(settings, envelope, context)
        self._hidden = {name.lower() for name in envelope.secret_headers}
        self._contact = Contact(self._intake)
        self._is_stopped = False

    def _may_show(self, header: str) -> bool:
        """Whether a header or an attribute of this name may stand in the metadata."""
        return header.lower() not in self._hidden and not is_secret_header(header)

    def _counted(self) -> dict[str, Any]:
        """What a status has of the messages at its end."""
        return {**(self._frames.status() if self._frames is not None else {}), **self._counts}

    def _paused(self) -> None:
        self._counts["paused"] += 1
