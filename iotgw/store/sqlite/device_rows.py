"""Device states as rows of ``devices.db``. Used in one thread only.

A state is merged with the stored one before it is written. Reading and merging cost twice as much as writing, and most
devices send the same keys each time. So a *shape* is remembered for each device. A record with the same shape as the
one before replaces that one in the table ``latest``, and neither is read. A state that has the same keys as the
device's row, and only newer readings, replaces the row as it is.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from iotgw.core import private
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.devices import Seen, Troubled
from iotgw.store.device_overlay import Changes
from iotgw.store.device_state import DeviceState, overlaid, replaces
from iotgw.store.devices import Owners, Troubles
from iotgw.store.sqlite import database as sqlite

SMALL_PAGE = 1024
"""Devices report in any order, so each of them dirties a page; small pages make that cheap."""
CHUNK = 256
SHAPES = 100_000
"""How many devices' shapes are remembered, at 0.3 KB each."""

_ROWS = sqlite.ManyRows(
    "device",
    "tenant, name, id, type, datasource, first_ms, last_ms, attributes, telemetry, times",
    tail="ON CONFLICT (id) DO UPDATE SET type = excluded.type, datasource = excluded.datasource, "
    "first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms), "
    "attributes = excluded.attributes, telemetry = excluded.telemetry, times = excluded.times",
)
_LATEST = sqlite.ManyRows("latest", "device, at_ms, body", verb="REPLACE")
_OWNERS = sqlite.ManyRows("owner", "tenant, name, datasource, proved", verb="REPLACE")
_TROUBLES = sqlite.ManyRows("trouble", "tenant, name, what, since_ms", verb="REPLACE")
_SEEN = """SELECT json_group_array(json_array(tenant, name, device.type, max(last_ms, coalesce(at_ms, 0))))
FROM device LEFT JOIN latest ON device = device.id WHERE device.id > ? AND device.id <= ?"""
PIECE = 5000
"""Devices that one query reads as one text."""
_seen = msgspec.json.Decoder(list[Seen]).decode
_STATE = """device.id, name, json_array(device.type, datasource, first_ms, last_ms,
    json(cast(attributes AS text)), json(cast(telemetry AS text)), json(cast(times AS text))),
    at_ms, json(cast(body AS text))"""
_STORED = f"""
SELECT json_group_array(json_array({_STATE}))
FROM json_each(?2) CROSS JOIN device ON tenant = ?1 AND name = value LEFT JOIN latest ON device = device.id
"""
_SHOWN = f"SELECT json_array({_STATE}) FROM device LEFT JOIN latest ON device = device.id WHERE tenant = ?"


class _Shape(Struct, gc=False):
    """What is remembered of a device's row: its number, a fingerprint of its keys, the time of its newest reading;
    when, from where and as which type it was last heard; and the shape of its latest record, if that has a row."""

    id: int
    keys: int
    newest: int
    last_ms: int
    type: str
    datasource: str
    latest: int = 0


class _Stored(DeviceState, array_like=True, gc=False):
    """A device's state as it is in its row."""


_Row = tuple[int, str, _Stored, int | None, Raw]
"""Number, name, state; when the latest record came and its body, if there is one."""
_row = msgspec.json.Decoder(_Row).decode
_rows = msgspec.json.Decoder(list[_Row]).decode


class DeviceRows:
    """The device table."""

    def __init__(self, path: Path) -> None:
        private.make_directory(path.parent)
        self.connection: sqlite3.Connection = sqlite.connect(path, synchronous="NORMAL", page_size=SMALL_PAGE)
        sqlite.upgrade(self.connection, "devices")
        (self._last_id,) = self.connection.execute("SELECT coalesce(max(id), 0) FROM device").fetchone()
        self._shapes: OrderedDict[tuple[str, str], _Shape] = OrderedDict()

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    @property
    def position(self) -> int | None:
        """Up to which position of the telemetry stream the records are taken in; None if nobody knows."""
        found = self.connection.execute("SELECT position FROM seen").fetchone()
        return int(found[0]) if found is not None else None

    def owners(self) -> list[tuple[str, str, str, bool]]:
        """Tenant, name, datasource and whether it has proved itself, of each device that belongs to a datasource."""
        found = self.connection.execute("SELECT tenant, name, datasource, proved FROM owner")
        return [(tenant, name, datasource, bool(proved)) for tenant, name, datasource, proved in found]

    def troubles(self) -> list[Troubled]:
        """What is wrong with which device."""
        return self.connection.execute("SELECT tenant, name, what, since_ms FROM trouble").fetchall()

    def seen(self) -> list[Seen]:
        """Every device that was seen."""
        found: list[Seen] = []
        for start in range(0, self._last_id, PIECE):
            found += _seen(self.connection.execute(_SEEN, (start, start + PIECE)).fetchone()[0])
        return found

    def forget(self, tenant: str, name: str) -> None:
        """Delete what is known of a device."""
        connection, of = self.connection, (tenant, name)
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.execute(
                "DELETE FROM latest WHERE device IN (SELECT id FROM device WHERE tenant = ? AND name = ?)", of
            )
            for table in ("device", "owner", "trouble"):
                connection.execute(f"DELETE FROM {table} WHERE tenant = ? AND name = ?", of)
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._shapes.pop(of, None)

    def write(
        self,
        changes: Changes,
        owners: Owners | None = None,
        position: int | None = None,
        troubles: Troubles | None = None,
    ) -> None:
        """Merge states into the table, in one transaction and in the order of the table, with the owners and the troubles that
        have changed, and the position up to which the changes are known."""
        connection = self.connection
        latest: list[tuple[int, int, bytes]] = []
        ids: dict[tuple[str, str], int | None] = {}
        unknown: dict[str, list[str]] = {}
        states: dict[tuple[str, str], DeviceState] = {}
        for key, change in changes.items():
            shape = self._shapes.get(key)
            if shape is not None and (row := _latest(change, shape)) is not None:
                latest.append(row)
                continue
            states[key] = state = change.copy() if isinstance(change, DeviceState) else DeviceState.of(change)
            state.settle()
            if shape is not None and _fits(state, shape):
                ids[key] = shape.id
            else:
                ids[key] = None
                unknown.setdefault(key[0], []).append(key[1])
        connection.execute("BEGIN IMMEDIATE")
        try:
            for tenant, names in unknown.items():
                self._merge_stored(tenant, names, states, ids)
            keys = sorted(ids, key=lambda key: ids[key] or 1 << 62)
            for start in range(0, len(keys), CHUNK):
                self._write_chunk(keys[start : start + CHUNK], states, ids)
            latest.sort()
            _LATEST.write(connection, list(chain.from_iterable(latest)))
            if owners:
                _OWNERS.write(connection, [each for key, owner in owners.items() for each in (*key, *owner)])
            if troubles:
                _TROUBLES.write(
                    connection, [each for key, since in troubles.items() for each in (*key, since)]
                )
                connection.execute("DELETE FROM trouble WHERE since_ms = 0")
            if position is not None:
                connection.execute("REPLACE INTO seen (id, position) VALUES (0, ?)", (position,))
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._shapes.clear()  # they tell of rows that are not there
            raise

    def page(self, tenant: str, after: str, limit: int, text: str) -> list[tuple[str, DeviceState]]:
        """See `StateRows.page`."""
        where = "AND name > ? AND instr(lower(name), lower(?)) ORDER BY name LIMIT ?"
        return self.shown(tenant, where, after, text, limit)

    def count(self) -> int:
        """See `StateRows.count`."""
        return int(self.connection.execute("SELECT count(*) FROM device").fetchone()[0])

    def shown(self, tenant: str, where: str = "", *values: object) -> list[tuple[str, DeviceState]]:
        """Names and states of a tenant's devices. ``where`` continues the query's condition."""
        rows = self.connection.execute(f"{_SHOWN} {where}", (tenant, *values)).fetchall()
        found = (_row(text) for (text,) in rows)
        return [(name, overlaid(stored, at_ms, body)) for _, name, stored, at_ms, body in found]

    def _merge_stored(
        self,
        tenant: str,
        names: list[str],
        states: dict[tuple[str, str], DeviceState],
        ids: dict[tuple[str, str], int | None],
    ) -> None:
        """Merge the stored states into the new ones, and add each device's row number to ``ids``."""
        for start in range(0, len(names), CHUNK):
            wanted = sqlite.as_array(names[start : start + CHUNK])
            (text,) = self.connection.execute(_STORED, (tenant, wanted)).fetchone()
            taken_apart: list[int] = []
            for id, name, stored, at_ms, body in _rows(text):
                ids[tenant, name] = id
                states[tenant, name].merge(overlaid(stored, at_ms, body))
                if at_ms is not None:
                    taken_apart.append(id)
            if taken_apart:
                self.connection.execute(
                    "DELETE FROM latest WHERE device IN (SELECT value FROM json_each(?))",
                    (sqlite.as_array(taken_apart),),
                )

    def _write_chunk(
        self,
        keys: list[tuple[str, str]],
        states: dict[tuple[str, str], DeviceState],
        ids: dict[tuple[str, str], int | None],
    ) -> None:
        values: list[object] = []
        shapes = self._shapes
        for key in keys:
            state = states[key]
            id = ids[key]
            if id is None:
                self._last_id = id = self._last_id + 1
            values += (
                *key, id, state.type, state.datasource, state.first_ms, state.last_ms, *state.encoded(),
            )  # fmt: skip
            newest = max(state.times.values(), default=0)
            shapes[key] = _Shape(id, _keys(state), newest, state.last_ms, state.type, state.datasource)
            shapes.move_to_end(key)
        while len(shapes) > SHAPES:
            shapes.popitem(last=False)
        _ROWS.write(self.connection, values)


class DeviceReads:
    """A `StateReads` of the same file."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite.connect_reader(path)

    def of(self, tenant: str, names: Sequence[str]) -> list[tuple[str, DeviceState]]:
        """See `StateReads.of`. All come as one text: a thread beside a busy reactor waits for Python's lock after each row."""
        (text,) = self._connection.execute(_STORED, (tenant, sqlite.as_array(names))).fetchone()
        return [(name, overlaid(stored, at_ms, body)) for _, name, stored, at_ms, body in _rows(text)]

    def close(self) -> None:
        """See `StateReads.close`."""
        self._connection.close()


def _latest(change: TelemetryRecord | DeviceState, shape: _Shape) -> tuple[int, int, bytes] | None:
    """The row of ``latest`` to write, if that is all there is to write."""
    last_ms = replaces(change, shape.latest, shape.last_ms, shape.type, shape.datasource)
    if last_ms is None:
        return None
    shape.latest, shape.last_ms = change.shape, last_ms
    return shape.id, last_ms, change.body


def _fits(state: DeviceState, shape: _Shape) -> bool:
    return (
        not shape.latest
        and _keys(state) == shape.keys
        and min(state.times.values(), default=0) >= shape.newest
    )


def _keys(state: DeviceState) -> int:
    return hash((*state.attributes, None, *state.values))
