"""The record of what happened."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from iotgw.core.model import Event


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
