"""What was used, in PostgreSQL: by node, and summed when it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.usage import Amounts, DeviceTally, IUsageStore, Tally, Thing, UsageQuery, UsageRow
from iotgw.core.times import DateMs
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.usage_times import DAY_MS, DAYS, DEVICE_DAYS, HOUR_MS, HOURS
from iotgw.store.worker import StoreThread

ROW_BYTES = 200
"""About what a row takes, with its place in the index."""
STEPS = 50
"""Days or hours that are given up at once where there is too much."""

_BATCH = """INSERT INTO usage_batch VALUES (%s, %s) ON CONFLICT (node) DO UPDATE SET no = excluded.no WHERE usage_batch.no < excluded.no"""
_THINGS = """INSERT INTO usage_thing SELECT * FROM unnest(%s::text[], %s::text[], %s::text[], %s::text[])
ON CONFLICT (kind, tenant, id) DO UPDATE SET name = excluded.name WHERE usage_thing.name <> excluded.name"""
_ADD = """INSERT INTO {table} SELECT %s, x.kind, x.tenant, x.id, %s, x.messages, x.bytes, x.errors, x.refused, x.deliveries, x.cpu
FROM unnest(%s::text[], %s::text[], %s::text[], %s, %s, %s, %s, %s, %s::float8[])
    AS x(kind, tenant, id, messages, bytes, errors, refused, deliveries, cpu)
ON CONFLICT (at, kind, tenant, id, node) DO UPDATE SET messages = {table}.messages + excluded.messages, bytes = {table}.bytes + excluded.bytes,
    errors = {table}.errors + excluded.errors, refused = {table}.refused + excluded.refused,
    deliveries = {table}.deliveries + excluded.deliveries, cpu = {table}.cpu + excluded.cpu"""
_ADD_DEVICES = """INSERT INTO usage_device SELECT %s, x.tenant, x.name, %s, x.messages, x.bytes, x.errors
FROM unnest(%s::text[], %s, %s, %s, %s) AS x(tenant, name, messages, bytes, errors)
ON CONFLICT (at, tenant, name, node) DO UPDATE SET messages = usage_device.messages + excluded.messages, bytes = usage_device.bytes + excluded.bytes,
    errors = usage_device.errors + excluded.errors"""
_SUMS = "sum(messages), sum(bytes), sum(errors), sum(refused), sum(deliveries), sum(cpu)"
# What a converter was given, and a target got, is what a datasource got: it counts once for the tenant.
_TENANT_SUMS = (
    "sum(messages) FILTER (WHERE kind = 'datasource'), sum(bytes) FILTER (WHERE kind = 'datasource'), sum(errors) FILTER (WHERE kind <> 'converter'), "
    "sum(refused), sum(deliveries), sum(cpu)"
)
_PLAIN = 'COLLATE "C"'
"""The order of characters' numbers, whatever the database's language is."""
_TABLES = ("usage_device", "usage_hour", "usage_day")
"""In the order in which they go where there is too much."""


@implementer(IUsageStore)
class PostgresUsage:
    """Usage in the database at ``address``; ``node`` gives the name of the node that adds to it. All nodes' usage takes about ``max_bytes`` at most: beyond, the oldest days of devices go
    first, then the oldest hours. `iotgw.store.postgres.node` has made the schema."""

    put_aside = ""

    def __init__(
        self,
        address: Address,
        reactor: IThreadedClock,
        max_bytes: int = 256 << 20,
        node: Callable[[], str] = lambda: "",
    ) -> None:
        self._session = DatabaseSession(address)
        self._reactor = reactor
        self._max_rows = max_bytes // ROW_BYTES
        self._name = node
        self._node = ""
        self._worker: StoreThread  # a thread does not outlast the fork of a daemon: made in `start`
        self._batch = 0
        self._trimmed_at = 0

    def start(self) -> Deferred[None]:
        """See `IUsageStore.start`."""
        self._worker = StoreThread(self._reactor, "usage")
        return self._worker.call(self._open)

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
        return self._worker.call(self._session.run, lambda db: _forget_tenant(db, tenant))

    # --- in the worker's thread ---

    def _open(self) -> None:
        self._node = self._name()
        found = self._session.run(
            lambda db: db.execute("SELECT no FROM usage_batch WHERE node = %s", (self._node,)).fetchone()
        )
        self._batch = found[0] if found else 0

    def _close(self) -> None:
        self._session.close()
        self._worker.stop()

    def _add(self, at_ms: DateMs, things: list[Tally], devices: list[DeviceTally], forgets: bool) -> None:
        hour, day = at_ms // HOUR_MS, at_ms // DAY_MS
        self._batch += 1

        used, counted = _summed(things, devices)

        def change(db: Connection) -> None:
            if not db.execute(_BATCH, (self._node, self._batch)).rowcount:
                return  # an attempt that was in doubt has done it
            if things:
                _name(db, things)
                self._add_things(db, "usage_hour", hour, used)
                self._add_things(db, "usage_day", day, used)
            if devices:
                self._add_devices(db, day, counted)

        self._session.run(change)
        if forgets and hour != self._trimmed_at:
            self._session.run(lambda db: self._forget(db, hour, day))
            self._trimmed_at = hour

    def _add_things(self, db: Connection, table: str, at: int, used: dict[Thing, Amounts]) -> None:
        amounts = list(used.values())
        counts = (
            [each.messages for each in amounts], [each.bytes for each in amounts], [each.errors for each in amounts],
            [each.refused for each in amounts], [each.deliveries for each in amounts],
        )  # fmt: skip
        values = (*_keys(used), *(int8s(column) for column in counts), [each.cpu for each in amounts])
        db.execute(sql(_ADD.format(table=table)), (at, self._node, *values))

    def _add_devices(self, db: Connection, day: int, counted: dict[tuple[str, str], list[int]]) -> None:
        values = (
            [tenant for tenant, _ in counted], bytes_of([name.encode() for _, name in counted]),
            *(int8s([sums[column] for sums in counted.values()]) for column in range(3)),
        )  # fmt: skip
        db.execute(_ADD_DEVICES, (day, self._node, *values))

    def _forget(self, db: Connection, hour: int, day: int) -> None:
        """Delete what is too old, whoever wrote it, and the oldest while there is too much."""
        db.execute("DELETE FROM usage_hour WHERE at <= %s", (hour - HOURS,))
        db.execute("DELETE FROM usage_day WHERE at <= %s", (day - DAYS,))
        db.execute("DELETE FROM usage_device WHERE at <= %s", (day - DEVICE_DAYS,))
        for _ in range(STEPS):
            counts = {table: _count(db, table) for table in _TABLES}
            if sum(counts.values()) <= self._max_rows:
                break
            table = next(table for table, count in counts.items() if count)
            db.execute(sql(f"DELETE FROM {table} WHERE at = (SELECT min(at) FROM {table})"))
        db.execute(
            "DELETE FROM usage_thing t WHERE NOT EXISTS (SELECT 1 FROM usage_day u WHERE (u.kind, u.tenant, u.id) = (t.kind, t.tenant, t.id)) "
            "AND NOT EXISTS (SELECT 1 FROM usage_hour u WHERE (u.kind, u.tenant, u.id) = (t.kind, t.tenant, t.id))"
        )

    def _rows(self, query: UsageQuery) -> list[UsageRow]:
        def read(db: Connection) -> list[Any]:
            row = db.execute("SELECT min(at) FROM usage_hour").fetchone()
            text, values = _select(query, row[0] if row else None)
            return db.execute(sql(text), values).fetchall()

        return [_row(*row) for row in self._session.run(read)]


def _row(at: int, tenant: str, id: str, name: str | bytes, *sums: float | None) -> UsageRow:
    *counts, cpu = (value or 0 for value in sums)
    messages, size, errors, refused, deliveries = map(int, counts)
    shown = name.decode() if isinstance(name, bytes) else name
    return UsageRow(at, tenant, id, shown, Amounts(messages, size, errors, refused, deliveries, float(cpu)))


def _summed(
    things: list[Tally], devices: list[DeviceTally]
) -> tuple[dict[Thing, Amounts], dict[tuple[str, str], list[int]]]:
    """Each thing once, and each device: a statement can't add to a row twice."""
    used: dict[Thing, Amounts] = {}
    for each in things:
        used[each.thing] = used.get(each.thing, Amounts()).plus(each.amounts)
    counted: dict[tuple[str, str], list[int]] = {}
    for one in devices:
        sums = counted.setdefault((one.tenant, one.device), [0, 0, 0])
        sums[0] += one.messages
        sums[1] += one.bytes
        sums[2] += one.errors
    return used, counted


def _keys(things: Iterable[Thing]) -> tuple[list[str], list[str], list[str]]:
    keys = list(things)
    return [kind for kind, _, _ in keys], [tenant for _, tenant, _ in keys], [id for _, _, id in keys]


def _name(db: Connection, things: list[Tally]) -> None:
    """Give things their latest names, in an order that other nodes have as well: none waits for another that waits for it."""
    names = {each.thing: each.name for each in things}
    db.execute(_THINGS, (*_keys(sorted(names)), [names[thing] for thing in sorted(names)]))


def _count(db: Connection, table: str) -> int:
    row = db.execute(sql(f"SELECT count(*) FROM {table}")).fetchone()
    assert row is not None
    return int(row[0])


def _forget_tenant(db: Connection, tenant: str) -> int:
    count = sum(
        db.execute(sql(f"DELETE FROM {table} WHERE tenant = %s"), (tenant,)).rowcount for table in _TABLES
    )
    db.execute("DELETE FROM usage_thing WHERE tenant = %s", (tenant,))
    return count


def _select(query: UsageQuery, oldest: int | None) -> tuple[str, tuple[Any, ...]]:
    """The statement for a query, and its values. Sums are made of hours where these go back so far: not before the ``oldest``."""
    is_of_devices = query.per == "device"
    goes_back = oldest is not None and query.since // HOUR_MS >= oldest
    by_hour = not is_of_devices and (query.every == "hour" or (query.every == "all" and goes_back))
    unit = HOUR_MS if by_hour else DAY_MS
    conditions = ["true"]
    values: list[Any] = []
    if query.since:
        conditions.append("at >= %s")
        values.append(query.since // unit)
    if query.until:
        conditions.append("at < %s")
        values.append(-(-query.until // unit))
    if query.tenant is not None:
        conditions.append("tenant = %s")
        values.append(query.tenant)
    if is_of_devices:
        what, sums = "'', name", "sum(messages), sum(bytes), sum(errors), 0, 0, 0.0"
        source, group, order = "usage_device", "tenant, name", f"tenant {_PLAIN}, name"
        if query.name:
            conditions.append("name = %s")
            values.append(query.name.encode())
    else:
        source = f"{'usage_hour' if by_hour else 'usage_day'} JOIN usage_thing USING (kind, tenant, id)"
        if query.per == "tenant":
            what, sums, group, order = "'', tenant", _TENANT_SUMS, "tenant", f"tenant {_PLAIN}"
        else:
            what, sums, group = "id, name", _SUMS, "tenant, name, id"
            order = f"tenant {_PLAIN}, name {_PLAIN}, id {_PLAIN}"
            conditions.append("kind = %s")
            values.append(query.per)
            if query.name:
                conditions.append("%s IN (name, id)")
                values.append(query.name.replace("\0", ""))
    at = f"at * {unit}" if query.every != "all" else "0"
    text = (
        f"SELECT {at} AS begun, tenant, {what}, {sums} FROM {source} WHERE {' AND '.join(conditions)}"
        f" GROUP BY begun, {group} ORDER BY begun, {order} LIMIT %s OFFSET %s"
    )
    return text, (*values, query.limit, query.offset)
