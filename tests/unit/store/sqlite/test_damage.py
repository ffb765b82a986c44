"""Databases that are damaged, lose their log, or find no room: what is said, and what is put aside."""

import sqlite3
from pathlib import Path

import pytest
from twisted.internet.defer import ensureDeferred, succeed

from iotgw.core.errors import NoSpace, Unavailable
from iotgw.core.model import TelemetryRecord
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.registry import Registry
from iotgw.testing.contracts.journal_world import HeardJournal
from tests.unit.store.sqlite.world import World

GARBAGE = b"this is no database, though long enough for one" * 200
BODY = b'{"deviceName": "d", "attributes": {}, "telemetry": [{"ts": 1, "values": {"n": %d}}]}'


def stores(clock, path):
    return {
        "journal.db": lambda: Journal(clock, path / "journal.db").start(None),
        "downlinks.db": lambda: DownlinkStore(path, clock).start(),
        "registry.db": lambda: Registry(clock, path).start(),
    }


@pytest.mark.parametrize("name", ["journal.db", "downlinks.db", "registry.db"])
def test_a_damaged_database_that_is_needed_is_named_with_the_check_and_what_to_do(clock, tmp_path, name):
    (tmp_path / name).write_bytes(GARBAGE)
    with pytest.raises(damage.Damaged) as raised:
        clock.wait(stores(clock, tmp_path)[name]())
    for part in (str(tmp_path / name), "file is not a database", "backup", "docs/faults.md"):
        assert part in str(raised.value)
    assert (tmp_path / name).read_bytes() == GARBAGE


def test_pages_that_are_damaged_behind_the_first_are_named_too(clock, tmp_path):
    world = World(clock, lambda clock: Journal(clock, tmp_path / "journal.db"))
    world.store(*[b"x" * 500] * 50)
    clock.wait(world.journal.stop())
    whole = (tmp_path / "journal.db").read_bytes()
    (tmp_path / "journal.db").write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(damage.Damaged, match=r"journal\.db: it is damaged"):
        clock.wait(Journal(clock, tmp_path / "journal.db").start(None))


def test_damaged_device_states_are_put_aside_and_learned_again_from_the_journal(clock, tmp_path):
    (tmp_path / "devices.db").write_bytes(GARBAGE)
    (tmp_path / "devices.db-wal").write_bytes(b"of the old one")
    world = World(clock, lambda clock: Journal(clock, tmp_path / "journal.db"))
    for number in range(3):
        world.journal.emit(TelemetryRecord(0, 0, "default", "ds", 1, "d", "", BODY % number))
    clock.wait(world.journal.durable())
    devices = DeviceStore(clock, tmp_path)
    clock.wait(devices.start())
    assert "devices.damaged" in devices.put_aside
    assert (tmp_path / "devices.damaged").read_bytes() == GARBAGE
    learned = []
    assert clock.wait(ensureDeferred(devices.rebuild(world.journal, learned.extend))) == 3
    assert [each.device_name for each in learned] == ["d"] * 3
    assert clock.wait(devices.get("default", "d"))["telemetry"]["n"]["value"] == 2
    clock.wait(devices.stop())
    clock.wait(world.journal.stop())
    again = DeviceStore(clock, tmp_path)
    clock.wait(again.start())
    assert again.put_aside == ""
    clock.wait(again.stop())


def test_states_that_were_not_learned_to_the_end_are_learned_on_at_the_next_start(clock, tmp_path):
    (tmp_path / "devices.db").write_bytes(GARBAGE)
    world = World(clock, lambda clock: Journal(clock, tmp_path / "journal.db"))
    for number in range(3):
        world.journal.emit(TelemetryRecord(0, 0, "default", "ds", 1, "d", "", BODY % number))
    clock.wait(world.journal.durable())
    records = clock.wait(world.journal.read_telemetry(0, 10))
    devices = DeviceStore(clock, tmp_path)
    clock.wait(devices.start())

    class Ending:
        head = 3

        def read_telemetry(self, after, limit):
            if after:
                devices.saw(records[2:])  # a live one
                raise Unavailable("the gateway stops")
            return succeed(records[:1])

    with pytest.raises(Unavailable):
        clock.wait(ensureDeferred(devices.rebuild(Ending(), lambda records: None)))
    clock.wait(devices.stop())
    again = DeviceStore(clock, tmp_path)
    clock.wait(again.start())
    assert again.position == 1
    assert clock.wait(ensureDeferred(again.rebuild(world.journal, lambda records: None, 1))) == 2
    clock.wait(again.stop())
    clock.wait(world.journal.stop())


@pytest.mark.parametrize("is_lost", [True, False])
def test_a_log_that_was_taken_away_is_noticed_and_a_clean_end_is_not(clock, tmp_path, is_lost):
    copy = tmp_path / "copy"
    copy.mkdir()
    world = World(clock, lambda clock: Journal(clock, tmp_path / "journal.db"))
    world.store(b"x")
    if is_lost:  # as a process leaves it that is killed, but for the log
        for file in tmp_path.glob("journal.db*"):
            if not file.name.endswith(("-wal", "-shm")):
                (copy / file.name).write_bytes(file.read_bytes())
    clock.wait(world.journal.stop())
    if not is_lost:
        assert [file.name for file in tmp_path.glob("journal.db*")] == ["journal.db"]
        (copy / "journal.db").write_bytes((tmp_path / "journal.db").read_bytes())
    assert ("journal.db-wal is missing" in damage.OpenMark(copy / "journal.db").lost()) is is_lost
    again = Journal(clock, copy / "journal.db")
    heard = HeardJournal()
    clock.wait(again.start(heard))
    clock.wait(again.stop())
    assert damage.OpenMark(copy / "journal.db").lost() == ""
    assert [first for _, first, _, _ in heard.damages] == [again.last_uplink + 1] * is_lost
    assert ["telemetry after position 0 may be missing" in fault for fault in again.faults] == [
        True
    ] * is_lost


def failing(code):
    error = sqlite3.OperationalError("database or disk is full")
    error.sqlite_errorcode = code
    return error


def test_a_change_without_room_is_told_from_other_faults_of_a_disk():
    with pytest.raises(NoSpace, match=r"the disk of .*a\.db is full"), damage.changing(Path("a.db")):
        raise failing(sqlite3.SQLITE_FULL)
    with pytest.raises(Unavailable), damage.changing(Path("a.db")):
        raise failing(sqlite3.SQLITE_IOERR)


def test_a_change_of_a_damaged_file_is_refused_for_now():
    with pytest.raises(Unavailable, match="malformed"), damage.changing(Path("a.db")):
        raise sqlite3.DatabaseError("database disk image is malformed")


def test_what_is_wrong_with_a_change_itself_is_no_fault_of_the_disk():
    with pytest.raises(sqlite3.IntegrityError), damage.changing(Path("a.db")):
        raise sqlite3.IntegrityError("NOT NULL constraint failed")
