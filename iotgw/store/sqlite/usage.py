"""What was used, in a file of its own: by hour for 40 days, by day for two years, and for each device by day for 40 days.

Each change is a few statements, however many things and devices it has: a thread beside a busy reactor gets Python's lock only
now and then, and SQLite works without it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.usage import Amounts, DeviceTally, IUsageStore, Tally, UsageQuery, UsageRow
from iotgw.core.times import DateMs
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.database import as_array
from iotgw.store.sqlite.device_usage import of_devices, usage_rows
from iotgw.store.sqlite.replaceable import ReplaceableDatabase
from iotgw.store.usage_times import DAY_MS, DAYS, DEVICE_DAYS, HOUR_MS, HOURS

PIECE = 2_000
"""Devices of one statement."""
STEPS = 50
"""Days or hours that are given up at once where the file is too large."""

_ADD_THINGS = """
INSERT INTO {table} SELECT ?, thing.number, json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]')
FROM json_each(?) JOIN thing ON thing.kind = json_extract(value, '$[0]') AND thing.tenant = json_extract(value, '$[1]') AND thing.id = json_extract(value, '$[2]') WHERE true
ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes, errors = errors + excluded.errors,
refused = refused + excluded.refused, deliveries = deliveries + excluded.deliveries, cpu = cpu + excluded.cpu
"""
_ADD_DEVICES = """
INSERT INTO device_day SELECT ?, device.number, json_extract(value, '$[2]'), json_extract(value, '$[3]'), json_extract(value, '$[4]')
FROM json_each(?) JOIN device ON device.tenant = json_extract(value, '$[0]') AND device.name = json_extract(value, '$[1]') WHERE true
ON CONFLICT DO UPDATE SET messages = messages + excluded.messages, bytes = bytes + excluded.bytes, errors = errors + excluded.errors
"""
_ROW = "begun, tenant, id, name, messages, bytes, errors, refused, deliveries, cpu"
_SUMS = ", ".join(
    f"sum({each}) AS {each}" for each in ("messages", "bytes", "errors", "refused", "deliveries", "cpu")
)
# What a converter was given, and a target got, is what a datasource got: it counts once for the tenant.
_TENANT_SUMS = (
    "sum(messages) FILTER (WHERE kind = 'datasource') AS messages, sum(bytes) FILTER (WHERE kind = 'datasource') AS bytes, "
    "sum(errors) FILTER (WHERE kind <> 'converter') AS errors, sum(refused) AS refused, sum(deliveries) AS deliveries, sum(cpu) AS cpu"
)


@implementer(IUsageStore)
class UsageStore(ReplaceableDatabase):
    """Usage in ``{data_dir}/usage.db``, of at most ``max_bytes``: beyond, the oldest days of devices go first, then the oldest hours. A damaged
    file is put aside, and ``put_aside`` says so."""

    name = "usage"
    probe = "SELECT count(*) FROM thing, hour, device LIMIT 1"
    synchronous = "NORMAL"

    def __init__(self, data_dir: Path, reactor: IThreadedClock, max_bytes: int = 256 << 20) -> None:
        super().__init__(data_dir, reactor)
        self._max_bytes = max_bytes
        self._trimmed_at = 0

    def stop(self) -> Deferred[None]:
        """See `IUsageStore.stop`."""
        return self._worker.call(self._close)

    def add(
        self, at_ms: DateMs, things: list[Tally], devices: list[DeviceTally], forgets: bool = True
    ) -> Deferred[None]:
        """See `IUsageStore.add`."""
        return self._worker.call(self._add, at_ms, things, devices, forgets)

    def rows(self, query: UsageQuery) -> Deferred[list[UsageRow]]:
        """See `IUsageStore.rows`."""
        return self._worker.call(self._rows, query)

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        return self._worker.call(self._forget_tenant, tenant)

    # --- in the worker's thread ---

    def _forget_tenant(self, tenant: str) -> int:
        db = self._connection
        assert db is not None
        things, devices = (
            "SELECT number FROM thing WHERE tenant = ?",
            "SELECT number FROM device WHERE tenant = ?",
        )
        with damage.changing(self._path):
            db.execute("BEGIN IMMEDIATE")
            try:
                count = 0
                for table, column, of in (
                    ("hour", "thing", things),
                    ("day", "thing", things),
                    ("device_day", "device", devices),
                ):
                    count += db.execute(f"DELETE FROM {table} WHERE {column} IN ({of})", (tenant,)).rowcount
                for table in ("thing", "device"):
                    db.execute(f"DELETE FROM {table} WHERE tenant = ?", (tenant,))
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise
        return count

    def _add(self, at_ms: DateMs, things: list[Tally], devices: list[DeviceTally], forgets: bool) -> None:
        db = self._connection
        assert db is not None
        hour, day = at_ms // HOUR_MS, at_ms // DAY_MS
        with damage.changing(self._path):
            db.execute("BEGIN IMMEDIATE")
            try:
                self._add_things(db, hour, day, things)
                for start in range(0, len(devices), PIECE):
                    self._add_devices(db, day, devices[start : start + PIECE])
                if forgets and hour != self._trimmed_at:
                    self._forget(db, hour, day)
                    self._trimmed_at = hour
                self._shrink(db)
                db.execute("COMMIT")
            except sqlite3.Error:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @staticmethod
    def _add_things(db: sqlite3.Connection, hour: int, day: int, things: list[Tally]) -> None:
        if not things:
            return
        names = as_array([[*each.thing, each.name] for each in things])
        db.execute(
            "INSERT INTO thing (kind, tenant, id, name) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'), json_extract(value, '$[3]') FROM json_each(?)"
            " WHERE true ON CONFLICT DO UPDATE SET name = excluded.name WHERE name <> excluded.name",
            (names,),
        )
        rows = as_array([[*each.thing, *_values(each.amounts)] for each in things])
        db.execute(_ADD_THINGS.format(table="hour"), (hour, rows))
        db.execute(_ADD_THINGS.format(table="day"), (day, rows))

    @staticmethod
    def _add_devices(db: sqlite3.Connection, day: int, devices: list[DeviceTally]) -> None:
        rows = as_array(
            [[each.tenant, each.device, each.messages, each.bytes, each.errors] for each in devices]
        )
        db.execute(
            "INSERT OR IGNORE INTO device (tenant, name) SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?)",
            (rows,),
        )
        db.execute(_ADD_DEVICES, (day, rows))

    @staticmethod
    def _forget(db: sqlite3.Connection, hour: int, day: int) -> None:
        """Delete what is too old."""
        db.execute("DELETE FROM hour WHERE at <= ?", (hour - HOURS,))
        db.execute("DELETE FROM day WHERE at <= ?", (day - DAYS,))
        if db.execute("DELETE FROM device_day WHERE at <= ?", (day - DEVICE_DAYS,)).rowcount:
            _forget_names(db)
        db.execute(
            "DELETE FROM thing WHERE number NOT IN (SELECT thing FROM day UNION SELECT thing FROM hour)"
        )

    def _shrink(self, db: sqlite3.Connection) -> None:
        """Delete the oldest while there is too much."""
        for _ in range(STEPS):
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
            if (pages - free) * size <= self._max_bytes:
                return
            if db.execute("DELETE FROM device_day WHERE at = (SELECT min(at) FROM device_day)").rowcount:
                _forget_names(db)
            elif not db.execute("DELETE FROM hour WHERE at = (SELECT min(at) FROM hour)").rowcount:
                db.execute("DELETE FROM day WHERE at = (SELECT min(at) FROM day)")

    def _rows(self, query: UsageQuery) -> list[UsageRow]:
        assert self._connection is not None
        if query.per == "device":
            return of_devices(self._connection, query)
        (oldest,) = self._connection.execute("SELECT min(at) FROM hour").fetchone()
        text, values = _select(query, oldest)
        (rows,) = self._connection.execute(
            f"SELECT json_group_array(json_array({_ROW})) FROM ({text})", values
        ).fetchone()
        return usage_rows(rows)


def _values(amounts: Amounts) -> tuple[Any, ...]:
    return (
        amounts.messages, amounts.bytes, amounts.errors, amounts.refused, amounts.deliveries, amounts.cpu,
    )  # fmt: skip


def _forget_names(db: sqlite3.Connection) -> None:
    """Delete the names of devices of which nothing is kept."""
    db.execute("DELETE FROM device WHERE number NOT IN (SELECT device FROM device_day)")


def _select(query: UsageQuery, oldest: int | None) -> tuple[str, tuple[Any, ...]]:
    """The statement for a query that isn't about devices, and its values. Sums are made of hours where these go back so far: not before the ``oldest``."""
    goes_back = oldest is not None and query.since // HOUR_MS >= oldest
    by_hour = query.every == "hour" or (query.every == "all" and goes_back)
    unit = HOUR_MS if by_hour else DAY_MS
    conditions = ["true"]
    values: list[Any] = []
    if query.since:
        conditions.append("at >= ?")
        values.append(query.since // unit)
    if query.until:
        conditions.append("at < ?")
        values.append(-(-query.until // unit))
    if query.tenant is not None:
        conditions.append("tenant = ?")
        values.append(query.tenant)
    source = f"{'hour' if by_hour else 'day'} JOIN thing ON number = thing"
    if query.per == "tenant":
        what, sums, group = "'' AS id, tenant AS name", _TENANT_SUMS, "tenant"
    else:
        what, sums, group = "id, name", _SUMS, "tenant, name, id"
        conditions.append("kind = ?")
        values.append(query.per)
        if query.name:
            conditions.append("? IN (name, id)")
            values.append(query.name)
    at = f"at * {unit}" if query.every != "all" else "0"
    text = (
        f"SELECT {at} AS begun, tenant, {what}, {sums} FROM {source} WHERE {' AND '.join(conditions)}"
        f" GROUP BY begun, {group} ORDER BY begun, {group} LIMIT ? OFFSET ?"
    )
    return text, (*values, query.limit, query.offset)
