"""Devices' last states in PostgreSQL, written behind."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.errors import Unavailable
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.devices import DeviceStateStore
from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.device_rows import DeviceStateReads, DeviceStateTable
from iotgw.store.postgres.session import DatabaseSession


class PostgresDevices(DeviceStateStore):
    """An `IDevices` in the database at ``address``. `iotgw.store.postgres.node` has made the schema. ``part`` gives the partition whose
    records it hears of, when it is opened."""

    passing = Unavailable

    def __init__(
        self,
        reactor: IThreadedClock,
        address: Address,
        part: Callable[[], int] = lambda: 1,
        *,
        max_changed: int = 50_000,
    ) -> None:
        super().__init__(reactor, max_changed=max_changed)
        self._address = address
        self._part = part

    def _open(self) -> DeviceStateTable:
        return DeviceStateTable(DatabaseSession(self._address), self._part())

    def _open_reads(self) -> DeviceStateReads:
        return DeviceStateReads(DatabaseSession(self._address))
