"""While the database is away, messages are acknowledged from a file, and get into the partition later: once, in order, under the ids that were told."""

import contextlib
import shutil
import sqlite3
import time
from contextlib import contextmanager

import pytest

from iotgw.core.epochs import Epoch
from iotgw.core.model import Kind, StoredUplink, TelemetryRecord
from iotgw.core.times import DateMs
from iotgw.store.postgres.journal import PATIENCE, PostgresJournal
from iotgw.store.postgres.node import DatabaseNode, HeldPartition
from iotgw.store.postgres.partition import adopt
from iotgw.store.postgres.spill import Spill
from iotgw.store.postgres.spilling import CHUNK, SpillingJournal
from iotgw.store.sqlite.spill import SpillFile
from iotgw.testing import ThreadClock
from iotgw.testing.contracts.journal_world import HeardJournal
from tests.peers.process import wait_until

from .test_traps import World, until_asked, without_its_standby

pytestmark = pytest.mark.interop
UDP, TCP = "udp", "tcp"
"""A datasource that spills, and one that doesn't."""


class SpillingWorld(World):
    def __init__(self, clock, postgres, address, folder):
        super().__init__(clock, postgres, address, folder / "secret.key")
        self.file = folder / "spill.db"
        self.max_bytes = 1 << 20

    def open(self):
        self.node = DatabaseNode(self.clock, self.address, self.key)
        self.wait(self.node.start())
        spill = Spill(self.clock, self.file, self.max_bytes)
        journal = SpillingJournal(self.clock, self.node, spill, lost=lambda: self.losses.append(True))
        self.wait(journal.start(self.listener))
        journal.when_away(UDP, True)
        return journal

    def goes_on(self, happened):
        """Let the gateway's time pass until a condition holds, also when no thread has anything to say."""

        def looked():
            self.clock.callFromThread(lambda: time.sleep(0.01))
            return happened() or self.advanced()

        self.until(looked)

    @contextmanager
    def away(self):
        """Nobody can reach the database."""
        self.ready()
        self._allow(False)
        try:
            self.goes_on(lambda: self.part.spills(UDP))
            yield
        finally:
            self._allow(True)

    def _allow(self, may_connect):
        with self.postgres.connect("postgres") as connection:
            connection.execute(f"ALTER DATABASE {self.database} ALLOW_CONNECTIONS {may_connect}")
            if not may_connect:
                connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (self.database,))  # fmt: skip

    def spill(self, *payloads):
        """Messages come, and are answered from the file."""
        heard = self.listener.spilled_entries
        count = len(heard) + len(payloads)
        assert self.part.spills(UDP)
        positions = self.append(*payloads, datasource=UDP)
        self.until(lambda: len(heard) >= count)
        return positions

    def back(self):
        """The database can be reached again; wait until everything is as always."""
        self.goes_on(lambda: self.part.room and not self.part._spill.size)

    def crash(self):
        """The process ends in this moment. What it leaves is a copy of its file, and what the database has."""
        journal, self._opened = self._opened, None
        journal._tick.stop()
        ended = []
        journal._writer.stop(lambda: ended.append(True))
        self.until(lambda: ended)
        self.__dict__.pop("listener", None)
        left = self.file.parent / "left"
        left.mkdir()
        for each in self.file.parent.glob("spill.db*"):
            shutil.copy(each, left / each.name)
        self.file = left / self.file.name

    @property
    def rows(self):
        return self.asked("SELECT seq, payload FROM iotgw.uplink ORDER BY seq")

    @property
    def ids(self):
        return [self.part.epochs.message_id(seq) for seq, _ in self.rows]


@pytest.fixture
def world(postgres, address, tmp_path):
    world = SpillingWorld(ThreadClock(), postgres, address, tmp_path)
    yield world
    world.teardown_method()


def test_what_comes_while_the_database_is_away_is_in_it_later_under_the_ids_that_were_told(world):
    world.store(b"before", datasource=UDP)
    with world.away():
        assert not world.part.spills(TCP)
        assert world.spill(b"a", b"b") == [2, 3]
        told = [world.part.epochs.message_id(seq) for seq in (2, 3)]
        assert world.wait(world.part.stats())["spill"]["messages"] == 2
        times = [stored.uplink.received_ms for stored, _ in world.listener.spilled_entries]
    world.back()
    world.store(b"after", datasource=TCP)
    assert world.rows == [(1, b"before"), (2, b"a"), (3, b"b"), (4, b"after")]
    assert world.ids[1:3] == told
    assert [stored.seq for stored, _ in world.listener.entries] == [1, 2, 3, 4]  # heard once each
    assert [
        ms for (ms,) in world.asked("SELECT received_ms FROM iotgw.uplink WHERE seq IN (2, 3) ORDER BY seq")
    ] == times
    assert world.wait(world.part.stats())["spill"]["messages"] == 0
    assert world.listener.lost == []


def test_what_waits_when_the_database_goes_is_spilled_or_refused_as_its_datasource_says(world):
    world.ready()
    with without_its_standby(world.postgres):
        wait_until(lambda: world.asked("SHOW synchronous_standby_names") == [("nobody",)])
        world.append(b"doubtful", datasource=UDP)
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
        until_asked(world, lambda: world.asked(waits) == [(1,)])
        world.append(b"behind", datasource=UDP)
        world.append(b"refused", datasource=TCP)
        world.clock.advance(PATIENCE + 1)
        world.until(lambda: len(world.listener.spilled_entries) == 2)
        assert [stored.uplink.payload for stored, _ in world.listener.lost] == [b"refused"]
        assert world.listener.entries == []
    world.back()
    assert world.rows == [(1, b"doubtful"), (2, b"behind")]
    told = [answer for _, answer in world.listener.entries]
    assert not {id(each) for each in told} & {
        id(each) for _, each in world.listener.spilled_entries
    }  # nobody is answered twice
    assert world.listener.postponed_entries == []


NO_ROOM = """CREATE FUNCTION iotgw.no_room() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END$$;
CREATE TRIGGER no_room BEFORE INSERT ON iotgw.uplink FOR EACH ROW EXECUTE FUNCTION iotgw.no_room()"""


def test_what_was_being_stored_when_the_databases_disk_was_full_is_postponed(world):
    world.ready()
    with world.postgres.connect(world.database) as connection:
        connection.execute(NO_ROOM)
    world.append(b"x", datasource=UDP)
    world.until(lambda: world.listener.spilled_entries and world.listener.postponed_entries)
    assert [[stored.seq for stored, _ in each] for each in world.listener.storings] == [[1]]
    with world.postgres.connect(world.database) as connection:
        connection.execute("DROP TRIGGER no_room ON iotgw.uplink")
    world.back()
    assert world.rows == [(1, b"x")]


NO_ROOM_ONCE = NO_ROOM.replace(
    "BEGIN RAISE", "BEGIN IF NEW.payload <> 'first' THEN RETURN NEW; END IF; RAISE"
)


def test_what_waits_behind_a_group_for_which_there_was_no_room_does_not_get_before_it(world):
    """It would be taken for all that was spilled before."""
    world.ready()
    with world.postgres.connect(world.database) as connection:
        connection.execute(NO_ROOM_ONCE)
        with connection.transaction():
            connection.execute("LOCK TABLE iotgw.uplink IN ACCESS EXCLUSIVE MODE")
            world.append(b"first", datasource=UDP)
            waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            until_asked(world, lambda: world.asked(waits) == [(1,)])
            world.append(b"behind", datasource=UDP)
            world.append(b"refused", datasource=TCP)
        world.until(lambda: world.listener.spilled_entries)
        connection.execute("DROP TRIGGER no_room ON iotgw.uplink")
    world.back()
    assert world.rows == [(1, b"first"), (2, b"behind")]
    assert [stored.uplink.payload for stored, _ in world.listener.lost] == [b"refused"]


def test_what_comes_while_it_drains_comes_after_it(world):
    with world.away():
        world.spill(*[b"%d" % n for n in range(CHUNK + 50)])
    count = CHUNK + 50

    def came():
        nonlocal count
        if world.part.room or world.part.spills(UDP):
            world.append(b"%d" % count, datasource=UDP)
            count += 1
        return world.part.room and not world.part._is_spilling

    world.goes_on(came)
    world.store(b"%d" % count, datasource=TCP)
    assert [payload for _, payload in world.rows] == [b"%d" % n for n in range(count + 1)]
    assert [stored.uplink.payload for stored, _ in world.listener.entries] == [
        b"%d" % n for n in range(count + 1)
    ]


def test_a_file_that_may_not_grow_any_more_takes_nothing(world):
    world.max_bytes = 300
    with world.away():
        world.spill(b"a" * 200)
        assert not world.part.spills(UDP)
    world.back()
    assert world.rows == [(1, b"a" * 200)]


@pytest.mark.parametrize("before", [[], [b"before"]], ids=["in an epoch of its own", "after others"])
def test_what_a_killed_node_has_spilled_is_in_the_journal_when_it_has_started_again(world, before):
    for each in before:
        world.store(each, datasource=UDP)
    with world.away():
        seqs = world.spill(b"a", b"b")
        told = [world.part.epochs.message_id(seq) for seq in seqs]
        world.crash()
    world.ready()
    assert [payload for _, payload in world.rows] == [*before, b"a", b"b"]
    assert world.ids[len(before) :] == told
    assert world.part.unconverted() == [UDP]
    (later,) = world.store(b"later", datasource=UDP)
    assert world.part.epochs.message_id(later) not in told
    assert world.part.epochs.position(told[1]) == seqs[1]


def stale(world):
    """Make the owner look dead."""
    world.asked("UPDATE iotgw.partition SET alive_at = now() - interval '1 hour' RETURNING 1")


def test_what_was_spilled_keeps_its_ids_also_when_another_node_has_had_the_partition(world):
    world.store(b"before", datasource=UDP)
    with world.away():
        seqs = world.spill(b"a", b"b")
        told = [world.part.epochs.message_id(seq) for seq in seqs]
        world.crash()
    stale(world)
    adopter = HeardJournal()
    connection = world.address.connect()
    held = HeldPartition(world.address, 10.0, connection, adopt(connection, 1, "b"))
    adopted = PostgresJournal(world.clock, held)
    world.wait(adopted.start(adopter))
    adopted.emit(
        TelemetryRecord(0, 0, "default", UDP, DateMs(1), "d", "t", b"{}", Kind.EVENT)
    )  # which begins its epoch
    world.until(lambda: adopter.records)
    other = adopted.epochs.current
    world.wait(adopted.stop())
    stale(world)
    world.ready()
    assert [payload for _, payload in world.rows] == [b"before", b"a", b"b"]
    assert world.ids[1:] == told
    assert other in [name for (name,) in world.asked("SELECT name FROM iotgw.epoch")]
    assert world.part.epochs.number(adopter.records[0]) == f"{other}-1"


def test_what_was_drained_and_not_dropped_comes_once(world):
    """The process ends between the two; the next one ends again in between."""
    with world.away():
        seqs = world.spill(b"a", b"b")
        told = [world.part.epochs.message_id(seq) for seq in seqs]
        world.crash()
    kept = world.file.with_name("kept.db")
    shutil.copy(world.file, kept)
    shutil.copy(f"{world.file}-wal", f"{kept}-wal")
    world.ready()
    world.teardown_method()
    world.file = kept
    world.ready()
    assert [payload for _, payload in world.rows] == [b"a", b"b"]
    assert world.ids == told
    assert world.wait(world.part.stats())["spill"]["messages"] == 0


def test_what_was_spilled_gets_other_ids_where_its_own_were_given_to_others(world):
    """A machine took its place, with a data directory of its own, and then the old disk came back."""
    with world.away():
        seqs = world.spill(b"a", b"b")
        told = [world.part.epochs.message_id(seq) for seq in seqs]
        world.crash()
    left, world.file = world.file, world.file.with_name("other.db")
    world.store(b"other", datasource=UDP)
    world.teardown_method()
    world.file = left
    world.ready()
    assert [payload for _, payload in world.rows] == [b"other", b"a", b"b"]
    assert not set(told) & set(world.ids)
    assert len(set(world.ids)) == 3


def test_renumbered_rows_keep_their_order(tmp_path):
    file = SpillFile(tmp_path / "spill.db")
    world = SpillingWorld(ThreadClock(), None, None, tmp_path)
    file.add([StoredUplink(seq, world.uplink(b"%d" % seq)) for seq in (2, 3, 7)], Epoch("a", 1, 0))
    file.renumber(Epoch("b", 5, 9))
    assert [(each.seq, each.uplink.payload) for each in file.after(0, -1)] == [
        (6, b"2"),
        (7, b"3"),
        (8, b"7"),
    ]
    assert file.origin == Epoch("b", 5, 9)
    file.close()


def pages_of(file, table):
    """The numbers of a table's leaf pages, in the order of its rows."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((size,),) = database.execute("PRAGMA page_size")
        rows = database.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path", (table,)
        )
        return size, [number for (number,) in rows]


def broken(file, number, size):
    """Overwrite a page."""
    with file.open("r+b") as database:
        database.seek((number - 1) * size)
        database.write(b"\xa5" * size)


def test_of_a_file_with_a_broken_page_all_else_is_put_into_the_journal(world):
    world.store(b"before", datasource=UDP)
    payloads = [b"%d" % number * 100 for number in range(200)]
    with world.away():
        seqs = world.spill(*payloads)
        world.crash()
    size, pages = pages_of(world.file, "spilled")
    assert len(pages) > 4
    broken(world.file, pages[len(pages) // 2], size)
    world.part  # noqa: B018 (opens it)
    kept = {seq: payload for seq, payload in world.rows if seq in seqs}
    assert 0 < len(kept) < len(seqs)
    assert kept.items() <= dict(zip(seqs, payloads, strict=True)).items()
    lost = sorted(set(seqs) - set(kept))
    assert lost == list(range(lost[0], lost[-1] + 1)), "what stood in the page, and nothing else"
    assert seqs[0] in kept and seqs[-1] in kept
    assert f"{len(kept)} messages of it could be read" in world.part.put_aside
    assert world.file.with_suffix(".damaged").exists()
    with world.away():
        assert world.spill(b"after")[0] > seqs[-1]
    world.back()
    assert world.rows[-1][1] == b"after"


def test_a_file_that_is_none_is_put_aside_and_said(world):
    world.store(b"before", datasource=UDP)
    world.crash()
    for log in world.file.parent.glob("spill.db-*"):
        log.unlink()  # or it would bring everything back
    world.file.write_bytes(b"no database" * 1000)
    assert "spill.damaged" in world.part.put_aside
    with world.away():
        world.spill(b"after")
    world.back()
    assert [payload for _, payload in world.rows] == [b"before", b"after"]


def test_what_was_spilled_of_a_tenant_that_was_deleted_meanwhile_never_comes(world):
    """If there is one of this name again, its datasources have other ids."""
    world.store(b"before", datasource=UDP)
    world.ready()
    with world.away():
        seqs = world.spill(b"mine")
        heard = world.listener.spilled_entries
        for source in (UDP, "new"):
            world.part.when_away(source, True)
            world.append(b"north", datasource=source, tenant="north")
        world.until(lambda: len(heard) >= 3)
        world.crash()
    world.asked("INSERT INTO iotgw.erasure VALUES ('north', 1, true) RETURNING part")
    world.asked(
        "INSERT INTO iotgw.resource VALUES ('new', 'datasource', 'north', 'd', 1, 0, 0, '') RETURNING id"
    )
    world.part  # noqa: B018 (opens it)
    assert world.rows[1:] == [(seqs[0], b"mine"), (seqs[0] + 2, b"north")]
    assert world.store(b"after", datasource=UDP) == [seqs[0] + 3]
