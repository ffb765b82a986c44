"""A backup of everything at one moment, made beside a gateway that goes on, and put back."""

import os
import shutil
import sqlite3
import threading
from contextlib import closing

import msgspec
import pytest

from iotgw import testing
from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import AlreadyRunning, Conflict, NoSpace, SettingsError, Unavailable
from iotgw.core.ports.pause import Paused
from iotgw.core.recorder import Recorder
from iotgw.core.specs import DownlinkSpec
from iotgw.store import backups, manifest
from iotgw.store.backups import Backups
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.manifest import NotWhole
from iotgw.store.restore import NotRestored, expect_finished, restore
from iotgw.store.sqlite import moment
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.moment import Moment
from iotgw.store.sqlite.registry import Registry
from iotgw.testing import ThreadClock
from tests.unit.store.sqlite.world import World


class Data:
    """The databases of a gateway, open, and what makes backups of them."""

    def __init__(self, clock, folder):
        self.clock, self.folder = clock, folder
        self.world = World(clock, lambda clock: Journal(clock, folder / "journal.db"))
        self.registry, self.downlinks = Registry(clock, folder), DownlinkStore(folder, clock)
        self.events = testing.MemoryEvents()
        clock.wait(self.registry.start())
        clock.wait(self.downlinks.start())
        self.backups = Backups(
            clock, folder, folder / "backups",
            [self.journal.between_commits, self.registry.between_commits, self.downlinks.between_commits],
            Recorder(self.events, clock),
        )  # fmt: skip
        clock.wait(self.backups.start())

    @property
    def journal(self):
        return self.world.journal

    def take(self, name="b1", with_key=False):
        return self.clock.wait(self.backups.take(name, with_key))

    def close(self):
        for part in (self.backups, self.downlinks, self.registry):
            self.clock.wait(part.stop())
        self.world.teardown_method()


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def data(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "RESERVE", 0)
    found = Data(clock, tmp_path / "data")
    yield found
    found.close()


def rows(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_a_backup_holds_all_that_was_acknowledged(data):
    data.world.store(*[b"%d" % n for n in range(300)])
    data.clock.wait(data.registry.create("datasource", "default", "ds", {"a": 1}))
    item = Item("dl1", 1, "default", "d", DownlinkSpec(msg="x"), ItemState.QUEUED, 0, 0, 1)
    data.clock.wait(data.downlinks.save([item]))
    (data.folder / "sftp-1.json").write_text("{}")
    made = data.take()
    folder = data.folder / "backups" / "b1"
    assert made.directory == str(folder)
    assert made.files == ["downlinks.db", "journal.db", "registry.db", "sftp-1.json"]
    assert [rows(folder / "journal.db", "uplink"), rows(folder / "registry.db", "resource")] == [300, 1]
    assert rows(folder / "downlinks.db", "item") == 1
    manifest.Manifest.read(folder).check(folder)
    assert [event.type for event in data.events.emitted] == ["backup"]


def test_the_key_and_the_first_token_are_in_it_only_when_asked_for(data):
    (data.folder / "admin-token").write_text("t")
    assert not {"secret.key", "admin-token"} & set(data.take("without").files)
    assert {"secret.key", "admin-token"} <= set(data.take("with", with_key=True).files)
    assert (data.folder / "backups" / "with" / "secret.key").stat().st_mode & 0o777 == 0o600


def test_uplinks_are_stored_while_it_copies(data, monkeypatch):
    """The copy is of the moment before, though it is read later."""
    data.world.store(*[b"x" * 1000] * 2000)
    monkeypatch.setattr(backups, "PAGES", 1)
    copying, go_on = threading.Event(), threading.Event()
    measure = Backups._copy_database

    def slow(self, reader, path):
        copying.set()
        assert go_on.wait(30)
        measure(self, reader, path)

    monkeypatch.setattr(Backups, "_copy_database", slow)
    taken = data.backups.take("b1", False)
    assert copying.wait(30)
    data.world.store(*[b"later"] * 500)
    go_on.set()
    data.clock.wait(taken)
    assert rows(data.folder / "backups" / "b1" / "journal.db", "uplink") == 2000


def test_one_at_a_time_and_none_over_another(data):
    first = data.backups.take("b1", False)
    with pytest.raises(Conflict, match="being made"):
        data.clock.wait(data.backups.take("b2", False))
    data.clock.wait(first)
    with pytest.raises(Conflict, match="already a backup"):
        data.take("b1")


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "/etc", "a\n", "ä", "x" * 101])
def test_a_name_is_no_path(data, name):
    with pytest.raises(SettingsError):
        data.take(name)
    assert not (data.folder / "backups").exists()


def test_a_disk_without_room_is_said_and_no_half_copy_stays(data, monkeypatch):
    monkeypatch.setattr(backups, "RESERVE", 1 << 60)
    with pytest.raises(NoSpace, match="MB left"):
        data.take()
    assert list((data.folder / "backups").iterdir()) == []
    assert [event.type for event in data.events.emitted] == ["backup-failed"]


def test_a_damaged_database_makes_no_backup_but_a_dispensable_one_is_left_out(data):
    (data.folder / "events.db").write_bytes(b"this is no database" * 500)
    assert list(data.take("b1").left_out) == ["events.db"]
    data.clock.wait(data.registry.create("datasource", "default", "ds", {"a": "x" * 100_000}))
    data.clock.wait(data.registry.stop())
    file = data.folder / "registry.db"
    content = bytearray(file.read_bytes())
    content[4096 * 3 : 4096 * 4] = os.urandom(4096)
    file.write_bytes(content)
    data.registry = Registry(data.clock, data.folder)
    data.backups._writers = data.backups._writers[:1]
    with pytest.raises(Conflict, match=r"damaged"):
        data.take("b2")
    assert [path.name for path in (data.folder / "backups").iterdir()] == ["b1"]


def test_a_stop_gives_up_the_backup_under_way(data, monkeypatch):
    data.world.store(*[b"x" * 1000] * 2000)
    copying = threading.Event()
    room = Backups._expect_room

    def seen(self, size):
        copying.set()
        room(self, size)

    monkeypatch.setattr(backups, "PAGES", 1)
    monkeypatch.setattr(Backups, "_expect_room", seen)
    taken = data.backups.take("b1", False)
    assert copying.wait(30)
    stopped = data.backups.stop()
    with pytest.raises(Unavailable, match="given up"):
        data.clock.wait(taken)
    data.clock.wait(stopped)
    assert list((data.folder / "backups").iterdir()) == []


def test_a_start_removes_the_half_that_a_kill_left(data):
    half = data.folder / "backups" / ".b1.iotgw-part"
    somebody_elses = data.folder / "backups" / ".upload.part"
    for folder in (half, somebody_elses):
        folder.mkdir(parents=True)
        (folder / "journal.db").write_bytes(b"half")
    data.clock.wait(data.backups.stop())
    data.clock.wait(data.backups.start())
    assert not half.exists()
    assert somebody_elses.exists()


# --- the moment ---


def test_a_writer_that_is_too_busy_makes_no_moment_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(moment, "PATIENCE", 0.01)
    went_on = threading.Event()

    def stands(function):
        threading.Thread(target=lambda: (function(), went_on.set())).start()

    with pytest.raises(Unavailable), Moment([stands, lambda function: None]):
        pass
    assert went_on.wait(30)


def test_a_writer_that_went_on_too_early_spoils_the_moment(monkeypatch):
    monkeypatch.setattr(moment, "LONGEST", 0.01)
    writer = []

    def stands(function):
        writer.append(threading.Thread(target=function))
        writer[0].start()

    with pytest.raises(Unavailable, match="too long"), Moment([stands]):
        writer[0].join()


# --- putting it back ---


@pytest.fixture
def backup(data):
    data.world.store(b"1", b"2")
    data.take("b1", with_key=True)
    return data.folder / "backups" / "b1"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def test_what_is_put_back_is_what_was_stored(backup, target, clock):
    done = restore(backup, target)
    assert (done.aside, done.lacks_key) == (None, False)
    assert sorted(path.name for path in target.iterdir()) == [
        "downlinks.db", "journal.db", "lock", "registry.db", "secret.key",
    ]  # fmt: skip
    world = World(clock, lambda clock: Journal(clock, target / "journal.db"))
    assert world.journal.last_uplink == 2
    world.teardown_method()


def test_a_restored_journal_names_what_comes_by_another_epoch(backup, target, clock, data):
    restore(backup, target)
    world = World(clock, lambda clock: Journal(clock, target / "journal.db"))
    here = {data.journal.epochs.message_id(seq) for seq in data.world.store(*[b"x"] * 50)}
    there = {world.journal.epochs.message_id(seq) for seq in world.store(*[b"y"] * 50)}
    world.teardown_method()
    assert len(here | there) == 100


def test_a_directory_in_use_is_refused(backup, target):
    lock = DataDirectoryLock(target)
    lock.acquire()
    with pytest.raises(AlreadyRunning):
        restore(backup, target)
    lock.release()


def test_what_is_there_stays_unless_it_is_moved_aside(backup, target):
    target.mkdir()
    (target / "journal.db").write_bytes(b"precious")
    with pytest.raises(NotRestored, match="--force"):
        restore(backup, target)
    assert (target / "journal.db").read_bytes() == b"precious"
    done = restore(backup, target, force=True)
    assert (done.aside / "journal.db").read_bytes() == b"precious"


def test_backups_in_the_data_directory_stay_where_they_are(data, backup):
    data.close()
    restore(backup, data.folder, force=True)
    assert backup.exists()
    data.__init__(data.clock, data.folder)
    assert data.journal.last_uplink == 2


@pytest.mark.parametrize("harm", ["no manifest", "cut", "changed", "missing", "no journal", "a path"])
def test_a_backup_that_is_not_whole_is_refused_before_anything_changes(backup, target, harm):
    def edit(change):
        found = msgspec.json.decode((backup / "manifest.json").read_bytes())
        change(found["files"])
        (backup / "manifest.json").write_bytes(msgspec.json.encode(found))

    journal = backup / "journal.db"
    if harm == "no manifest":
        (backup / "manifest.json").unlink()
    elif harm == "cut":
        os.truncate(journal, 4096)
    elif harm == "changed":
        content = bytearray(journal.read_bytes())
        content[5000] ^= 1
        journal.write_bytes(content)
    elif harm == "missing":
        journal.unlink()
    elif harm == "no journal":
        edit(lambda files: files.pop("journal.db"))
    else:
        edit(lambda files: files.update({"../x": files["journal.db"]}))
    with pytest.raises(NotWhole):
        restore(backup, target)
    assert not target.exists()


def test_another_key_is_refused_and_a_missing_one_is_said(data, backup, target, tmp_path):
    data.take("b2")
    without = data.folder / "backups" / "b2"
    (tmp_path / "wrong").write_bytes(bytes(32))
    with pytest.raises(NotRestored, match="not the key"):
        restore(without, target, key=tmp_path / "wrong")
    assert restore(without, target).lacks_key
    assert not restore(without, tmp_path / "other", key=data.folder / "secret.key").lacks_key


def test_the_key_that_is_there_is_kept_when_it_is_the_right_one(data, target):
    data.take("b2")
    target.mkdir()
    shutil.copy(data.folder / "secret.key", target)
    (target / "admin-token").write_text("t")
    assert not restore(data.folder / "backups" / "b2", target, force=True).lacks_key
    assert (target / "secret.key").read_bytes() == (data.folder / "secret.key").read_bytes()
    assert (target / "admin-token").read_text() == "t"
    assert (target / "admin-token").stat().st_mode & 0o777 == 0o600


def test_the_key_is_found_where_an_interrupted_restore_put_it(data, target, monkeypatch):
    data.take("b2")
    target.mkdir()
    shutil.copy(data.folder / "secret.key", target)
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copyfile", _pulled_out)
        with pytest.raises(OSError):
            restore(data.folder / "backups" / "b2", target, force=True)
    assert not (target / "secret.key").exists()
    assert not restore(data.folder / "backups" / "b2", target, force=True).lacks_key


def test_a_database_of_a_newer_version_is_refused_before_anything_changes(backup, target):
    """Also where the manifest says that it is whole."""
    journal = backup / "journal.db"
    with closing(sqlite3.connect(journal)) as connection:
        connection.execute("PRAGMA user_version = 99")
    found = msgspec.json.decode((backup / "manifest.json").read_bytes(), type=manifest.Manifest)
    found.files["journal.db"] = manifest.measure(journal)
    (backup / "manifest.json").unlink()
    found.write(backup)
    with pytest.raises(NotWhole, match=r"journal\.db: expected schema version \d or older, got 99"):
        restore(backup, target)
    assert not target.exists()


def test_a_backup_of_a_newer_format_is_refused(backup, target):
    found = msgspec.json.decode((backup / "manifest.json").read_bytes())
    (backup / "manifest.json").write_bytes(msgspec.json.encode({**found, "format": 2, "new": 1}))
    with pytest.raises(NotWhole, match="expected a backup of format 1, got 2"):
        restore(backup, target)
    assert not target.exists()


def _pulled_out(*paths):
    raise OSError("pulled out")


def test_an_interrupted_restore_passes_for_no_data_directory(backup, target, monkeypatch):
    monkeypatch.setattr(shutil, "copyfile", _pulled_out)
    with pytest.raises(OSError):
        restore(backup, target)
    with pytest.raises(NotRestored, match="interrupted"):
        expect_finished(target)
    monkeypatch.undo()
    restore(backup, target, force=True)
    expect_finished(target)


def test_it_can_start_paused(backup, target):
    restore(backup, target, paused=True)
    assert "restored from b1" in msgspec.json.decode((target / "paused").read_bytes(), type=Paused).reason
