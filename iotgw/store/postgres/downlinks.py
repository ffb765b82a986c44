"""Downlink items in PostgreSQL. Each node has all that are open in memory, hears of what the others change, and sends one only when it could claim it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import Unavailable
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.downlinks import JobItems
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.times import DateMs
from iotgw.store.downlinks import Encoded, ItemStore
from iotgw.store.postgres import changes
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.partition import LEASE
from iotgw.store.postgres.session import DatabaseSession

WHAT = "items"
"""The shared table, as the nodes tell each other."""
SENDS = 300
"""Seconds that a node may take to send an item that it has claimed, before another one may."""
STEP = 1000
"""Numbers of items go up in steps, in which each node has its own place."""
_WRITE = """INSERT INTO item (id, seq, tenant, device, state, updated_ms, expires_ms, body, network, job, changed, node)
SELECT x.*, %s, %s FROM unnest(%s::text[], %s, %s::text[], %s, %s::text[], %s, %s, %s, %s, %s::text[]) x
ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, tenant = excluded.tenant, device = excluded.device, state = excluded.state,
    updated_ms = excluded.updated_ms, expires_ms = excluded.expires_ms, body = excluded.body, network = excluded.network, job = excluded.job,
    changed = excluded.changed, node = excluded.node, taken_by = ''"""
_CLAIM = """UPDATE item SET taken_by = %(node)s, taken_until = now() + make_interval(secs => %(sends)s)
WHERE id = %(id)s AND state = 'QUEUED' AND (taken_by IN ('', %(node)s) OR taken_until < now()
    OR NOT EXISTS (SELECT 1 FROM node WHERE name = taken_by AND is_up AND alive_at > now() - make_interval(secs => %(lease)s)))"""


class IWho(Protocol):
    """Which node this is: `iotgw.store.postgres.node.DatabaseNode`."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def part(self) -> int:
        """The number of its partition."""

    @property
    def lease(self) -> float:
        """Seconds after which a node that was not heard of is dead."""


class Unnamed(Struct, frozen=True):
    """The only node."""

    name: str = ""
    part: int = 0
    lease: float = LEASE


class PostgresItems(ItemStore):
    """An `IDownlinkStore` in the database at ``address``. `iotgw.store.postgres.node` has made the schema. ``who`` is this node.

    Many methods: what runs in the thread, and what several nodes need.
    """

    _log = Logger()

    def __init__(
        self,
        address: Address,
        reactor: IThreadedClock,
        calendar: ICalendar | None = None,
        who: IWho | None = None,
    ) -> None:
        super().__init__(reactor, calendar)
        self._session = DatabaseSession(address)
        self._who: IWho = who or Unnamed()
        self._known = 0
        """The last change that is known; used in the thread only."""
        self._is_following = False

    # --- beside other nodes

    def claim(self, id: str) -> Deferred[bool]:
        """See `IDownlinkStore.claim`. Where the database doesn't answer, nothing is sent."""
        who = self._who
        values = {"node": who.name, "sends": SENDS, "id": id, "lease": who.lease}
        done = self.flushed().addBoth(
            lambda _: self._worker.call(
                self._session.run, lambda db: db.execute(_CLAIM, values).rowcount == 1
            )
        )
        return done.addErrback(lambda failure: bool(failure.trap(Unavailable)) and False)

    def next_seq(self, seq: int) -> int:
        """See `IDownlinkStore.next_seq`."""
        return seq + 1 + (self._who.part - seq - 1) % STEP

    def follow(self) -> None:
        """Hear of what other nodes have changed."""
        if not self._is_following and self._watchers:
            self._is_following = True
            self._worker.call(self._session.run, self._news).addCallbacks(self._heard, self._not_heard)

    def _heard(self, items: list[Item]) -> None:
        self._is_following = False
        for watcher in self._watchers if items else ():
            watcher(items)

    def _not_heard(self, failure: Failure) -> None:
        self._is_following = False
        if not failure.check(Unavailable):
            self._log.failure("what other nodes have changed of downlinks could not be read", failure)

    def _news(self, db: Connection) -> list[Item]:
        count = changes.counted(db, WHAT)
        known, self._known = self._known, count
        if count == known:
            return []
        rows = db.execute(
            "SELECT body FROM item WHERE changed > %s AND node <> %s ORDER BY changed, seq",
            (known, self._who.name),
        ).fetchall()
        return [self._decode(body) for (body,) in rows]

    # --- in the thread

    def _open(self) -> None:
        self._known = self._session.run(lambda db: changes.counted(db, WHAT))
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
        if not items:
            return
        some = [item for item, _ in items]
        values = (
            [item.id for item in some], int8s([item.seq for item in some]), [item.tenant for item in some],
            bytes_of([item.device.encode() for item in some]), [item.state.value for item in some],
            int8s([item.updated_ms for item in some]), int8s([item.expires_ms for item in some]),
            bytes_of([body for _, body in items]), bytes_of([item.network.encode() for item in some]), [item.job for item in some],
        )  # fmt: skip
        name = self._who.name
        self._session.run(lambda db: db.execute(_WRITE, (changes.count_up(db, WHAT), name, *values)))

    def _over(self, before: DateMs, limit: int) -> list[tuple[str, DateMs]]:
        found = self._rows(
            "SELECT id, updated_ms FROM item WHERE state <> 'QUEUED' AND updated_ms < %s"
            " AND (state NOT IN ('SENT', 'DELIVERED') OR expires_ms < %s) ORDER BY updated_ms LIMIT %s",
            before, before, limit,
        )  # fmt: skip
        return [(str(id), DateMs(updated_ms)) for id, updated_ms in found]

    def _delete(self, ids: list[str]) -> None:
        self._session.run(lambda db: db.execute("DELETE FROM item WHERE id = ANY(%s::text[])", (ids,)))

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

    def _sent_as(self, tenant: str, network: str, limit: int) -> list[Item]:
        return self._read(
            "WHERE tenant = %s AND network = %s AND network <> '' AND state = 'SENT' ORDER BY seq LIMIT %s",
            tenant, network.encode(), limit,
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
