"""Device states as rows of ``devices.db``. Used in one thread only.

A state is merged with the stored one before it is written. Reading and merging that cost twice the writing;
so a *shape* is remembered of each device: when a state has the keys that the row has, and only newer
readings, it replaces the row as it is.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path

import msgspec
from msgspec import Struct

from iotgw.store import sqlite
from iotgw.store.device import DeviceState

Changes = dict[tuple[str, str], DeviceState]
"""States by tenant and device name."""

CHUNK = 256
SHAPES = 100_000
"""Devices whose shape is remembered, at 0.3 KB each."""

_ROWS = sqlite.Rows(
    "device",
    "tenant, name, id, type, datasource, first_ms, last_ms, attributes, telemetry, times",
    tail="ON CONFLICT (id) DO UPDATE SET type = excluded.type, datasource = excluded.datasource, "
    "first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms), "
    "attributes = excluded.attributes, telemetry = excluded.telemetry, times = excluded.times",
)
_STORED = """
SELECT json_group_array(json_array(
    device.id, name, json_array(device.type, datasource, first_ms, last_ms,
    json(cast(attributes AS text)), json(cast(telemetry AS text)), json(cast(times AS text)))))
FROM json_each(?2) CROSS JOIN device ON tenant = ?1 AND name = value
"""


class _Shape(Struct, gc=False):
    """A device's row: its number, what tells its keys from others, and its newest reading's time."""

    id: int
    keys: int
    newest: int


class _Stored(DeviceState, array_like=True, gc=False):
    """A device's state as a row gives it."""


_stored = msgspec.json.Decoder(list[tuple[int, str, _Stored]]).decode


class DeviceRows:
    """The device table."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        # Devices report in any order, so each of them dirties a page; small pages make that cheap.
        self.connection: sqlite3.Connection = sqlite.connect(path, synchronous="NORMAL", page_size=1024)
        sqlite.upgrade(self.connection, "devices")
        self._shapes: OrderedDict[tuple[str, str], _Shape] = OrderedDict()

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def write(self, changes: Changes) -> None:
        """Merge states into the table, in one transaction and in the table's order."""
        connection = self.connection
        ids: dict[tuple[str, str], int] = {}
        unknown: dict[str, list[str]] = {}
        for key, state in changes.items():
            state.settle()
            shape = self._shapes.get(key)
            if shape is not None and _fits(state, shape):
                ids[key] = shape.id
            else:
                unknown.setdefault(key[0], []).append(key[1])
        connection.execute("BEGIN IMMEDIATE")
        try:
            for tenant, names in unknown.items():
                self._merge_stored(tenant, names, changes, ids)
            keys = sorted(changes, key=lambda key: ids.get(key, 1 << 62))
            for start in range(0, len(keys), CHUNK):
                self._write_chunk(keys[start : start + CHUNK], changes, ids)
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._shapes.clear()  # they tell of rows that are not there
            raise

    def _merge_stored(
        self, tenant: str, names: list[str], changes: Changes, ids: dict[tuple[str, str], int]
    ) -> None:
        """Put the stored states under the new ones; adds the row of each device to ``ids``."""
        for start in range(0, len(names), CHUNK):
            wanted = sqlite.as_array(names[start : start + CHUNK])
            (text,) = self.connection.execute(_STORED, (tenant, wanted)).fetchone()
            for id, name, stored in _stored(text):
                ids[tenant, name] = id
                changes[tenant, name].merge(stored)

    def _write_chunk(
        self, keys: list[tuple[str, str]], changes: Changes, ids: dict[tuple[str, str], int]
    ) -> None:
        values: list[object] = []
        shapes = self._shapes
        for key in keys:
            state = changes[key]
            id = ids.get(key)
            values += (
                *key, id, state.type, state.datasource, state.first_ms, state.last_ms, *state.encoded(),
            )  # fmt: skip
            if id is not None:
                shapes[key] = _Shape(id, _keys(state), max(state.times.values(), default=0))
                shapes.move_to_end(key)
        while len(shapes) > SHAPES:
            shapes.popitem(last=False)
        _ROWS.write(self.connection, values)


def _fits(state: DeviceState, shape: _Shape) -> bool:
    return _keys(state) == shape.keys and min(state.times.values(), default=0) >= shape.newest


def _keys(state: DeviceState) -> int:
    return hash((*state.attributes, None, *state.values))
