"""Events in PostgreSQL. Every node writes its own, and removes the oldest of these only; all of them are read together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from zope.interface import implementer

from iotgw.core.ports.events import EventRow, IEventRows
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.session import DatabaseSession

_INSERT = """INSERT INTO event (node, no, ts, tenant, source, name, type, body)
SELECT %s, x.* FROM unnest(%s, %s, %s::text[], %s::text[], %s, %s::text[], %s) x ON CONFLICT (node, no) DO NOTHING"""
_DELETE = """DELETE FROM event WHERE id IN (SELECT id FROM event WHERE node = %s AND tenant = %s ORDER BY id LIMIT %s)"""


@implementer(IEventRows)
class PostgresEvents:
    """Events in the database at ``address``. `iotgw.store.postgres.node` has made the schema. ``node`` gives the name of the node that writes; it
    is asked for when it is opened."""

    def __init__(self, address: Address, node: Callable[[], str] = lambda: "") -> None:
        self._session = DatabaseSession(address)
        self._name = node
        self._node = ""
        self._last = 0
        """The number of the last event that is written for certain."""

    def open(self) -> Mapping[str, int]:
        """See `IEventRows.open`."""
        self._node = self._name()

        def read(db: Connection) -> tuple[int, dict[str, int]]:
            row = db.execute(
                "SELECT coalesce(max(no), 0) FROM event WHERE node = %s", (self._node,)
            ).fetchone()
            assert row is not None
            counts = db.execute(
                "SELECT tenant, count(*) FROM event WHERE node = %s GROUP BY tenant", (self._node,)
            )
            return row[0], dict(counts.fetchall())

        self._last, found = self._session.run(read)
        return found

    def close(self) -> None:
        """See `IEventRows.close`."""
        self._session.close()

    def write(self, rows: Sequence[EventRow], surplus: Sequence[tuple[str, int]]) -> None:
        """See `IEventRows.write`. Rows have the numbers after the last one that is written for certain, so those that were in doubt, and come
        first again, aren't written twice."""
        first = self._last + 1
        ts, tenants, sources, names, types, bodies = (list(column) for column in zip(*rows, strict=True))
        values = (
            self._node, int8s(range(first, first + len(rows))), int8s(ts), _texts(tenants), _texts(sources),
            bytes_of([name.encode("utf-8", "replace") for name in names]), _texts(types), bytes_of(bodies),
        )  # fmt: skip

        def change(db: Connection) -> None:
            if db.execute(_INSERT, values).rowcount:
                for tenant, count in surplus:
                    db.execute(_DELETE, (self._node, tenant, count))

        self._session.run(change)
        self._last += len(rows)

    def forget_tenant(self, tenant: str) -> int:
        """See `IEventRows.forget_tenant`."""
        return self._session.run(
            lambda db: db.execute("DELETE FROM event WHERE tenant = %s", (tenant,)).rowcount
        )

    def select(
        self, tenant: str, before: int, limit: int, source: str | None, name: str | None, type: str | None
    ) -> list[tuple[int, bytes]]:
        """See `IEventRows.select`."""
        where = ["tenant = %s"]
        values: list[Any] = [tenant]
        for column, value in (
            ("source", None if source is None else _text(source)),
            ("name", None if name is None else name.encode()),
            ("type", None if type is None else _text(type)),
        ):
            if value is not None:
                where.append(f"{column} = %s")
                values.append(value)
        if before:
            where.append("id < %s")
            values.append(before)
        query = f"SELECT id, body FROM event WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT %s"
        return self._session.run(lambda db: db.execute(sql(query), (*values, limit)).fetchall())


def _text(value: str) -> str:
    """As PostgreSQL takes it: without NUL."""
    return value.replace("\0", "")


def _texts(values: Sequence[str]) -> list[str]:
    return [_text(value) for value in values]
