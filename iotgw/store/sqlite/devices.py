"""Devices' last states in a file of its own, which can be learned again from the journal."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.devices import DeviceStateStore
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.device_rows import DeviceReads, DeviceRows


class DeviceStore(DeviceStateStore):
    """An `IDevices` in ``{data_dir}/devices.db``. A damaged file is put aside."""

    passing = sqlite3.OperationalError

    def __init__(self, reactor: IThreadedClock, data_dir: Path | str, *, max_changed: int = 50_000) -> None:
        super().__init__(reactor, max_changed=max_changed)
        self._path = Path(data_dir) / "devices.db"

    def _open(self) -> DeviceRows:
        try:
            with damage.opening(self._path):
                return DeviceRows(self._path)
        except damage.Damaged:
            aside = damage.put_aside(self._path)
            self.put_aside = f"{self._path} was damaged; it is {aside} now, and a new one is begun"
            self._log.warn("{problem}", problem=self.put_aside)
            return DeviceRows(self._path)

    def _open_reads(self) -> DeviceReads:
        return DeviceReads(self._path)
