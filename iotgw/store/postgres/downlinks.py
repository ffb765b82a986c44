"""Downlink items in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import JobItems
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.downlinks import Encoded, ItemStore
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.session import DatabaseSession

_WRITE = """INSERT INTO item SELECT * FROM unnest(%s::text[], %s, %s::text[], %s, %s::text[], %s, %s, %s, %s, %s::text[])
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, tenant = excluded.tenant, device = excluded.device, state = excluded.state,
    updated_ms = excluded.updated_ms, expires_ms = excluded.expires_ms, body = excluded.body, network = excluded.network, job = excluded.job"""


class PostgresItems(ItemStore):
    """An `IDownlinkStore` in the database at ``address``. `iotgw.store.postgres.node` has made the schema."""

    def __init__(self, address: Address, reactor: IThreadedClock, calendar: ICalendar | None = None) -> None:
        super().__init__(reactor, calendar)
        self._session = DatabaseSession(address)

    def _open(self) -> None:
        self._session.run(self._delete_old)

    def _delete_old(self, db: Connection) -> None:
        over = db.execute(
            "SELECT id, state, updated_ms, expires_ms FROM item WHERE state <> 'QUEUED'"
        ).fetchall()
        gone = [
            id
            for id, state, updated_ms, expires_ms in over
            if self._is_old(updated_ms) and (state not in ("SENT", "DELIVERED") or self._is_old(expires_ms))
        ]
        db.execute("DELETE FROM item WHERE id = ANY(%s::text[])", (gone,))

    def _close(self) -> None:
        self._session.close()
        self._worker.stop()

    def _commit(self, items: list[Encoded]) -> None:
        some = [item for item, _ in items]
        values = (
            [item.id for item in some], int8s([item.seq for item in some]), [item.tenant for item in some],
            bytes_of([item.device.encode() for item in some]), [item.state.value for item in some],
            int8s([item.updated_ms for item in some]), int8s([item.expires_ms for item in some]),
            bytes_of([body for _, body in items]), bytes_of([item.network.encode() for item in some]), [item.job for item in some],
        )  # fmt: skip
        self._session.run(lambda db: db.execute(_WRITE, values))

    def _forget_tenant(self, tenant: str) -> int:
        return self._session.run(
            lambda db: db.execute("DELETE FROM item WHERE tenant = %s", (tenant,)).rowcount
        )

    def _last_seq(self) -> int:
        return int(self._rows("SELECT coalesce(max(seq), 0) FROM item")[0][0])

    def _open_items(self) -> list[Item]:
        return self._read("WHERE state IN ('QUEUED', 'SENT', 'DELIVERED') ORDER BY seq")

    def _of_id(self, id: str) -> list[Item]:
        return self._read("WHERE id = %s", id.replace("\0", ""))

    def _of_network(self, tenant: str, network: str) -> list[Item]:
        return self._read(
            "WHERE tenant = %s AND network = %s AND network <> '' ORDER BY seq DESC LIMIT 1", tenant, network.encode()
        )  # fmt: skip

    def _of_device(
        self, tenant: str, device: str, states: Sequence[ItemState], before: int, limit: int
    ) -> list[Item]:
        return self._read(
            "WHERE tenant = %s AND device = %s AND seq < %s AND state = ANY(%s::text[]) ORDER BY seq DESC LIMIT %s",
            tenant, device.encode(), before, [state.value for state in states], limit,
        )  # fmt: skip

    def _in_state(self, tenant: str, state: ItemState, before: int, limit: int) -> list[Item]:
        where = "WHERE tenant = %s AND state = %s AND seq < %s ORDER BY seq DESC LIMIT %s"
        return self._read(where, tenant, state.value, before, limit)

    def _of_job(self, tenant: str, job: str, state: ItemState | None, after: int, limit: int) -> JobItems:
        counts = self._rows(
            "SELECT state, count(*) FROM item WHERE tenant = %s AND job = %s AND job <> '' GROUP BY state ORDER BY state",
            tenant,
            job,
        )
        which, values = ("AND state = %s", (state.value,)) if state is not None else ("", ())
        where = f"WHERE tenant = %s AND job = %s AND job <> '' AND seq > %s {which} ORDER BY seq LIMIT %s"
        return JobItems(dict(counts), self._read(where, tenant, job, after, *values, limit))

    def _read(self, where: str, *values: Any) -> list[Item]:
        return [self._decode(body) for (body,) in self._rows(f"SELECT body FROM item {where}", *values)]

    def _rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._session.run(lambda db: db.execute(sql(query), values).fetchall())
