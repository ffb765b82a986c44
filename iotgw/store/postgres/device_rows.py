"""Device states as rows of PostgreSQL, which all nodes share: each writes what it heard. Used in one thread only.

A state is merged with the stored one before it is written, with the row locked. What a device sends is mostly like the record before, so the
*version* of its row and the shape of its latest record are remembered. A record of that shape replaces that one as long as the row still has
that version, and nothing is read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.devices import Owned, Seen, Troubled
from iotgw.store.device_overlay import Changes
from iotgw.store.device_state import DeviceState, overlaid, replaces
from iotgw.store.devices import Owners, Troubles
from iotgw.store.postgres.connection import Connection, sql
from iotgw.store.postgres.packed import PackedBytes, bytes_of, int8s
from iotgw.store.postgres.session import DatabaseSession

CHUNK = 1000
"""Devices whose states are read at once."""
REMEMBERED = 100_000
"""How many devices' versions are remembered, at 0.3 KB each."""
Key = tuple[str, str]
"""Tenant and name."""

_STATE = "type, datasource, first_ms, last_ms, attributes, telemetry, times, latest_ms, latest"
_SHORT = """UPDATE device_state d SET latest_ms = x.at_ms, latest = x.body, version = d.version + 1
FROM unnest(%s::text[], %s, %s, %s, %s) WITH ORDINALITY AS x(tenant, name, version, at_ms, body, n)
WHERE d.tenant = x.tenant AND d.name = x.name AND d.version = x.version RETURNING x.n"""
_NEW = """INSERT INTO device_state (tenant, name, folded) SELECT * FROM unnest(%s::text[], %s, %s::text[]) ON CONFLICT DO NOTHING"""
_STORED = f"""SELECT tenant, name, version, {_STATE} FROM device_state
WHERE (tenant, name) IN (SELECT * FROM unnest(%s::text[], %s)) ORDER BY tenant, name FOR UPDATE"""
_WHOLE = """UPDATE device_state d SET version = d.version + 1, type = x.type, datasource = x.datasource, first_ms = x.first_ms, last_ms = x.last_ms,
    attributes = x.attributes, telemetry = x.telemetry, times = x.times, latest_ms = NULL, latest = NULL
FROM unnest(%s::text[], %s, %s, %s, %s, %s, %s, %s, %s) AS x(tenant, name, type, datasource, first_ms, last_ms, attributes, telemetry, times)
WHERE d.tenant = x.tenant AND d.name = x.name"""
_OWNERS = """INSERT INTO device_owner SELECT * FROM unnest(%s::text[], %s, %s, %s::boolean[])
ON CONFLICT (tenant, name) DO UPDATE SET datasource = excluded.datasource, proved = excluded.proved"""
_TROUBLES = """INSERT INTO device_trouble SELECT * FROM unnest(%s::text[], %s, %s::text[], %s)
ON CONFLICT (tenant, name, what) DO UPDATE SET since_ms = excluded.since_ms"""
_POSITION = """INSERT INTO device_position VALUES (%s, %s) ON CONFLICT (part) DO UPDATE SET position = excluded.position"""
_decode = msgspec.json.Decoder(dict[str, Raw]).decode
_times = msgspec.json.Decoder(dict[str, int]).decode


class _Known(Struct, gc=False):
    """What is remembered of a device's row: its version; when, from where and as which type it was last heard; and the shape of its latest
    record, if that is kept as it is."""

    version: int
    last_ms: int
    type: str
    datasource: str
    latest: int = 0


class DeviceStateTable:
    """A `StateRows` on the database that ``session`` speaks to. ``part`` is the partition whose records are taken in."""

    def __init__(self, session: DatabaseSession, part: int) -> None:
        self._session = session
        self._part = part
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        found = self._rows("SELECT position FROM device_position WHERE part = %s", part)
        self.position: int | None = found[0][0] if found else 0
        """Up to where the records were taken in when it was opened."""

    def close(self) -> None:
        """See `StateRows.close`."""
        self._session.close()

    # --- writing ---

    def write(
        self,
        changes: Changes,
        owners: Owners | None = None,
        position: int | None = None,
        troubles: Troubles | None = None,
    ) -> None:
        """See `StateRows.write`."""

        def change(db: Connection) -> dict[Key, _Known]:
            known = self._write_states(db, changes)
            if owners:
                _write_owners(db, owners)
            if troubles:
                _write_troubles(db, troubles)
            if position is not None:
                db.execute(_POSITION, (self._part, position))
            return known

        for key, known in self._session.run(change).items():
            self._known[key] = known
            self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    def _write_states(self, db: Connection, changes: Changes) -> dict[Key, _Known]:
        """Returns what is to be remembered once that is durable."""
        short: list[tuple[Key, _Known, TelemetryRecord | DeviceState]] = []
        whole: list[Key] = []
        for key, change in changes.items():
            known = self._known.get(key)
            if known is not None:
                last_ms = replaces(change, known.latest, known.last_ms, known.type, known.datasource)
                if last_ms is not None:
                    after = _Known(known.version + 1, last_ms, known.type, known.datasource, change.shape)
                    short.append((key, after, change))
                    continue
            whole.append(key)
        remembered: dict[Key, _Known] = {}
        if short:
            done = self._write_short(db, short)
            remembered = {key: after for n, (key, after, _) in enumerate(short, 1) if n in done}
            whole += [key for key, _, _ in short if key not in remembered]
        if whole:
            remembered |= self._write_whole(db, sorted(whole), changes)
        return remembered

    @staticmethod
    def _write_short(
        db: Connection, short: list[tuple[Key, _Known, TelemetryRecord | DeviceState]]
    ) -> set[int]:
        """The numbers (from 1) of those whose rows had the version that was remembered."""
        values = (
            *_columns(key for key, _, _ in short),
            int8s([after.version - 1 for _, after, _ in short]),
            int8s([after.last_ms for _, after, _ in short]),
            bytes_of([change.body for _, _, change in short]),
        )
        return {n for (n,) in db.execute(_SHORT, values)}

    @staticmethod
    def _write_whole(db: Connection, keys: list[Key], changes: Changes) -> dict[Key, _Known]:
        """Merge with what is stored. Rows are made before any is locked, and all in the order of their keys, so that no two nodes wait for each
        other."""
        db.execute(_NEW, (*_columns(keys), [folded(name) for _, name in keys]))
        remembered: dict[Key, _Known] = {}
        for start in range(0, len(keys), CHUNK):
            states: list[tuple[Key, DeviceState]] = []
            for tenant, name, version, *row in db.execute(
                _STORED, _columns(keys[start : start + CHUNK])
            ).fetchall():
                key = tenant, name.decode()
                change = changes[key]
                state = change.copy() if isinstance(change, DeviceState) else DeviceState.of(change)
                state.settle()
                if version:
                    state.merge(_state(*row))
                states.append((key, state))
                remembered[key] = _Known(version + 1, state.last_ms, state.type, state.datasource)
            texts = [state.encoded() for _, state in states]
            db.execute(
                _WHOLE,
                (
                    *_columns(key for key, _ in states),
                    bytes_of([state.type.encode() for _, state in states]),
                    bytes_of([state.datasource.encode() for _, state in states]),
                    int8s([state.first_ms for _, state in states]), int8s([state.last_ms for _, state in states]),
                    *(bytes_of([each[column] for each in texts]) for column in range(3)),
                ),
            )  # fmt: skip
        return remembered

    def forget(self, tenant: str, name: str) -> None:
        """See `StateRows.forget`."""

        def change(db: Connection) -> None:
            for table in ("device_state", "device_owner", "device_trouble"):
                statement = sql(f"DELETE FROM {table} WHERE tenant = %s AND name = %s")
                db.execute(statement, (tenant, name.encode()))

        self._session.run(change)
        self._known.pop((tenant, name), None)

    # --- reading ---

    def page(self, tenant: str, after: str, limit: int, text: str) -> list[tuple[str, DeviceState]]:
        """See `StateRows.page`."""
        where = "name > %s AND position(%s in folded) > 0 ORDER BY name LIMIT %s"
        return self._shown(where, tenant, after.encode(), folded(text), limit)

    def count(self) -> int:
        """See `StateRows.count`."""
        return int(self._rows("SELECT count(*) FROM device_state")[0][0])

    def owners(self) -> list[Owned]:
        """See `StateRows.owners`."""
        found = self._rows("SELECT tenant, name, datasource, proved FROM device_owner")
        return [
            (tenant, name.decode(), datasource.decode(), proved) for tenant, name, datasource, proved in found
        ]

    def troubles(self) -> list[Troubled]:
        """See `StateRows.troubles`."""
        found = self._rows("SELECT tenant, name, what, since_ms FROM device_trouble")
        return [(tenant, name.decode(), what, since) for tenant, name, what, since in found]

    def seen(self) -> list[Seen]:
        """See `StateRows.seen`."""
        found = self._rows("SELECT tenant, name, type, greatest(last_ms, latest_ms) FROM device_state")
        return [(tenant, name.decode(), type.decode(), last_ms) for tenant, name, type, last_ms in found]

    def _shown(self, where: str, *values: Any) -> list[tuple[str, DeviceState]]:
        query = f"SELECT name, {_STATE} FROM device_state WHERE tenant = %s AND {where}"
        return [(name.decode(), _state(*row)) for name, *row in self._rows(query, *values)]

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._session.run(lambda db: db.execute(sql(query), values).fetchall())


class DeviceStateReads:
    """A `StateReads` on the database that ``session`` speaks to."""

    def __init__(self, session: DatabaseSession) -> None:
        self._session = session

    def of(self, tenant: str, names: Sequence[str]) -> list[tuple[str, DeviceState]]:
        """See `StateReads.of`."""
        query = sql(f"SELECT name, {_STATE} FROM device_state WHERE tenant = %s AND name = ANY(%s)")
        values = tenant, bytes_of([name.encode() for name in names])
        found = self._session.run(lambda db: db.execute(query, values).fetchall())
        return [(name.decode(), _state(*row)) for name, *row in found]

    def close(self) -> None:
        """See `StateReads.close`."""
        self._session.close()


def folded(text: str) -> str:
    """A name as it is searched for; PostgreSQL's texts have no NUL."""
    return text.lower().replace("\0", "")


def _columns(keys: Iterable[Key]) -> tuple[list[str], PackedBytes]:
    some = list(keys)
    return [tenant for tenant, _ in some], bytes_of([name.encode() for _, name in some])


def _state(
    type: bytes, datasource: bytes, first_ms: int, last_ms: int, attributes: bytes, telemetry: bytes, times: bytes,
    latest_ms: int | None, latest: bytes | None,
) -> DeviceState:  # fmt: skip
    stored = DeviceState(
        type.decode(), datasource.decode(), first_ms, last_ms, _decode(attributes), _decode(telemetry), _times(times)
    )  # fmt: skip
    return overlaid(stored, latest_ms, latest or b"")


def _write_owners(db: Connection, owners: Owners) -> None:
    keys = sorted(owners)
    values = (
        bytes_of([owners[key][0].encode() for key in keys]), [owners[key][1] for key in keys],
    )  # fmt: skip
    db.execute(_OWNERS, (*_columns(keys), *values))


def _write_troubles(db: Connection, troubles: Troubles) -> None:
    keys = sorted(troubles)
    values = [what for _, _, what in keys], int8s([troubles[key] for key in keys])
    db.execute(_TROUBLES, (*_columns((tenant, name) for tenant, name, _ in keys), *values))
    db.execute("DELETE FROM device_trouble WHERE since_ms = 0")
