"""What scripts keep of their devices, in a table that all nodes share.

Every state is in the memory of every node: a conversion doesn't wait for the database. What has changed is written together, and what other nodes have
changed is read then. So a device that moves to another node within these seconds may find its state of before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.core.times import DateMs
from iotgw.store.postgres.changes import count_up, counted
from iotgw.store.postgres.connection import Address, Connection
from iotgw.store.postgres.packed import bytes_of, int8s
from iotgw.store.postgres.session import DatabaseSession
from iotgw.store.worker import StoreThread

WHAT = "states"
"""Of the table ``change``."""
EVERY = 2.0
"""Seconds between writes; a crash loses no more than that."""
SWEEP = 3600.0
"""Seconds between looks at what is too old, or too much."""
Key = tuple[str, str]
"""Tenant, and converter and device."""

_WRITE = """INSERT INTO converter_state SELECT x.tenant, x.name, %s, x.body, %s FROM unnest(%s::text[], %s, %s) AS x(tenant, name, body)
ON CONFLICT (tenant, name) DO UPDATE SET at_ms = excluded.at_ms, body = excluded.body, changed = excluded.changed"""
_CHANGED = (
    "SELECT tenant, name, body FROM converter_state WHERE changed > %s AND changed <= %s AND changed <> %s"
)
_DELETE = """DELETE FROM converter_state s USING unnest(%s::text[], %s, %s) AS x(tenant, name, at_ms)
WHERE s.tenant = x.tenant AND s.name = x.name AND s.at_ms = x.at_ms"""


class _Exchanged(Struct, frozen=True):
    """What other nodes have changed, and up to which change everything is known."""

    states: list[tuple[Key, bytes]]
    known: int


@implementer(IForgetsTenants)
class PostgresStates:
    """States in the database at ``address``. Beyond ``limit`` the oldest go, and those that were not written for ``max_age`` seconds.
    `iotgw.store.postgres.node` has made the schema."""

    _log = Logger()

    def __init__(
        self, reactor: IThreadedClock, address: Address, calendar: ICalendar, limit: int, max_age: float
    ) -> None:
        self._reactor = reactor
        self._session = DatabaseSession(address)
        self._calendar = calendar
        self._limit = limit
        self._max_age = max_age
        self._worker: StoreThread | None = None
        self._states: dict[Key, bytes] = {}
        self._changed: dict[Key, bytes] = {}
        self._writing: dict[Key, bytes] = {}
        self._known = 0
        self._swept = reactor.seconds()
        self._one = DeferredLock()
        """Held by whoever writes."""
        self._tick = LoopingCall(self._one.run, self._flush)
        self._tick.clock = reactor

    def start(self) -> Deferred[None]:
        """Read what is there. Fires when states can be read."""
        self._worker = StoreThread(self._reactor, "states")

        def read(found: _Exchanged) -> None:
            self._take(found)
            self._tick.start(EVERY, now=False)

        return self._call(self._load).addCallback(read)

    def stop(self) -> Deferred[Any]:
        """Write what is not written yet, and close."""
        if self._worker is None:
            return succeed(None)
        if self._tick.running:
            self._tick.stop()
        return self._one.run(self._flush).addBoth(lambda _: self._close())

    def get(self, tenant: str, converter: str, device: str) -> bytes:
        """The state; empty when there is none."""
        return self._states.get((tenant, f"{converter}/{device}"), b"")

    def put(self, tenant: str, converter: str, device: str, state: bytes) -> None:
        """Keep a state; empty to drop it."""
        key = (tenant, f"{converter}/{device}")
        self._changed[key] = state
        self._set(key, state)

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        for key in [key for key in self._states if key[0] == tenant]:
            del self._states[key]
        for key in [key for key in self._changed if key[0] == tenant]:
            del self._changed[key]
        return self._call(
            lambda db: db.execute("DELETE FROM converter_state WHERE tenant = %s", (tenant,)).rowcount
        )

    def _set(self, key: Key, state: bytes) -> None:
        if state:
            self._states[key] = state
        else:
            self._states.pop(key, None)

    def _take(self, found: _Exchanged) -> None:
        """What was changed here meanwhile is newer."""
        for key, state in found.states:
            if key not in self._changed and key not in self._writing:
                self._set(key, state)
        self._known = found.known

    def _flush(self) -> Deferred[None]:
        """Write what has changed, and read what others have changed."""
        self._writing, self._changed = self._changed, {}
        changed, known, at_ms = self._writing, self._known, self._calendar.now_ms()
        done = self._call(lambda db: _exchange(db, changed, at_ms, known))
        return done.addCallbacks(self._flushed, self._not_flushed)

    def _flushed(self, found: _Exchanged) -> Deferred[None] | None:
        self._take(found)
        self._writing = {}
        if self._reactor.seconds() - self._swept < SWEEP or not self._tick.running:
            return None
        self._swept = self._reactor.seconds()
        return self._call(self._sweep).addCallbacks(self._swept_out, self._not_flushed)

    def _not_flushed(self, failure: Failure) -> None:
        """With the next ones."""
        self._changed = {**self._writing, **self._changed}
        self._writing = {}
        self._log.warn("converters' states could not be written: {error}", error=failure.getErrorMessage())

    def _swept_out(self, gone: list[Key]) -> None:
        for key in gone:
            if key not in self._changed:
                self._states.pop(key, None)

    def _call(self, function: Callable[[Connection], Any]) -> Deferred[Any]:
        assert self._worker is not None
        return self._worker.call(self._session.run, function)

    def _close(self) -> Deferred[None]:
        worker, self._worker = self._worker, None
        assert worker is not None
        return worker.end(self._session.close)

    # --- in the thread ---

    @staticmethod
    def _load(db: Connection) -> _Exchanged:
        known = counted(db, WHAT)
        rows = db.execute("SELECT tenant, name, body FROM converter_state WHERE body <> ''")
        return _Exchanged([((tenant, name.decode()), body) for tenant, name, body in rows], known)

    def _sweep(self, db: Connection) -> list[Key]:
        """Delete what is too old, and the oldest of too many."""
        found = db.execute("SELECT tenant, name, at_ms FROM converter_state").fetchall()
        oldest = (self._reactor.seconds() - self._max_age) * 1000
        ages = [
            (self._calendar.moment_ms(DateMs(at_ms)), tenant, name, at_ms) for tenant, name, at_ms in found
        ]
        ages.sort()
        too_many = max(0, len(ages) - self._limit)
        gone = [row for number, row in enumerate(ages) if number < too_many or row[0] < oldest]
        values = (
            [row[1] for row in gone],
            bytes_of([row[2] for row in gone]),
            int8s([row[3] for row in gone]),
        )
        db.execute(_DELETE, values)
        return [(tenant, name.decode()) for _, tenant, name, _ in gone]


def _exchange(db: Connection, changed: dict[Key, bytes], at_ms: int, known: int) -> _Exchanged:
    mine = count_up(db, WHAT) if changed else 0
    if changed:
        keys = sorted(changed)
        values = (
            [tenant for tenant, _ in keys], bytes_of([name.encode() for _, name in keys]), bytes_of([changed[key] for key in keys]),
        )  # fmt: skip
        db.execute(_WRITE, (at_ms, mine, *values))
    last = mine or counted(db, WHAT)
    rows = db.execute(_CHANGED, (known, last, mine)).fetchall()
    return _Exchanged([((tenant, name.decode()), body) for tenant, name, body in rows], last)
