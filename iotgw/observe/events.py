"""The record of events: a ring in its own SQLite file, so that it never holds up the journal.

Events are written in batches that form while the last batch is written, in one thread of its own. Losing
the last moments of it in a power cut is acceptable (``synchronous=NORMAL``); messages are not kept here.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from iotgw.core import private
from iotgw.core.allowance import Allowance
from iotgw.core.model import Event
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.tenants import IForgetsTenants

P = ParamSpec("P")
T = TypeVar("T")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, tenant TEXT NOT NULL, source TEXT NOT NULL,
    name TEXT NOT NULL, type TEXT NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS event_by_name ON event (source, name, id);
CREATE INDEX IF NOT EXISTS event_by_type ON event (type, id);
CREATE INDEX IF NOT EXISTS event_by_tenant ON event (tenant, id);
"""
_LOGGERS = {
    source: Logger(namespace=f"iotgw.{source}")
    for source in ("gateway", "datasource", "integration", "converter", "credential", "token")
}
"""Whose events are lines of the log too; those of devices and downlinks come with every message."""
_BY_HAND = frozenset({"started", "stopped", "created", "changed", "deleted"})
"""What only people bring about; each of these is a line."""
_LEVELS = {"debug": LogLevel.debug, "info": LogLevel.info, "warning": LogLevel.warn, "error": LogLevel.error}
_LINES = 100
"""Lines of the log that all events together may make in a minute, besides those that people bring about."""
_LONGEST = 4096
"""Bytes of one event; a longer one loses its detail."""


@implementer(IEvents, IForgetsTenants)
class EventLog:
    """The events of one gateway in a file.

    ``capacity`` is how many events the ring holds; beyond, the oldest of the tenant with most are gone. ``pending`` is how many may wait for the disk; more are
    dropped and counted in ``dropped``. ``tell`` hears of each. Those of datasources, integrations and converters are also lines of
    the log; what may come often, one per kind of event and minute.
    """

    _log = Logger()

    def __init__(
        self,
        path: Path,
        reactor: IReactor,
        capacity: int = 100_000,
        pending: int = 10_000,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._path = path
        self._tell = tell
        self._reactor = reactor
        self._capacity = capacity
        self._pending = pending
        self._queue: deque[Event] = deque()
        self._pool = ThreadPool(1, 1, "events")
        self._database: sqlite3.Connection
        self._counts: Counter[str] = Counter()
        """Events in the file by tenant; the thread's alone."""
        self._writing = 0
        self._running = False
        self._sampled = Allowance(reactor, total=_LINES)
        self.dropped = 0

    def start(self) -> Deferred[None]:
        """Open the file; Deferred that fires when it is. A damaged one is put aside."""
        self._pool.start()
        self._running = True
        return self._in_thread(self._open).addCallback(lambda _: self._write_waiting())

    def stop(self) -> Deferred[None]:
        """Write what waits, close; Deferred."""
        if not self._running:
            return succeed(None)
        self._write_waiting()
        self._running = False
        return self._in_thread(self._close).addBoth(self._stopped)

    def _stopped(self, result: T) -> T:
        self._pool.stop()
        return result

    # --- IEvents ---

    def emit(self, event: Event) -> None:
        """See `IEvents.emit`."""
        self._tell(event)
        if event.source in _LOGGERS:
            key = (event.source, event.name, event.type, event.tenant)
            held_back = 0 if event.type in _BY_HAND else self._sampled.take(key)
            if held_back is not None:
                self._say(event, held_back)
        if len(self._queue) >= self._pending:
            self.dropped += 1
            return
        self._queue.append(event)
        if not self._writing:
            self._write_waiting()

    def _say(self, event: Event, held_back: int) -> None:
        """An event as a line of the log."""
        more = f" ({held_back} more like this in between)" if held_back else ""
        _LOGGERS[event.source].emit(
            _LEVELS[event.severity], "{name}: {text}{more}", name=event.name, text=event.message, more=more,
            type=event.type,
        )  # fmt: skip

    def query(
        self,
        tenant: str,
        before: int,
        limit: int,
        source: str | None = None,
        name: str | None = None,
        type: str | None = None,
    ) -> Deferred[list[tuple[int, Event]]]:
        """See `IEvents.query`; ``before`` is an event's id, 0 for the newest. Sees all that was emitted."""
        self._write_waiting()
        return self._in_thread(self._select, tenant, before, limit, source, name, type)

    # --- writing ---

    def _write_waiting(self) -> None:
        """Hand the waiting events to the thread. This is called again when the last batch is written, so that batches
        form by themselves."""
        if not self._queue or not self._running:
            return
        events, self._queue = list(self._queue), deque()
        self._writing += 1
        written = self._in_thread(self._write, events)
        written.addErrback(self._failed, len(events)).addCallback(self._written)

    def _written(self, result: None) -> None:
        self._writing -= 1
        if not self._writing:
            self._write_waiting()

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        return self._in_thread(self._forget_tenant, tenant)

    def _failed(self, failure: Failure, count: int) -> None:
        self.dropped += count
        self._log.warn(
            "{count} events could not be written: {error}", count=count, error=failure.getErrorMessage()
        )

    def _in_thread(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, function, *arguments, **named)

    # --- in the thread ---

    def _open(self) -> None:
        private.make_directory(self._path.parent)
        try:
            self._connect()
        except sqlite3.DatabaseError:
            self._path.replace(self._path.with_suffix(".damaged"))
            for suffix in ("-wal", "-shm"):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
            self._connect()

    def _connect(self) -> None:
        private.make_file(self._path)
        self._database = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        self._database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _SCHEMA)
        self._counts = Counter(
            dict(self._database.execute("SELECT tenant, count(*) FROM event GROUP BY tenant"))
        )

    def _close(self) -> None:
        self._database.close()

    def _write(self, events: list[Event]) -> None:
        rows = [
            (event.ts, event.tenant, event.source, event.name, event.type, _encoded(event))
            for event in events
        ]
        with self._database:
            self._database.execute("BEGIN")
            self._database.executemany(
                "INSERT INTO event (ts, tenant, source, name, type, body) VALUES (?, ?, ?, ?, ?, ?)", rows
            )
            counts = self._counts + Counter(event.tenant for event in events)
            self._counts = self._trimmed(counts)

    def _trimmed(self, counts: Counter[str]) -> Counter[str]:
        """Delete what is too much, the oldest of whoever has most: no tenant loses its events by another one's."""
        while (excess := counts.total() - self._capacity) > 0:
            (tenant, most), (_, next_) = [*counts.most_common(2), ("", 0)][:2]
            gone = min(excess, max(1, most - next_))
            self._database.execute(
                "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE tenant = ? ORDER BY id LIMIT ?)",
                (tenant, gone),
            )
            counts[tenant] -= gone
        return counts

    def _forget_tenant(self, tenant: str) -> int:
        with self._database:
            count = self._database.execute("DELETE FROM event WHERE tenant = ?", (tenant,)).rowcount
        self._counts.pop(tenant, None)
        return count

    def _select(
        self, tenant: str, before: int, limit: int, source: str | None, name: str | None, type: str | None
    ) -> list[tuple[int, Event]]:
        where: list[str] = ["tenant = ?"]
        values: list[str | int] = [tenant]
        for column, value in (("source", source), ("name", name), ("type", type)):
            if value is not None:
                where.append(f"{column} = ?")
                values.append(value)
        if before:
            where.append("id < ?")
            values.append(before)
        rows = self._database.execute(
            f"SELECT id, body FROM event WHERE {' AND '.join(where)} ORDER BY id DESC LIMIT ?",
            (*values, limit),
        )
        return [(id, msgspec.msgpack.decode(body, type=Event)) for id, body in rows]


def _encoded(event: Event) -> bytes:
    body = msgspec.msgpack.encode(event, enc_hook=str)
    if len(body) > _LONGEST:
        detail = {"omitted": f"{len(body)} bytes"}
        event = msgspec.structs.replace(event, detail=detail, message=event.message[: _LONGEST // 4])
        body = msgspec.msgpack.encode(event)
    return body
