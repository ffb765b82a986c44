"""The pipeline: as the API sees it, and what it publishes about uplinks."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.model import Answer, Message, Metadata, Outcome, State, StoredUplink, TelemetryRecord
from iotgw.core.ports.datasources import IDatasource
from iotgw.core.ports.journal import Entries

CAUSES = ("journal", "integrations", "stopping", "draining")
"""Where the reason may lie why uplinks are not accepted."""


class Room(Struct, frozen=True):
    """Whether uplinks are accepted. While they aren't, they are refused to all datasources alike: ``cause`` says in which
    part of the gateway the reason lies, and ``reason`` tells it to a person. Both are empty while there is room."""

    is_open: bool = True
    cause: Literal["", "journal", "integrations", "stopping", "draining"] = ""
    reason: str = ""


class IPipeline(Interface):
    """The running datasources; ``id`` is a datasource's."""

    def room() -> Room:
        """Whether uplinks are accepted now, and why not."""

    def applied(id: str) -> Deferred[None]:
        """Fires when pending changes of a datasource have been applied."""

    def status(id: str) -> dict[str, Any]:
        """The status of a datasource, as JSON: ``{"state": "listening", …}``, ``failed`` with ``error``, or
        ``stopped`` if there is none."""

    def datasource_name(id: str) -> str:
        """A datasource's name; its id when it is gone."""

    def datasource(id: str) -> IDatasource | None:
        """The running datasource, or None."""

    async def reprocess(message: Message) -> State:
        """Convert a stored message again with the current converter; the new outcome replaces the old one.
        Raises NotFound if its datasource is gone, and Conflict if it still waits for its first conversion."""

    async def release(message: Message, device: str, is_dropped: bool) -> State:
        """What a message in quarantine says of a device counts from now on, or ``is_dropped``. Raises as `reprocess`; where the message's
        datasource was deleted, it waits no longer all the same."""

    async def inject(id: str, payload: bytes, metadata: Metadata) -> Answer:
        """Send an uplink through the real pipeline by hand; raises NotFound."""


class IArrivals(Interface):
    """What devices have sent and what comes of it, for whoever has to wait for that."""

    async def settled(tenant: str) -> None:
        """Returns when all that is stored of a tenant by now is converted, and what came of it is durable and known to every
        listener; at the latest after some seconds, whatever is missing then."""


class UplinkListener:
    """Base of listeners that are told what happens to uplinks. A listener overrides the methods that it needs;
    the others cost nothing. Each call is one batch, in the reactor's thread, and must not raise.

    The order is `storing`, then `stored` or `refused`, then `converted`, then `settled`. When the disk is
    failing, uplinks are stored or refused without `storing`.
    """

    def storing(self, datasource: str, uplinks: list[StoredUplink]) -> None:
        """These uplinks of a datasource are being written."""

    def stored(self, datasource: str, entries: Entries) -> None:
        """These uplinks of a datasource are durable."""

    def spilled(self, datasource: str, entries: Entries) -> None:
        """These uplinks of a datasource are durable beside the journal, whose database is away. They come as `stored` later."""

    def postponed(self, datasource: str, uplinks: list[StoredUplink]) -> None:
        """These, of which `storing` was told, are not in the journal. They are spilled, and come as `stored` later."""

    def refused(self, datasource: str, entries: Entries, reason: str) -> None:
        """These uplinks of a datasource could not be stored, as if they had never arrived."""

    def converted(self, outcomes: list[Outcome]) -> None:
        """Durable uplinks are converted; the outcomes are not durable yet."""

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """These outcomes and their records are durable."""
