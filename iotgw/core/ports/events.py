"""The record of what happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Event

EventRow = tuple[int, str, str, str, str, bytes]
"""An event as it is stored: ts, tenant, source, name, type, and all of it encoded."""


class IEvents(Interface):
    """Events, the latest of them kept."""

    dropped: int = Attribute("events that were dropped because the disk was too slow")

    def emit(event: Event) -> None:
        """Record an event. Never raises; may drop events, and counts them."""

    def query(
        tenant: str,
        before: int,
        limit: int,
        source: str | None = None,
        name: str | None = None,
        type: str | None = None,
    ) -> Deferred[list[tuple[int, Event]]]:
        """``(id, event)``, newest first, with id < before (0: from the newest)."""


class IEventRows(Interface):
    """Where events are stored. Each call is made in one thread, and blocks it."""

    def open() -> Mapping[str, int]:
        """Open it. Returns how many events of each tenant are there that whoever asks has written."""

    def close() -> None:
        """Close it."""

    def write(rows: Sequence[EventRow], surplus: Sequence[tuple[str, int]]) -> None:
        """Add events, and remove so many of these tenants' oldest ones. Raises Unavailable where it may be tried again, with these rows first."""

    def forget_tenant(tenant: str) -> int:
        """Remove a tenant's events; returns how many."""

    def select(
        tenant: str, before: int, limit: int, source: str | None, name: str | None, type: str | None
    ) -> list[tuple[int, bytes]]:
        """``(id, encoded)``; see `IEvents.query`."""
