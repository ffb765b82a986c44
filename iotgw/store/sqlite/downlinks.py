"""Downlink items on disk. Changes that arrive during a write are written together in the next one."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.clock import PlainCalendar
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import IDownlinkStore, JobItems
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.times import DateMs
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.database import connect, upgrade
from iotgw.store.worker import StoreThread

KEEP_MS = 30 * 86_400_000
"""Milliseconds that finished items are kept, as a record of what was sent."""


@implementer(IDownlinkStore)
class DownlinkStore:
    """Items in ``{data_dir}/downlinks.db``. ``calendar`` tells how old one is.

    Many methods: those of the port, and what each does in the thread.
    """

    def __init__(self, data_dir: Path, reactor: IThreadedClock, calendar: ICalendar | None = None) -> None:
        self._path = data_dir / "downlinks.db"
        self._mark = damage.OpenMark(self._path)
        self._decode = msgspec.json.Decoder(Item).decode
        self._encode = msgspec.json.Encoder().encode
        self._reactor = reactor
        self._calendar: ICalendar = calendar or PlainCalendar(reactor)
        self._worker: StoreThread  # a thread does not outlast the fork of a daemon: made in `start`
        self._connection: sqlite3.Connection | None = None
        self._pending: dict[str, tuple[Any, ...]] = {}
        self._waiting: list[Deferred[None]] = []
        self._writing = False

    def start(self) -> Deferred[None]:
        """See `IDownlinkStore.start`."""
        self._worker = StoreThread(self._reactor, "downlinks")
        return self._worker.call(self._open)

    def stop(self) -> Deferred[None]:
        """See `IDownlinkStore.stop`."""
        return self.flushed().addCallback(lambda _: self._worker.call(self._close))

    def between_commits(self, function: Callable[[], None]) -> None:
        """Run a function in the thread when nothing is half written."""
        self._worker.run(function)

    def save(self, items: list[Item]) -> Deferred[None]:
        """See `IDownlinkStore.save`."""
        for item in items:
            self._pending[item.id] = (
                item.id, item.seq, item.tenant, item.device, item.state.value, item.updated_ms, self._encode(item),
                item.network, item.job,
            )  # fmt: skip
        done: Deferred[None] = Deferred()
        self._waiting.append(done)
        self._write()
        return done

    def forget(self, id: str) -> None:
        """See `IDownlinkStore.forget`."""
        self._pending.pop(id, None)

    def flushed(self) -> Deferred[None]:
        """See `IDownlinkStore.flushed`."""
        return self.save([]) if self._writing or self._pending else succeed(None)

    def open_items(self) -> Deferred[list[Item]]:
        """See `IDownlinkStore.open_items`."""
        return self._worker.call(
            self._read, "WHERE state IN ('QUEUED', 'SENT', 'DELIVERED') ORDER BY seq", ()
        )

    def last_seq(self) -> Deferred[int]:
        """See `IDownlinkStore.last_seq`."""
        return self._worker.call(self._last_seq)

    def get(self, id: str) -> Deferred[Item | None]:
        """See `IDownlinkStore.get`."""
        found = self._after_writes("WHERE id = ?", (id,))
        return found.addCallback(lambda items: items[0] if items else None)

    def of_network(self, tenant: str, network: str) -> Deferred[Item | None]:
        """See `IDownlinkStore.of_network`."""
        found = self._after_writes(
            "WHERE tenant = ? AND network = ? AND network <> '' ORDER BY seq DESC LIMIT 1", (tenant, network)
        )
        return found.addCallback(lambda items: items[0] if items else None)

    def of_device(self, tenant: str, device: str, limit: int) -> Deferred[list[Item]]:
        """See `IDownlinkStore.of_device`."""
        return self._after_writes(
            "WHERE tenant = ? AND device = ? ORDER BY seq DESC LIMIT ?", (tenant, device, limit)
        )

    def of_job(
        self, tenant: str, job: str, state: ItemState | None, after: int, limit: int
    ) -> Deferred[JobItems]:
        """See `IDownlinkStore.of_job`."""
        return self.flushed().addBoth(
            lambda _: self._worker.call(self._of_job, tenant, job, state, after, limit)
        )

    def _after_writes(self, where: str, values: tuple[Any, ...]) -> Deferred[list[Item]]:
        return self.flushed().addBoth(lambda _: self._worker.call(self._read, where, values))

    # --- in the reactor's thread ---

    def _write(self) -> None:
        if self._writing:
            return
        self._writing = True
        rows, self._pending = list(self._pending.values()), {}
        waiting, self._waiting = self._waiting, []
        self._worker.call(self._commit, rows).addCallbacks(
            self._written, self._not_written, callbackArgs=(waiting,), errbackArgs=(waiting, rows)
        )

    def _written(self, _: None, waiting: list[Deferred[None]]) -> None:
        self._writing = False
        if self._pending or self._waiting:
            self._write()
        for done in waiting:
            done.callback(None)

    def _not_written(
        self, failure: Failure, waiting: list[Deferred[None]], rows: list[tuple[Any, ...]]
    ) -> None:
        """Keep rows pending that could not be written. They go with the next change, unless a newer version of them
        does."""
        self._writing = False
        for row in rows:
            self._pending.setdefault(row[0], row)
        for done in waiting:
            done.errback(failure)
        if self._waiting:  # changes that came meanwhile are written by another attempt
            self._write()

    # --- in the worker's thread ---

    def _open(self) -> None:
        def is_old(date_ms: int) -> bool:
            return self._calendar.moment_ms(DateMs(date_ms)) < self._reactor.seconds() * 1000 - KEEP_MS

        with damage.opening(self._path):
            self._connection = connect(self._path)
            upgrade(self._connection, "downlinks")
            self._connection.create_function("is_old", 1, is_old)
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

    def _commit(self, rows: list[tuple[Any, ...]]) -> None:
        assert self._connection is not None
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

    def _last_seq(self) -> int:
        assert self._connection is not None
        seq: int = self._connection.execute("SELECT coalesce(max(seq), 0) FROM item").fetchone()[0]
        return seq

    def _of_job(self, tenant: str, job: str, state: ItemState | None, after: int, limit: int) -> JobItems:
        assert self._connection is not None
        counts = self._connection.execute(
            "SELECT state, count(*) FROM item WHERE tenant = ? AND job = ? AND job <> '' GROUP BY state",
            (tenant, job),
        )
        states = dict(sorted(counts))
        which, values = ("AND state = ?", (state.value,)) if state is not None else ("", ())
        where = f"WHERE tenant = ? AND job = ? AND job <> '' AND seq > ? {which} ORDER BY seq LIMIT ?"
        return JobItems(states, self._read(where, (tenant, job, after, *values, limit)))

    def _read(self, where: str, values: tuple[Any, ...]) -> list[Item]:
        assert self._connection is not None
        return [
            self._decode(body)
            for (body,) in self._connection.execute(f"SELECT body FROM item {where}", values)
        ]
