"""`IEvents` in a list."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.model import Event
from iotgw.core.ports.events import IEvents


@implementer(IEvents)
class MemoryEvents:
    """All events; ``emitted`` are they, the oldest first. An event's id is its place, from 1."""

    def __init__(self) -> None:
        self.dropped = 0
        self.emitted: list[Event] = []

    @property
    def types(self) -> list[str]:
        """What happened, in order."""
        return [event.type for event in self.emitted]

    def emit(self, event: Event) -> None:
        """See `IEvents.emit`."""
        self.emitted.append(event)

    def query(
        self,
        tenant: str,
        before: int,
        limit: int,
        source: str | None = None,
        name: str | None = None,
        type: str | None = None,
    ) -> Deferred[list[tuple[int, Event]]]:
        """See `IEvents.query`."""
        found = [
            (id, event)
            for id, event in reversed(list(enumerate(self.emitted, 1)))
            if event.tenant == tenant
            and (not before or id < before)
            and source in (None, event.source)
            and name in (None, event.name)
            and type in (None, event.type)
        ]
        return succeed(found[:limit])
