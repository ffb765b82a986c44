"""What debugging keeps of single messages in PostgreSQL: each node writes its own, and any node shows all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorThreads
from zope.interface import implementer

from iotgw.core.ports.debug import DebugEntry, IDebugStore
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.store.debug import ENTRIES, STEP, DebugRing, Row
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.worker import StoreThread

_LOCAL = "SET LOCAL synchronous_commit = off"
"""These entries can be lost."""
_KNOWN = "SELECT coalesce(max(no), 0), coalesce(sum(octet_length(body)), 0)::bigint FROM debug_entry WHERE node = %s"
_INSERT = """INSERT INTO debug_entry SELECT %s, x.* FROM unnest(%s, %s::text[], %s::text[], %s) x ON CONFLICT DO NOTHING"""
_DELETE = """WITH gone AS (DELETE FROM debug_entry WHERE node = %s AND no IN (SELECT no FROM debug_entry WHERE node = %s ORDER BY no LIMIT %s)
RETURNING octet_length(body)) SELECT coalesce(sum(octet_length), 0)::bigint FROM gone"""
_OF = "SELECT body FROM debug_entry WHERE message = %s AND tenant = %s ORDER BY node, no"


@implementer(IDebugStore, IForgetsTenants)
class PostgresDebug(DebugRing):
    """Entries in the database at ``address``; this node's are of at most about ``max_bytes``. ``node`` gives its name when it is opened."""

    put_aside = ""

    def __init__(
        self, address: Address, reactor: IReactorThreads, max_bytes: int, node: Callable[[], str] = str
    ) -> None:
        super().__init__()
        self._session = DatabaseSession(address)
        self._reactor = reactor
        self._max_bytes = max_bytes
        self._name = node
        self._node = ""
        self._last = self._bytes = 0
        self._worker: StoreThread

    def _opened(self) -> Deferred[None]:
        self._worker = StoreThread(self._reactor, "debug")
        return self._worker.call(self._look)

    def _ended(self) -> Deferred[None]:
        return self._worker.end(self._session.close)

    def _work(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return self._worker.call(function, *args)

    # --- in the worker's thread ---

    def _look(self) -> None:
        self._node = self._name()
        ((self._last, self._bytes),) = self._session.run(
            lambda db: db.execute(_KNOWN, (self._node,)).fetchall()
        )

    def _add(self, rows: list[Row]) -> None:
        tenants, messages, bodies = (list(column) for column in zip(*rows, strict=True))
        numbers = range(self._last + 1, self._last + 1 + len(rows))
        values = (self._node, int8s(numbers), tenants, messages, bytes_of(bodies))

        def change(db: Connection) -> None:
            db.execute(_LOCAL)
            db.execute(_INSERT, values)

        self._session.run(change)
        self._last += len(rows)
        self._bytes += sum(map(len, bodies))
        while self._bytes > self._max_bytes:
            ((gone,),) = self._session.run(
                lambda db: db.execute(_DELETE, (self._node, self._node, STEP)).fetchall()
            )
            if not gone:
                self._bytes = 0  # a tenant was forgotten, and these with it
            self._bytes -= gone

    def _of(self, tenant: str, message_id: str) -> list[DebugEntry]:
        rows = self._session.run(lambda db: db.execute(_OF, (message_id, tenant)).fetchmany(ENTRIES))
        return sorted((self._decode(bytes(body)) for (body,) in rows), key=lambda entry: entry.at)

    def _forget_tenant(self, tenant: str) -> int:
        return self._session.run(
            lambda db: db.execute("DELETE FROM debug_entry WHERE tenant = %s", (tenant,)).rowcount
        )
