"""The record of events: a ring.

Events are written in batches that form while the last batch is written, in one thread of its own.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from iotgw.core.allowance import Allowance
from iotgw.core.errors import Unavailable
from iotgw.core.model import Event
from iotgw.core.ports.events import EventRow, IEventRows, IEvents
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.tenants import IForgetsTenants

P = ParamSpec("P")
T = TypeVar("T")

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
_PAUSE = 5.0
"""Seconds between attempts while what stores them is away."""
_LONGEST = 4096
"""Bytes of one event; a longer one loses its detail."""


@implementer(IEvents, IForgetsTenants)
class EventLog:
    """The events of one gateway, in ``rows``.

    ``capacity`` is how many events the ring holds; beyond, the oldest of the tenant with most are gone. ``pending`` is how many may wait for the disk; more are
    dropped and counted in ``dropped``. ``tell`` hears of each. Those of datasources, integrations and converters are also lines of
    the log; what may come often, one per kind of event and minute.
    """

    _log = Logger()

    def __init__(
        self,
        rows: IEventRows,
        reactor: IReactor,
        capacity: int = 100_000,
        pending: int = 10_000,
        tell: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._rows = rows
        self._tell = tell
        self._reactor = reactor
        self._capacity = capacity
        self._pending = pending
        self._queue: deque[Event] = deque()
        self._pool = ThreadPool(1, 1, "events")
        self._counts: Counter[str] = Counter()
        """Events that are stored, by tenant; the thread's alone."""
        self._again: IDelayedCall | None = None
        """When the next attempt is made, while they can't be stored."""
        self._writing = 0
        self._running = False
        self._sampled = Allowance(reactor, total=_LINES)
        self.dropped = 0

    def start(self) -> Deferred[None]:
        """Open what stores them; Deferred that fires when it is."""
        self._pool.start()
        self._running = True
        return self._in_thread(self._open).addCallback(lambda _: self._write_waiting())

    def stop(self) -> Deferred[None]:
        """Write what waits, close; Deferred."""
        if not self._running:
            return succeed(None)
        self._try_again()
        self._running = False
        return self._in_thread(self._rows.close).addBoth(self._stopped)

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
        if not self._queue or not self._running or self._again is not None:
            return
        events, self._queue = list(self._queue), deque()
        self._writing += 1
        written = self._in_thread(self._write, events)
        written.addErrback(self._failed, events).addCallback(self._written)

    def _written(self, result: None) -> None:
        self._writing -= 1
        if not self._writing:
            self._write_waiting()

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        return self._in_thread(self._forget_tenant, tenant)

    def _failed(self, failure: Failure, events: list[Event]) -> None:
        count = len(events)
        if failure.check(Unavailable) is not None and self._running:
            self._queue.extendleft(reversed(events))
            count = max(0, len(self._queue) - self._pending)
            for _ in range(count):
                self._queue.pop()
            if self._again is None:
                self._again = self._reactor.callLater(_PAUSE, self._try_again)
        self.dropped += count
        if count:
            self._log.warn(
                "{count} events could not be written: {error}", count=count, error=failure.getErrorMessage()
            )

    def _try_again(self) -> None:
        again, self._again = self._again, None
        if again is not None and again.active():
            again.cancel()
        self._write_waiting()

    def _in_thread(self, function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._pool, function, *arguments, **named)

    # --- in the thread ---

    def _open(self) -> None:
        self._counts = Counter(self._rows.open())

    def _write(self, events: list[Event]) -> None:
        rows: list[EventRow] = [
            (event.ts, event.tenant, event.source, event.name, event.type, _encoded(event))
            for event in events
        ]
        counts = self._counts + Counter(event.tenant for event in events)
        self._rows.write(rows, _surplus(counts, self._capacity))
        self._counts = counts

    def _forget_tenant(self, tenant: str) -> int:
        count = self._rows.forget_tenant(tenant)
        self._counts.pop(tenant, None)
        return count

    def _select(
        self, tenant: str, before: int, limit: int, source: str | None, name: str | None, type: str | None
    ) -> list[tuple[int, Event]]:
        rows = self._rows.select(tenant, before, limit, source, name, type)
        return [(id, msgspec.msgpack.decode(body, type=Event)) for id, body in rows]


def _surplus(counts: Counter[str], capacity: int) -> list[tuple[str, int]]:
    """What is too much, by tenant, of whoever has most: no tenant loses its events by another one's. It is taken off the counts."""
    gone: list[tuple[str, int]] = []
    while (excess := counts.total() - capacity) > 0:
        (tenant, most), (_, next_) = [*counts.most_common(2), ("", 0)][:2]
        some = min(excess, max(1, most - next_))
        counts[tenant] -= some
        gone.append((tenant, some))
    return gone


def _encoded(event: Event) -> bytes:
    body = msgspec.msgpack.encode(event, enc_hook=str)
    if len(body) > _LONGEST:
        detail = {"omitted": f"{len(body)} bytes"}
        event = msgspec.structs.replace(event, detail=detail, message=event.message[: _LONGEST // 4])
        body = msgspec.msgpack.encode(event)
    return body
