"""The pipeline: as the API sees it, and what it publishes of uplinks."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.model import Answer, Message, Metadata, Outcome, State, StoredUplink, TelemetryRecord
from iotgw.core.ports.datasources import IDatasource
from iotgw.core.ports.journal import Entries


class IPipeline(Interface):
    """The running datasources; ``id`` is a datasource's."""

    def applied(id: str) -> Deferred[None]:
        """Fires when the changes of a datasource that are under way are done."""

    def status(id: str) -> dict[str, Any]:
        """How a datasource does, as JSON: ``{"state": "listening", …}``, ``failed`` with ``error``; ``stopped``
        where there is none."""

    def datasource_name(id: str) -> str:
        """A datasource's name; its id when it is gone."""

    def datasource(id: str) -> IDatasource | None:
        """The running datasource, or None."""

    async def reprocess(message: Message) -> State:
        """Convert a stored message again with the converter of today; its new outcome replaces the old. Raises
        NotFound when its datasource is gone."""

    async def inject(id: str, payload: bytes, metadata: Metadata) -> Answer:
        """Send an uplink through the true pipeline by hand; raises NotFound."""


class UplinkListener:
    """Hears what becomes of uplinks: a base that hears nothing. A listener overrides what it wants to hear; what it
    leaves costs nothing. Each call is one batch, in the reactor's thread, and must not raise.

    In this order: `storing`, then `stored` or `refused`, then `converted`, then `settled`. Where the disk is in
    doubt, uplinks are stored or refused without having been `storing`.
    """

    def storing(self, datasource: str, uplinks: list[StoredUplink]) -> None:
        """These uplinks of a datasource are on their way to the disk."""

    def stored(self, datasource: str, entries: Entries) -> None:
        """These uplinks of a datasource are durable."""

    def refused(self, datasource: str, entries: Entries, reason: str) -> None:
        """These uplinks of a datasource could not be stored; it is as if they had never come."""

    def converted(self, outcomes: list[Outcome]) -> None:
        """Durable uplinks are converted; the outcomes are not durable yet."""

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """These outcomes, and the records that came of them, are durable."""
