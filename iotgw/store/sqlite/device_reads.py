"""Reads devices' states beside the thread that writes them, so that who looks at some waits for no batch of others to be written.

What isn't written yet is laid over the rows: of a device, the last state in the file, then each change since.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from iotgw.core.model import TelemetryRecord
from iotgw.store.sqlite.database import connect_reader
from iotgw.store.sqlite.device import DeviceState
from iotgw.store.sqlite.device_rows import Changes, stored_states


class Unwritten:
    """Changes of devices that may not be in the file yet."""

    def __init__(self) -> None:
        self._batches: list[Changes] = []

    def begin(self, batch: Changes) -> None:
        """These are being written. Nobody changes them any more."""
        self._batches.append(batch)

    def end(self, batch: Changes) -> None:
        """They are written, or can't be."""
        self._batches = [each for each in self._batches if each is not batch]

    def of(
        self, tenant: str, names: Iterable[str], waiting: Changes
    ) -> dict[str, list[TelemetryRecord | DeviceState]]:
        """The changes of some devices, the earliest first, with those that wait to be written."""
        found: dict[str, list[TelemetryRecord | DeviceState]] = {}
        for name in names:
            key = tenant, name
            changes = [batch[key] for batch in self._batches if key in batch]
            if (last := waiting.get(key)) is not None:
                changes.append(
                    last.copy() if isinstance(last, DeviceState) else last
                )  # it may change meanwhile
            if changes:
                found[name] = changes
        return found


class DeviceReads:
    """A connection that only reads. Used in one thread only, another than `iotgw.store.sqlite.device_rows.DeviceRows`."""

    def __init__(self, path: Path) -> None:
        self._connection: sqlite3.Connection = connect_reader(path)

    def close(self) -> None:
        """Close it."""
        self._connection.close()

    def states(
        self, tenant: str, names: Sequence[str], unwritten: dict[str, list[TelemetryRecord | DeviceState]]
    ) -> dict[str, DeviceState]:
        """The states of those of these devices that are known."""
        found = stored_states(self._connection, tenant, names)
        for name, changes in unwritten.items():
            state = found.get(name)
            for change in changes:
                later = change.copy() if isinstance(change, DeviceState) else DeviceState.of(change)
                later.settle()
                if state is not None:
                    later.merge(state)
                state = later
            if state is not None:
                state.bound()
                found[name] = state
        return found
