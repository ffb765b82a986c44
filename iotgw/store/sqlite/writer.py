"""The journal's writer: one thread, one connection, one group after another.

Of the reactor it uses only ``callFromThread``, once per commit.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from queue import SimpleQueue

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IReactorThreads
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.model import Counters, State
from iotgw.core.ports.journal import Entries
from iotgw.store import unfit
from iotgw.store.group import Group
from iotgw.store.names import NameTable
from iotgw.store.space import JournalLimits, Space
from iotgw.store.sqlite import clock, damage, uplinks_anew
from iotgw.store.sqlite import database as sqlite
from iotgw.store.sqlite.around import WorkAround
from iotgw.store.sqlite.commit import Committer
from iotgw.store.sqlite.epoch_table import EpochTable
from iotgw.store.sqlite.erasing import erase_some
from iotgw.store.sqlite.positions import Positions
from iotgw.store.sqlite.trim import Trimmer
from iotgw.store.writing import CommitReport, Committed, Opened


class _Order(Struct, frozen=True):
    """What the thread has to do. Without a group: see whether the disk works, or trim."""

    now_ms: int
    group: Group | None = None
    probe: bool = False


class Writer:
    """Commits groups. ``report`` is called in the reactor's thread with a `CommitReport` for each.

    ``space`` is called there when the `Space` that is left changes. ``damaged`` is called there, as
    `IJournalListener.damaged`, when damage to the file keeps something from being written or deleted.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorThreads,
        path: Path,
        limits: JournalLimits,
        names: NameTable,
        report: Callable[[CommitReport], None],
        space: Callable[[Space], None],
        damaged: damage.Tell,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._mark = damage.OpenMark(path)
        self._limits = limits
        self._names = names
        self._report = report
        self._tell_space = space
        self._tell_damaged = damaged
        self._space = Space()
        self._orders: SimpleQueue[_Order | Callable[[], None]] = SimpleQueue()
        self._committer: Committer
        self._around: WorkAround
        self._trimmer: Trimmer
        self._connection: sqlite3.Connection

    def start(self, opened: Callable[[Opened | Failure], None]) -> None:
        """Open the database in the thread. ``opened`` is called with what it holds, or with the failure."""
        threading.Thread(target=self._run, args=(opened,), name="journal-writer", daemon=True).start()

    def write(self, group: Group, now_ms: int, probe: bool = False) -> None:
        """Commit a group. The next may follow only after its report. With ``probe``, first find out whether a commit
        can succeed."""
        self._orders.put(_Order(now_ms, group, probe))

    def tend(self, now_ms: int) -> None:
        """Trim, if necessary and if there is nothing else to do."""
        self._orders.put(_Order(now_ms))

    def hold(self, integration: str, age_ms: int) -> None:
        """Keep records that an integration waits for up to this age, in milliseconds."""
        self._orders.put(lambda: self._trimmer.holds.__setitem__(self._names[integration], age_ms))

    def keep_clock(self, state: str) -> None:
        """Keep the state of the gateway's clock, before what is ordered from now on."""
        self._orders.put(lambda: self._keep_clock(state))

    def between(self, function: Callable[[], None]) -> None:
        """Run a function in the thread, between two commits. It doesn't raise."""
        self._orders.put(function)

    def erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        """See `GroupWriter.erase`."""
        self._orders.put(lambda: self._erase(tenant, after, erased))

    def stop(self, stopped: Callable[[], None]) -> None:
        """Close after the work that is queued. ``stopped`` is called in the reactor's thread."""
        self._orders.put(lambda: self._close(stopped))

    # --- in the thread ---

    def _run(self, opened: Callable[[Opened | Failure], None]) -> None:
        try:
            result: Opened | Failure = self._open()
        except Exception:  # handed to whoever asked
            result = Failure()
        self._reactor.callFromThread(opened, result)
        if isinstance(result, Failure):
            return
        self._open_for_orders = True
        while self._open_for_orders:
            order = self._orders.get()
            if not isinstance(order, _Order):
                order()
            elif order.group is None:
                self._tend(order.now_ms)
            else:
                self._commit(order.group, order.now_ms, order.probe)
                self._trim(order.now_ms)
            del order  # nothing of the last group stays while the thread waits

    def _open(self) -> Opened:
        lost = self._mark.lost()
        with damage.opening(self._path):
            opened = self._load()
        self._mark.set()
        if lost:
            last = opened.last_uplink
            what = f"{lost}. Uplinks after position {last} and telemetry after position {opened.head} may be missing"
            self._reactor.callFromThread(self._tell_damaged, "uplink", last + 1, 0, what)
        return opened

    def _load(self) -> Opened:
        connection = self._connection = sqlite.connect(self._path)
        sqlite.upgrade(connection, "journal")
        names = self._names
        uplinks_anew.tidy_up(connection)
        names.load(connection.execute("SELECT id, text FROM name"))
        positions = self._positions(connection)
        epochs = EpochTable(connection, positions)
        self._committer = Committer(connection, names, positions, epochs)
        damaged = partial(self._reactor.callFromThread, self._tell_damaged)
        self._around = WorkAround(connection, self._committer, self._path, damaged)
        self._trimmer = Trimmer(connection, positions, self._limits, damaged)
        return Opened(
            epochs.earlier,
            epochs.current,
            positions.uplink,
            positions.telemetry,
            {names.texts[number]: cursor for number, cursor in positions.converted.items()},
            [
                names.texts[number]
                for number, last in positions.received.items()
                if positions.converted.get(number, 0) < last
            ],
            _counts(connection, names),
            {
                names.texts[number]: (cursor, msgspec.json.decode(counters, type=Counters))
                for number, cursor, counters in connection.execute("SELECT * FROM integration")
            },
        )

    def _positions(self, connection: sqlite3.Connection) -> Positions:
        """The positions; if only the table of uplinks is damaged, of one that is built anew."""
        try:
            return Positions(connection)
        except sqlite3.Error as error:
            if not (damage.is_damage(error) and uplinks_anew.is_the_only_damage(connection)):
                raise
            tell = partial(self._reactor.callFromThread, self._tell_damaged)
            uplinks_anew.rebuild_uplinks(connection, self._path, tell)
        return Positions(connection)

    def _erase(self, tenant: str, after: int, erased: Callable[[tuple[int, int] | Failure], None]) -> None:
        try:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
            nobody = self._names[""]
            for pair in self._names.unsaved:  # each a transaction of its own
                self._connection.execute("INSERT OR IGNORE INTO name VALUES (?, ?)", pair)
            self._names.saved()
            done: tuple[int, int] | Failure = erase_some(self._connection, tenant, after, nobody)
        except sqlite3.Error:
            done = Failure()
        self._reactor.callFromThread(erased, done)

    def _close(self, stopped: Callable[[], None]) -> None:
        self._open_for_orders = False
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        self._mark.clear()
        self._connection.close()
        self._reactor.callFromThread(stopped)

    def _commit(self, group: Group, now_ms: int, probe: bool) -> None:
        bad: Entries = []
        try:
            if probe:
                self._committer.probe()
            try:
                committed = self._committer.commit(group, now_ms)
            except Exception as error:
                if damage.is_damage(error):
                    self._around.mend(group, now_ms)
                    self._trimmer.unused = self._around.unused
                    committed = self._committer.commit(group, now_ms)
                elif damage.is_disk_fault(error):
                    raise
                else:
                    self._log.warn("a record can't be stored and was rejected: {error}", error=error)
                    bad = unfit.take_out(group)
                    committed = self._commit_mended(group, now_ms)
        except Exception as error:  # whatever it was, the journal carries on and reports it
            if not isinstance(error, sqlite3.Error):
                self._log.failure("a group could not be committed")
            done = CommitReport(group, None, str(error) or type(error).__name__, bad)
        else:
            done = CommitReport(group, committed, unfit=bad)
        self._reactor.callFromThread(self._report, done)

    def _commit_mended(self, group: Group, now_ms: int) -> Committed:
        """The last resort against a record that would be retried for ever: store only the uplinks. Their cursors don't
        move, so they are converted and delivered again after a restart."""
        try:
            return self._committer.commit(group, now_ms)
        except Exception as error:
            if damage.is_disk_fault(error):
                raise
            self._log.failure("outcomes and progress can't be stored and were dropped")
            group.results, group.progress = [], {}
            return self._committer.commit(group, now_ms)

    def _tend(self, now_ms: int) -> None:
        try:
            self._committer.rest(now_ms)
        except sqlite3.Error as error:
            self._log.warn("the journal's clock could not be written: {error}", error=error)
        while self._trim(now_ms) and self._orders.empty():
            pass

    def _keep_clock(self, state: str) -> None:
        try:
            self._committer.keep(clock.KEY, state)
        except sqlite3.Error as error:
            self._log.warn("the state of the clock could not be written: {error}", error=error)

    def _trim(self, now_ms: int) -> bool:
        try:
            more = self._trimmer.step(now_ms)
        except sqlite3.Error as error:
            self._log.warn("the journal could not be trimmed: {error}", error=error)
            return False
        if self._trimmer.space != self._space:
            self._space = self._trimmer.space
            self._reactor.callFromThread(self._tell_space, self._space)
        return more


def _counts(connection: sqlite3.Connection, names: NameTable) -> dict[str, dict[str, int]]:
    """Datasource → number of its uplinks in each state."""
    words = {State.RECEIVED: "received", State.CONVERTED: "converted", State.FAILED: "failed"}
    found: dict[str, dict[str, int]] = {}
    for number, state, count in connection.execute("SELECT datasource, state, count FROM tally"):
        word = words.get(state, "filtered")  # or kept, which is filtered too
        counts = found.setdefault(names.texts[number], {})
        counts[word] = counts.get(word, 0) + count
    return found
