"""A backup is put back."""

import os
import shutil
import sqlite3
from contextlib import closing

import msgspec
import pytest

from iotgw.core.errors import AlreadyRunning
from iotgw.core.ports.pause import Paused
from iotgw.store import manifest
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.manifest import NotWhole
from iotgw.store.restore import NotRestored, expect_finished, restore, verify
from iotgw.store.sqlite.journal import Journal
from tests.unit.store.sqlite.world import World


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


def test_the_operator_s_certificates_stay_where_they_are(data, backup):
    data.close()
    (data.folder / "certificates").mkdir()
    (data.folder / "certificates" / "server.pem").write_text("a key")
    restore(backup, data.folder, force=True)
    assert (data.folder / "certificates" / "server.pem").read_text() == "a key"
    data.__init__(data.clock, data.folder)


def test_a_directory_with_nothing_but_the_operator_s_needs_no_force(backup, target):
    (target / "certificates").mkdir(parents=True)
    assert restore(backup, target).aside is None


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


def test_a_half_that_a_kill_left_is_refused_even_with_all_its_files(backup, target):
    half = backup.rename(backup.with_name(".b1.iotgw-part"))
    with pytest.raises(NotWhole, match="wasn't finished"):
        restore(half, target)
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


def test_files_for_devices_are_put_back(data, target):
    (data.folder / "device-files").mkdir()
    (data.folder / "device-files" / "a1").write_bytes(b"firmware")
    data.take("b1", with_key=True)
    restore(data.folder / "backups" / "b1", target)
    assert (target / "device-files" / "a1").read_bytes() == b"firmware"


@pytest.mark.parametrize(
    "name",
    ["../x", "device-files/../x", "other/x", "device-files/.x", "device-files/", ".x", "manifest.json"],
)
def test_a_manifest_leads_nowhere_else(backup, target, name):
    found = msgspec.json.decode((backup / "manifest.json").read_bytes())
    found["files"][name] = {"bytes": 0, "sha256": ""}
    (backup / "manifest.json").write_bytes(msgspec.json.encode(found))
    with pytest.raises(NotWhole, match="plain names"):
        restore(backup, target)


def test_a_backup_is_opened_to_see_that_it_is_whole(backup, data):
    found = verify(backup)
    assert (found.files, found.key_fits) == (4, True)
    other = data.folder.parent / "other.key"
    other.write_bytes(b"x" * 32)
    assert verify(backup, other).key_fits is False


@pytest.mark.parametrize("harm", ["cut", "changed", "missing", "index"])
def test_a_backup_that_is_harmed_is_not_whole(backup, harm):
    path = backup / "registry.db"
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    elif harm == "changed":
        content = bytearray(path.read_bytes())
        content[5000] ^= 1
        path.write_bytes(content)
    elif harm == "missing":
        path.unlink()
    else:  # an index that lacks a row, under a manifest that fits
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE t (a)")
            connection.execute("CREATE INDEX i ON t (a)")
            connection.execute("INSERT INTO t VALUES (1)")
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute(
                "UPDATE sqlite_master SET sql = 'CREATE INDEX i ON t (a) WHERE a > 5' WHERE name = 'i'"
            )
            connection.commit()
        found = manifest.Manifest.read(backup)
        files = {**found.files, "registry.db": manifest.measure(path)}
        (backup / "manifest.json").unlink()
        msgspec.structs.replace(found, files=files).write(backup)
    with pytest.raises(NotWhole):
        verify(backup)
