"""What PostgreSQL does that a file doesn't: each of these would lose messages, or count them twice, without a cure."""

import contextlib
import random
import threading

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.model import Counters, Outcome, Progress, State
from iotgw.core.times import DateMs
from iotgw.store.postgres import committer, schema
from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.journal import PATIENCE, PostgresJournal
from iotgw.store.postgres.node import DatabaseNode, OtherKey
from iotgw.store.postgres.partition import Taken, take
from iotgw.testing import ThreadClock
from iotgw.testing.contracts import Threaded
from iotgw.testing.contracts.journal_world import JournalWorld, output
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop


class World(Threaded, JournalWorld):
    """A journal on a database, and what a test does to it behind its back."""

    def __init__(self, clock, postgres, address, key):
        self.clock, self.postgres, self.address, self.key = clock, postgres, address, key
        self.losses = []

    def open(self):
        self.node = DatabaseNode(self.clock, self.address, self.key)
        self.wait(self.node.start())
        journal = PostgresJournal(self.clock, self.node, lost=lambda: self.losses.append(True))
        self.wait(journal.start(self.listener))
        return journal

    def close(self, journal):
        self.wait(journal.stop())

    @property
    def database(self):
        return self.address.url.rpartition("/")[2].partition("?")[0]

    def asked(self, query, *values):
        with self.postgres.connect(self.database) as connection:
            return connection.execute(query, values).fetchall()

    def advanced(self):
        """Let a second of the gateway's time pass, in which it tries again."""
        self.clock.advance(1.0)
        return False

    def writers(self, what):
        """Do something to the session of whoever owns the partition."""
        return self.asked(
            f"SELECT {what}(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7 AND granted "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )


@pytest.fixture
def world(postgres, address, tmp_path):
    world = World(ThreadClock(), postgres, address, tmp_path / "secret.key")
    yield world
    world.teardown_method()


@contextlib.contextmanager
def without_its_standby(postgres):
    """A server that waits for a synchronous standby which isn't there."""

    def set_(names):
        with postgres.connect("postgres") as connection:
            connection.execute("SET synchronous_commit = local")
            connection.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'")
            connection.execute("SELECT pg_reload_conf()")

    set_("nobody")
    try:
        yield
    finally:
        set_("")


def until_asked(world, condition):
    """Look again and again until the database says so: the clock's own wait looks again only when it is called."""
    wait_until(lambda: world.clock.advance(0) or condition())


def test_a_cancelled_wait_for_the_standby_is_no_success(world, postgres):
    world.store(b"before")
    with without_its_standby(postgres):
        wait_until(lambda: world.asked("SHOW synchronous_standby_names") == [("nobody",)])
        world.append(b"x")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
        until_asked(world, lambda: world.asked(waits) == [(1,)])
        assert world.asked("SELECT count(*) FROM iotgw.uplink") == [(1,)]  # committed, not yet visible
        world.writers("pg_cancel_backend")
        until_asked(world, lambda: world.asked("SELECT count(*) FROM iotgw.uplink") == [(2,)])
        world.until(
            lambda: world.asked(waits) == [(1,)]
        )  # the commit that has to be replicated before it counts
        assert [stored.uplink.payload for stored, _ in world.listener.entries] == [b"before"]
    world.until(lambda: len(world.listener.entries) == 2)


def test_a_journal_stops_although_its_standby_stands_still(world, postgres):
    world.store(b"before")
    with without_its_standby(postgres):
        wait_until(lambda: world.asked("SHOW synchronous_standby_names") == [("nobody",)])
        world.append(b"x")
        waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
        until_asked(world, lambda: world.asked(waits) == [(1,)])
        for _ in range(4):
            world.advanced()
        assert not world.part.room
        assert "does not answer" in world.part.problem
        stopped = world.part.stop()
        world.clock.advance(PATIENCE)
        world.wait(stopped)
        world._opened = None
    assert len(world.listener.lost) == 1


def test_a_commit_whose_answer_was_lost_counts_once(world, postgres):
    """The session is ended after the commit, while it waits for its standby."""
    (seq,) = world.store(b"a")
    with without_its_standby(postgres):
        wait_until(lambda: world.asked("SHOW synchronous_standby_names") == [("nobody",)])
        outcome = Outcome(seq, State.CONVERTED, "c/1", (output(),), received_ms=DateMs(1))
        world.part.settle("ds1", seq, [outcome])
        waits = "SELECT min(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = current_database()"
        until_asked(world, lambda: world.asked(waits) != [(None,)])
        before = world.asked(waits)
        world.writers("pg_terminate_backend")
        until_asked(
            world, lambda: world.asked(waits) not in ([(None,)], before)
        )  # another session, which knows
        assert world.listener.outcomes == []
    world.until(lambda: world.listener.outcomes)
    assert world.listener.outcomes == [outcome]
    assert world.asked("SELECT count(*) FROM iotgw.telemetry") == [(1,)]
    assert world.asked("SELECT count FROM iotgw.tally WHERE state = 1") == [(1,)]


def test_a_commit_in_doubt_counts_once_and_nothing_acknowledged_is_missing(world):
    """The writer's session is ended again and again, at random moments, some of them between a commit and its answer."""
    over = threading.Event()
    rng = random.Random(5)

    def end_sessions():
        while not over.wait(rng.uniform(0.02, 0.15)):
            world.writers("pg_terminate_backend")

    world.ready()
    saboteur = threading.Thread(target=end_sessions)
    saboteur.start()
    settled = set()
    try:
        for n in range(60):
            before = len(world.listener.entries) + len(world.listener.lost)
            world.append(*[b"%d" % n] * 5)
            world.until(
                lambda seen=before: len(world.listener.entries) + len(world.listener.lost) >= seen + 5
            )
            world.until(lambda: world.advanced() or world.part.room)
            stored = [each.seq for each, _ in world.listener.entries if each.seq not in settled]
            if stored:
                settled.update(stored)
                outcomes = [
                    Outcome(seq, State.CONVERTED, "c/1", (output(),), received_ms=DateMs(1)) for seq in stored
                ]
                world.part.settle("ds1", stored[-1], outcomes)
                world.part.progress(Progress("int1", n, Counters(delivered=n)))
    finally:
        over.set()
        saboteur.join()
    world.until(lambda: world.advanced() or len(world.listener.outcomes) >= len(settled))
    uplinks = {seq for (seq,) in world.asked("SELECT seq FROM iotgw.uplink")}
    assert {each.seq for each, _ in world.listener.entries} <= uplinks
    assert {outcome.seq for outcome in world.listener.outcomes} == settled
    records = [uplink for (uplink,) in world.asked("SELECT uplink FROM iotgw.telemetry ORDER BY seq")]
    assert sorted(records) == sorted(settled)  # each once
    assert world.asked("SELECT count FROM iotgw.tally WHERE state = 1") == [(len(settled),)]


def test_an_owner_who_stood_still_beyond_his_lease_commits_nothing_more(world):
    world.store(b"mine")
    with world.address.connect() as other:
        wait_until(
            lambda: (
                world.asked("SELECT alive_at < now() - interval '0.3 s' FROM iotgw.partition") == [(True,)]
            )
        )
        taken = take(other, 1, lease=0.3)
        world.append(b"late")
        world.until(lambda: world.listener.lost and world.losses)
        assert world.asked("SELECT payload FROM iotgw.uplink") == [(b"mine",)]
        assert world.asked("SELECT owner_epoch FROM iotgw.partition") == [(taken.epoch,)]
        assert not world.part.room


def test_the_epoch_alone_stops_an_owner_whose_session_lives_on(world):
    world.store(b"mine")
    world.asked("UPDATE iotgw.partition SET owner_epoch = owner_epoch + 1 RETURNING 1")
    world.append(b"late")
    world.until(lambda: world.listener.lost and world.losses)
    assert world.asked("SELECT payload FROM iotgw.uplink") == [(b"mine",)]


def test_without_the_fence_a_late_commit_would_be_seen(world, monkeypatch):
    """The control of the two tests above: they would notice."""
    fence = "AND owner_epoch = %s AND group_no = %s"
    assert fence in committer.LEAN
    monkeypatch.setattr(committer, "LEAN", committer.LEAN.replace(fence, "AND %s <> -1 AND %s <> -1"))
    world.store(b"mine")
    world.asked("UPDATE iotgw.partition SET owner_epoch = owner_epoch + 1 RETURNING 1")
    world.store(b"late")
    assert world.asked("SELECT payload FROM iotgw.uplink ORDER BY seq") == [(b"mine",), (b"late",)]


def test_a_second_gateway_is_refused_while_the_first_one_lives(world):
    world.store(b"a")
    second = DatabaseNode(world.clock, world.address, world.key, lease=5.0)
    refused = []
    second.start().addErrback(lambda failure: refused.append(failure.value))
    for n in range(1000):
        if refused:
            break
        world.store(b"%d" % n)
    assert isinstance(refused[0], Taken)


def test_two_first_starts_at_once_make_one_schema_and_agree_on_one_key(address, tmp_path):
    results = []

    def start(n):
        with address.connect() as connection:
            results.append(schema.upgrade(connection))
            node = DatabaseNode(ThreadClock(), address, tmp_path / f"{n}.key")
            try:
                node._check_key(connection)
            except OtherKey as error:
                results.append(error)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each for each in results if isinstance(each, int)) == [0, max(schema.upgrades())]
    assert len([each for each in results if isinstance(each, OtherKey)]) == 1


def test_a_database_does_not_start_without_the_key_of_its_secrets(world, tmp_path):
    world.ready()
    world.teardown_method()
    clock = world.clock
    error = world.raises(OtherKey, lambda: DatabaseNode(clock, world.address, tmp_path / "none.key").start())
    assert "got no file" in str(error)
    (tmp_path / "other.key").write_bytes(bytes(32))
    world.raises(OtherKey, lambda: DatabaseNode(clock, world.address, tmp_path / "other.key").start())


ADDED = "ALTER TABLE uplink ADD COLUMN more int"


def test_a_newer_schema_is_refused_unless_it_says_that_this_program_goes_on(address):
    mine = schema.upgrades()
    latest = max(mine)
    going_on = {**mine, latest + 1: f"-- Programs of schema {latest} go on.\n{ADDED}"}
    with address.connect() as connection:
        schema.upgrade(connection)
        schema.upgrade(connection, going_on)
        assert schema.upgrade(connection) == latest + 1  # and it stays
        schema.upgrade(connection, {**going_on, latest + 2: "DROP TABLE telemetry"})
        with pytest.raises(schema.NewerSchema, match=f"got {latest + 2}, which needs version {latest + 2}"):
            schema.upgrade(connection)
        assert schema.upgrade(connection, going_on | {latest + 2: ""}) == latest + 2


def test_a_schema_of_before_that_did_not_say_who_goes_on_is_upgraded(address):
    with address.connect() as connection:
        schema.upgrade(connection)
        connection.execute("ALTER TABLE schema_version DROP COLUMN oldest")
        latest = schema.upgrade(connection)
        assert connection.execute("SELECT * FROM schema_version").fetchall() == [(latest, 0)]


def test_text_that_postgresql_has_no_form_for_is_stored_all_the_same(world):
    (seq,) = world.store(b"\0", metadata=b'{"peer":"\\u0000"}', datasource="ds\0")
    (record,) = world.settle([Outcome(seq, State.CONVERTED, "c\0/1", (output("d\0", "t\0"),))], "ds\0")
    world.reopen()
    assert world.wait(world.part.read_telemetry(0, 9)) == [record]
    assert record.device_name == "d\0"


def test_a_url_with_a_password_is_refused():
    for url in ("postgresql://u:hunter2@h/d", "mysql://h/d", "h/d"):
        with pytest.raises(SettingsError) as caught:
            Address(url).check()
        assert "hunter2" not in str(caught.value)
