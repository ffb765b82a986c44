"""A backup of everything at one moment, made beside a gateway that goes on."""

import os
import sqlite3
import threading
from contextlib import closing

import pytest

from iotgw.core.downlink_item import Item, ItemState
from iotgw.core.errors import Conflict, NoSpace, SettingsError, Unavailable
from iotgw.core.specs import DownlinkSpec
from iotgw.store import backups, manifest
from iotgw.store.backups import Backups
from iotgw.store.sqlite.registry import Registry


def rows(path, table):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_a_backup_holds_all_that_was_acknowledged(data):
    data.world.store(*[b"%d" % n for n in range(300)])
    data.clock.wait(data.registry.create("datasource", "default", "ds", {"a": 1}))
    item = Item("dl1", 1, "default", "d", DownlinkSpec(msg="x"), ItemState.QUEUED, 0, 0, 1)
    data.clock.wait(data.downlinks.save([item]))
    (data.folder / "sftp-0123456789abcdef.json").write_text("{}")
    made = data.take()
    folder = data.folder / "backups" / "b1"
    assert made.directory == str(folder)
    assert made.files == ["downlinks.db", "journal.db", "registry.db", "sftp-0123456789abcdef.json"]
    assert [rows(folder / "journal.db", "uplink"), rows(folder / "registry.db", "resource")] == [300, 1]
    assert rows(folder / "downlinks.db", "item") == 1
    manifest.Manifest.read(folder).check(folder)
    assert [event.type for event in data.events.emitted] == ["backup"]


def test_a_backup_has_the_date_at_which_it_was_made(data):
    data.jumps.jump(-86_400)
    before = data.jumps.calendar.now_ms()
    made = data.take()
    assert before <= made.made_at <= data.jumps.calendar.now_ms()
    assert manifest.Manifest.read(data.folder / "backups" / "b1").made_at == made.made_at


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

    def seen(self, folder, size):
        copying.set()
        room(self, folder, size)

    monkeypatch.setattr(backups, "PAGES", 1)
    monkeypatch.setattr(Backups, "_expect_room", seen)
    taken = data.backups.take("b1", False)
    assert copying.wait(30)
    stopped = data.backups.stop()
    with pytest.raises(Unavailable, match="given up"):
        data.clock.wait(taken)
    data.clock.wait(stopped)
    assert list((data.folder / "backups").iterdir()) == []


@pytest.mark.parametrize("step", ["check", "measure"])
def test_a_stop_does_not_wait_until_the_copies_are_checked(data, monkeypatch, step):
    data.world.store(*[b"x" * 1000] * 2000)
    monkeypatch.setattr(backups, "INSTRUCTIONS", 1)
    doing = getattr(backups, step)

    def do(*args):
        data.backups._is_stopping = True
        return doing(*args)

    monkeypatch.setattr(backups, step, do)
    with pytest.raises(Unavailable, match="given up"):
        data.take()
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


def test_files_for_devices_are_in_it_and_one_that_is_deleted_meanwhile_is_said(data, monkeypatch):
    folder = data.folder / "device-files"
    folder.mkdir()
    (folder / "a1").write_bytes(b"firmware" * 200_000)
    (folder / "b2").write_bytes(b"gone")
    copy = Backups._copy_in_steps

    def deleting(self, path, target):
        (folder / "b2").unlink(missing_ok=True)
        copy(self, path, target)

    monkeypatch.setattr(Backups, "_copy_in_steps", deleting)
    made = data.take()
    assert "device-files/a1" in made.files
    assert list(made.left_out) == ["device-files/b2"]
    copied = data.folder / "backups" / "b1" / "device-files" / "a1"
    assert (copied.read_bytes(), copied.stat().st_mode & 0o777) == (b"firmware" * 200_000, 0o600)


def test_another_directory_has_its_own_backups(data, tmp_path):
    made = data.clock.wait(data.backups.take("b1", False, tmp_path / "nas"))
    assert made.directory == str(tmp_path / "nas" / "b1")
    manifest.Manifest.read(tmp_path / "nas" / "b1").check(tmp_path / "nas" / "b1")
    assert not (data.folder / "backups").exists()
    assert data.events.emitted == [], "whoever has it made there says so"
