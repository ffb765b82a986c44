"""`IDeviceEntries` in a dict."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.device_entry import DeviceEntry
from iotgw.core.ports.devices import IDeviceEntries


@implementer(IDeviceEntries)
class MemoryDeviceEntries:
    """Entries in memory. While `fault` is set, nothing can be written."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, str], DeviceEntry] = {}
        self.fault: Exception | None = None
        self.writes = 0
        """How many transactions there were."""

    def load(self) -> Deferred[list[DeviceEntry]]:
        """See `IDeviceEntries.load`."""
        return succeed([self.stored[key] for key in sorted(self.stored)])

    def watch(self, callback: Callable[[list[DeviceEntry], list[tuple[str, str]]], object]) -> None:
        """See `IDeviceEntries.watch`: there is no other node."""

    def write(
        self, saved: Sequence[DeviceEntry], gone: Sequence[tuple[str, str]] = (), is_made: bool = False
    ) -> Deferred[None]:
        """See `IDeviceEntries.write`."""
        if self.fault is not None:
            return fail(self.fault)
        self.writes += 1
        self.stored |= {(entry.tenant, entry.name): entry for entry in saved}
        for key in gone:
            self.stored.pop(key, None)
        return succeed(None)
