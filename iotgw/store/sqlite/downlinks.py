"""Downlink items in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import JobItems
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.times import DateMs
from iotgw.store.downlinks import Encoded, ItemStore
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.database import as_array, connect, upgrade


class DownlinkStore(ItemStore):
    """Items in ``{data_dir}/downlinks.db``."""

    def __init__(self, data_dir: Path, reactor: IThreadedClock, calendar: ICalendar | None = None) -> None:
        super().__init__(reactor, calendar)
        self._path = data_dir / "downlinks.db"
        self._mark = damage.OpenMark(self._path)
        self._connection: sqlite3.Connection | None = None

    def _open(self) -> None:
        with damage.opening(self._path):
            self._connection = connect(self._path)
            upgrade(self._connection, "downlinks")
            self._connection.create_function("is_old", 1, self._is_old)
            self._connection.execute(
                "DELETE FROM item WHERE state != 'QUEUED' AND is_old(updated_ms) AND (state NOT IN ('SENT', 'DELIVERED')"
                " OR is_old(json_extract(CAST(body AS TEXT), '$.expires_ms')))"
            )
        self._mark.set()

    def _close(self) -> None:
        if self._connection is not None:
            self._mark.clear()
            self._connection.close()
            self._connection = None
        self._worker.stop()

    def _commit(self, items: list[Encoded]) -> None:
        assert self._connection is not None
        rows = [
            (
                item.id, item.seq, item.tenant, item.device, item.state.value, item.updated_ms, body,
                item.network, item.job,
            )
            for item, body in items
        ]  # fmt: skip
        with damage.changing(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows
                )
                self._connection.execute("COMMIT")
            except sqlite3.Error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _over(self, before: DateMs, limit: int) -> list[tuple[str, DateMs]]:
        assert self._connection is not None
        return self._connection.execute(
            "SELECT id, updated_ms FROM item WHERE state IN (SELECT value FROM json_each(?)) AND updated_ms < ? AND (state NOT IN ('SENT', 'DELIVERED')"
            " OR json_extract(CAST(body AS TEXT), '$.expires_ms') < ?) ORDER BY updated_ms LIMIT ?",
            (as_array([state.value for state in ItemState if state is not ItemState.QUEUED]), before, before, limit),
        ).fetchall()  # fmt: skip

    def _delete(self, ids: list[str]) -> None:
        assert self._connection is not None
        with damage.changing(self._path):
            self._connection.execute(
                "DELETE FROM item WHERE id IN (SELECT value FROM json_each(?))", (as_array(ids),)
            )

    def _forget_tenant(self, tenant: str) -> int:
        assert self._connection is not None
        with damage.changing(self._path):
            return self._connection.execute("DELETE FROM item WHERE tenant = ?", (tenant,)).rowcount

    def _last_seq(self) -> int:
        assert self._connection is not None
        seq: int = self._connection.execute("SELECT coalesce(max(seq), 0) FROM item").fetchone()[0]
        return seq

    def _open_items(self) -> list[Item]:
        return self._read("WHERE state IN ('QUEUED', 'SENT', 'DELIVERED') ORDER BY seq")

    def _of_id(self, id: str) -> list[Item]:
        return self._read("WHERE id = ?", id)

    def _of_network(self, tenant: str, network: str) -> list[Item]:
        return self._read(
            "WHERE tenant = ? AND network = ? AND network <> '' ORDER BY seq DESC LIMIT 1", tenant, network
        )

    def _sent_as(self, tenant: str, network: str, limit: int) -> list[Item]:
        return self._read(
            "WHERE tenant = ? AND network = ? AND network <> '' AND state = 'SENT' ORDER BY seq LIMIT ?",
            tenant, network, limit,
        )  # fmt: skip

    def _of_device(
        self, tenant: str, device: str, states: Sequence[ItemState], before: int, limit: int
    ) -> list[Item]:
        return self._read(
            "WHERE tenant = ? AND device = ? AND seq < ? AND state IN (SELECT value FROM json_each(?)) ORDER BY seq DESC LIMIT ?",
            tenant, device, before, as_array([state.value for state in states]), limit,
        )  # fmt: skip

    def _in_state(self, tenant: str, state: ItemState, before: int, limit: int) -> list[Item]:
        where = "WHERE tenant = ? AND state = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
        return self._read(where, tenant, state.value, before, limit)

    def _of_job(self, tenant: str, job: str, state: ItemState | None, after: int, limit: int) -> JobItems:
        assert self._connection is not None
        counts = self._connection.execute(
            "SELECT state, count(*) FROM item WHERE tenant = ? AND job = ? AND job <> '' GROUP BY state",
            (tenant, job),
        )
        states = dict(sorted(counts))
        which, values = ("AND state = ?", (state.value,)) if state is not None else ("", ())
        where = f"WHERE tenant = ? AND job = ? AND job <> '' AND seq > ? {which} ORDER BY seq LIMIT ?"
        return JobItems(states, self._read(where, tenant, job, after, *values, limit))

    def _read(self, where: str, *values: Any) -> list[Item]:
        assert self._connection is not None
        return [
            self._decode(body)
            for (body,) in self._connection.execute(f"SELECT body FROM item {where}", values)
        ]
