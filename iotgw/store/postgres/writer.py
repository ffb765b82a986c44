"""The writer of a partition: one thread, one connection, one group after another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import msgspec
import psycopg
from msgspec import Struct
from twisted.internet.interfaces import IReactorThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import Unavailable
from iotgw.core.model import Counters, State
from iotgw.core.ports.journal import Entries
from iotgw.store import unfit
from iotgw.store.group import Group
from iotgw.store.names import NameTable
from iotgw.store.postgres.committer import PartitionCommitter
from iotgw.store.postgres.connection import is_away
from iotgw.store.postgres.drain import SpillDrain
from iotgw.store.postgres.erasing import erase_some
from iotgw.store.postgres.fenced import CannotTell, FencedConnection
from iotgw.store.postgres.node import IHolder
from iotgw.store.postgres.partition import Fenced
from iotgw.store.postgres.positions import PartitionEpochs, PartitionPositions
from iotgw.store.postgres.trim import PartitionTrimmer
from iotgw.store.space import JournalLimits, Space
from iotgw.store.writing import CommitReport, Committed, Opened

HANGS = 60.0
"""Seconds after which a reactor that says nothing is taken for one that hangs: then the lease may run out, so that another node goes on."""
KEEP = "INSERT INTO fact VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def clock_of(part: int) -> str:
    """The key in the table ``fact`` of the state of a node's clock; of its partition."""
    return "clock" if part == 1 else f"clock/{part}"


class Hears(Struct, frozen=True):
    """Who hears of the writer, in the reactor's thread: of commits, of the space that is left, of a database that doesn't answer (with an empty text
    when it does again), and of the loss of the partition."""

    report: Callable[[CommitReport], None]
    space: Callable[[Space], None]
    trouble: Callable[[str], None]
    fenced: Callable[[str], None]


class _Order(Struct, frozen=True):
    """What the thread has to do. Without a group: what isn't urgent."""

    now_ms: int
    group: Group | None = None


class PartitionWriter:
    """Commits groups to the partition that ``node`` holds; first of all what is in the file ``spilled``.

    Many methods: those of the port, and what each does in the thread.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorThreads,
        node: IHolder,
        limits: JournalLimits,
        names: NameTable,
        hears: Hears,
        spilled: Path | None = None,
    ) -> None:
        self._reactor = reactor
        self._node = node
        self._limits = limits
        self._names = names
        self._hears = hears
        self._spilled = spilled
        self._space = Space()
        self._orders: SimpleQueue[_Order | Callable[[], None]] = SimpleQueue()
        self._ordered = time.monotonic()
        self._given_up = threading.Event()
        self._is_open_for_orders = True
        self.part = 0
        """The number of the partition, once it is open."""
        self.put_aside = ""
        """What became of a damaged file of what was spilled; empty for nothing."""
        self._database: FencedConnection
        self._committer: PartitionCommitter
        self._trimmer: PartitionTrimmer
        self._positions: PartitionPositions

    def start(self, opened: Callable[[Opened | Failure], None]) -> None:
        """See `GroupWriter.start`."""
        threading.Thread(target=self._run, args=(opened,), name="journal-writer", daemon=True).start()

    def write(self, group: Group, now_ms: int, probe: bool = False) -> None:
        """See `GroupWriter.write`. An attempt is the probe."""
        self._orders.put(_Order(now_ms, group))

    def tend(self, now_ms: int) -> None:
        """See `GroupWriter.tend`."""
        self._orders.put(_Order(now_ms))

    def hold(self, integration: str, age_ms: int) -> None:
        """See `GroupWriter.hold`."""
        self._orders.put(lambda: self._trimmer.holds.__setitem__(self._names[integration], age_ms))

    def keep_clock(self, state: str) -> None:
        """See `GroupWriter.keep_clock`."""
        self._orders.put(lambda: self._keep_clock(state))

    def take_back(
        self, integration: str, taken: Callable[[tuple[int, Counters] | Failure | None], None]
    ) -> None:
        """Write again how far a lent integration has come. ``taken`` is called in the reactor's thread with the place and the accounts that it has by then,
        None where there are none, or with a failure."""
        self._orders.put(lambda: self._take_back(integration, taken))

    def erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        """See `GroupWriter.erase`."""
        self._orders.put(lambda: self._erase(tenant, after, erased))

    def give_up(self) -> None:
        """Wait no longer for a database that is away: what is in doubt is reported as not stored."""
        self._given_up.set()
        self._database.abandon()

    def stop(self, stopped: Callable[[], None]) -> None:
        """See `GroupWriter.stop`."""
        self._orders.put(lambda: self._close(stopped))

    # --- in the thread ---

    def _run(self, opened: Callable[[Opened | Failure], None]) -> None:
        try:
            result: Opened | Failure = self._open()
        except Exception:  # handed to whoever asked
            result = Failure()
        self._node.taken_up()
        self._reactor.callFromThread(opened, result)
        if isinstance(result, Failure):
            return
        while self._is_open_for_orders:
            order = self._next()
            if order is None:
                self._guarded(self._committer.beat)
            elif not isinstance(order, _Order):
                order()
            elif order.group is None:
                self._tend(order.now_ms)
            else:
                self._commit(order.group, order.now_ms)
                self._trim(order.now_ms)
            del order  # nothing of the last group stays while the thread waits

    def _next(self) -> _Order | Callable[[], None] | None:
        """The next order. None where it is late: the reactor has a lot to do, as at the start, and the lease must not run out meanwhile."""
        try:
            order = self._orders.get(timeout=self._node.lease / 4)
        except Empty:
            if time.monotonic() - self._ordered < HANGS:
                return None
            order = self._orders.get()
        self._ordered = time.monotonic()
        return order

    def _open(self) -> Opened:
        connection, mine = self._node.hand_over()
        self._database = FencedConnection(
            self._node.address, connection, mine, self._in_trouble, self._given_up.is_set
        )
        self.part = part = mine.part
        names = self._names
        rows = connection.execute("SELECT id, text FROM name WHERE part = %s", (part,)).fetchall()
        names.load((number, text.decode()) for number, text in rows)
        positions = self._positions = PartitionPositions(connection, part)
        if self._spilled is not None:
            self._drain(self._spilled)
        epochs = PartitionEpochs(self._database.connection, part, positions)
        self._committer = PartitionCommitter(self._database, names, positions, epochs, self._node.lease)
        self._trimmer = PartitionTrimmer(self._database, positions, self._limits)
        texts = names.texts
        connection = self._database.connection
        integrations = connection.execute(
            "SELECT id, cursor, counters FROM integration WHERE part = %s", (part,)
        )
        return Opened(
            epochs.earlier,
            epochs.current,
            positions.uplink,
            positions.telemetry,
            {texts[number]: cursor for number, cursor in positions.converted.items()},
            [
                texts[number]
                for number, last in positions.received.items()
                if positions.converted.get(number, 0) < last
            ],
            _counts(
                connection.execute("SELECT datasource, state, count FROM tally WHERE part = %s", (part,)),
                texts,
            ),
            {
                texts[number]: (cursor, msgspec.json.decode(counters, type=Counters))
                for number, cursor, counters in integrations
            },
            frozenset(texts[number] for number in positions.lent),
        )

    def _drain(self, file: Path) -> None:
        drained = SpillDrain(self._database, self._positions, self._names).drain(file)
        if drained.put_aside:
            self.put_aside = drained.put_aside
            self._log.critical("messages that were spilled are lost: {problem}", problem=drained.put_aside)
        if drained.count:
            self._log.info("{count} messages that were spilled are in the journal now", count=drained.count)
        if drained.renumbered:
            self._log.error("their ids have changed, as others have got them meanwhile")

    def _close(self, stopped: Callable[[], None]) -> None:
        self._is_open_for_orders = False
        self._database.close()
        self._reactor.callFromThread(stopped)

    def _commit(self, group: Group, now_ms: int) -> None:
        bad: Entries = []
        try:
            try:
                committed = self._committer.commit(group, now_ms)
            except Exception as error:
                if is_away(error) or isinstance(error, Fenced | CannotTell):
                    raise
                self._log.warn("a record can't be stored and was rejected: {error}", error=error)
                bad = unfit.take_out(group)
                committed = self._commit_mended(group, now_ms)
        except Exception as error:  # whatever it was, the journal carries on and reports it
            if isinstance(error, Fenced):
                self._reactor.callFromThread(self._hears.fenced, str(error))
            elif not isinstance(error, psycopg.Error | CannotTell):
                self._log.failure("a group could not be committed")
            done = CommitReport(group, None, str(error).strip() or type(error).__name__, bad)
        else:
            done = CommitReport(group, committed, unfit=bad)
        self._reactor.callFromThread(self._hears.report, done)

    def _commit_mended(self, group: Group, now_ms: int) -> Committed:
        """The last resort against a record that would be retried for ever: store only the uplinks. Their cursors don't
        move, so they are converted and delivered again after a restart."""
        try:
            return self._committer.commit(group, now_ms)
        except Exception as error:
            if is_away(error) or isinstance(error, Fenced | CannotTell):
                raise
            self._log.failure("outcomes and progress can't be stored and were dropped")
            group.results, group.progress = [], {}
            return self._committer.commit(group, now_ms)

    def _tend(self, now_ms: int) -> None:
        if self._guarded(lambda: self._committer.rest(now_ms)):
            while self._trim(now_ms) and self._orders.empty():
                pass

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Do what nobody waits for. Returns whether it could be done."""
        try:
            work()
        except Fenced as error:
            self._reactor.callFromThread(self._hears.fenced, str(error))
            return False
        except (psycopg.Error, CannotTell) as error:
            self._log.warn("the database: {error}", error=error)
            if is_away(error):  # whoever balances loads should know before a message comes
                self._in_trouble(f"the database is away: {str(error).strip()}")
            return False
        return True

    def _keep_clock(self, state: str) -> None:
        try:
            self._database.fetch(f"{KEEP} RETURNING 1", (clock_of(self.part), state.encode()))
        except psycopg.Error as error:
            self._log.warn("the state of the clock could not be written: {error}", error=error)

    def _erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        try:
            done: tuple[int, int] | Failure = erase_some(
                self._database, self._positions, self._names, tenant, after
            )
        except (psycopg.Error, CannotTell, Fenced):
            done = Failure()
        self._reactor.callFromThread(erased, done)

    def _take_back(
        self, integration: str, taken: Callable[[tuple[int, Counters] | Failure | None], None]
    ) -> None:
        try:
            found: tuple[int, Counters] | Failure | None = self._committer.take_back(integration)
        except (psycopg.Error, CannotTell, Fenced) as error:
            found = Failure(Unavailable(f"the database: {str(error).strip()}", 1.0))
        self._reactor.callFromThread(taken, found)

    def _trim(self, now_ms: int) -> bool:
        if self._database.connection.closed:  # the next commit connects anew
            return False
        try:
            more = self._trimmer.step(now_ms)
        except (psycopg.Error, CannotTell, Fenced) as error:
            self._log.warn("the journal could not be trimmed: {error}", error=error)
            return False
        if self._trimmer.space != self._space:
            self._space = self._trimmer.space
            self._reactor.callFromThread(self._hears.space, self._space)
        return more

    def _in_trouble(self, problem: str) -> None:
        self._reactor.callFromThread(self._hears.trouble, problem)


def _counts(rows: Any, texts: dict[int, str]) -> dict[str, dict[str, int]]:
    """Datasource → number of its uplinks in each state."""
    words = {State.RECEIVED: "received", State.CONVERTED: "converted", State.FAILED: "failed"}
    found: dict[str, dict[str, int]] = {}
    for number, state, count in rows:
        word = words.get(state, "filtered")  # or kept, which is filtered too
        counts = found.setdefault(texts[number], {})
        counts[word] = counts.get(word, 0) + count
    return found
