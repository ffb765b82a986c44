"""`IDebugStore` in a list."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.ports.debug import DebugEntry, IDebugStore


@implementer(IDebugStore)
class MemoryDebugStore:
    """``kept`` are the entries, each with its tenant and its message."""

    put_aside = ""

    def __init__(self) -> None:
        self.kept: list[tuple[str, str, DebugEntry]] = []

    def start(self) -> Deferred[None]:
        """See `IDebugStore.start`."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IDebugStore.stop`."""
        return succeed(None)

    def add(self, tenant: str, message_id: str, entry: DebugEntry) -> None:
        """See `IDebugStore.add`."""
        self.kept.append((tenant, message_id, entry))

    def of(self, tenant: str, message_id: str) -> Deferred[list[DebugEntry]]:
        """See `IDebugStore.of`."""
        return succeed([entry for of, id, entry in self.kept if (of, id) == (tenant, message_id)])
