"""Files for devices on the disk: nobody else reads them, and a kill leaves none half known."""

from __future__ import annotations

import hashlib
import shutil
import stat

import pytest

from iotgw import testing
from iotgw.core.errors import Conflict, NoSpace, SettingsError
from iotgw.store import stored_files
from iotgw.store.stored_files import FOLDER, FileStore
from iotgw.testing.contracts import StoredFilesContract, Threaded


class TestFileStore(Threaded, StoredFilesContract):
    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.folder = tmp_path / FOLDER
        self.registry = testing.MemoryRegistry(self.clock)

    def open(self):
        store = FileStore(self.folder.parent, self.registry, self.clock, self.clock, 1000)
        self.wait(store.start())
        return store

    def close(self, store):
        self.wait(store.stop())

    def test_nobody_but_the_gateway_reads_them(self):
        file = self.wait(self.part.begin("default", "app.bin", 3, b"abc"))
        path = self.folder / file.id
        assert (self.part.path(file), path.read_bytes()) == (str(path), b"abc")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(self.folder.stat().st_mode) == 0o700

    def test_an_upload_goes_on_after_a_restart(self):
        self.wait(self.part.begin("default", "app.bin", 6, b"abc"))
        assert self.reopen().get("default", "app.bin").received == 3
        assert self.wait(self.part.append("default", "app.bin", 3, b"def")).is_whole
        assert self.reopen().get("default", "app.bin").sha256 == hashlib.sha256(b"abcdef").hexdigest()

    def test_a_file_that_a_kill_left_unhashed_is_hashed_with_the_next_word(self):
        file = self.wait(self.part.begin("default", "app.bin", 6, b"abc"))
        self.teardown_method()
        (self.folder / file.id).write_bytes(b"abcdef")
        assert self.wait(self.part.append("default", "app.bin", 6, b"")).is_whole

    def test_a_file_whose_bytes_are_gone_is_not_whole_and_may_be_uploaded_again(self):
        file = self.wait(self.part.begin("default", "app.bin", 3, b"abc"))
        self.teardown_method()
        (self.folder / file.id).unlink()
        assert not self.part.get("default", "app.bin").is_whole
        assert self.wait(self.part.append("default", "app.bin", 0, b"abc")).is_whole

    def test_what_belongs_to_no_file_is_removed_at_the_start(self):
        file = self.wait(self.part.begin("default", "app.bin", 3, b"abc"))
        (self.folder / "stranger").write_bytes(b"x")
        self.reopen()
        assert [path.name for path in self.folder.iterdir()] == [file.id]
        self.wait(self.part.delete("default", "app.bin"))
        assert [*self.folder.iterdir()] == []

    def test_a_tenant_has_so_many_bytes_and_files(self, monkeypatch):
        self.wait(self.part.begin("default", "app.bin", 900))
        self.raises(Conflict, lambda: self.part.begin("default", "more.bin", 101))
        self.raises(SettingsError, lambda: self.part.begin("default", "most.bin", 1001))
        self.wait(self.part.begin("acme", "app.bin", 900))
        monkeypatch.setattr(stored_files, "MOST_FILES", 1)
        self.raises(Conflict, lambda: self.part.begin("default", "more.bin", 1))

    def test_many_that_begin_at_once_have_no_more_bytes_than_one_after_another(self):
        begun = [self.part.begin("default", f"{number}.bin", 400) for number in range(5)]
        outcomes = []
        for each in begun:
            each.addCallbacks(outcomes.append, lambda failure: outcomes.append(failure.trap(Conflict)))
            self.wait(each)
        assert outcomes.count(Conflict) == 3
        assert sum(file.size for file in self.part.list("default")) == 800
        assert self.part._beginning == {}

    def test_a_disk_that_others_have_filled_since_a_file_began_is_not_filled_to_the_last_byte(
        self, monkeypatch
    ):
        self.wait(self.part.begin("default", "app.bin", 6, b"abc"))
        usage = shutil.disk_usage(self.folder.parent)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=stored_files.RESERVE + 2))
        self.raises(NoSpace, lambda: self.part.append("default", "app.bin", 3, b"def"))
        assert self.part.get("default", "app.bin").received == 3
        assert self.wait(self.part.append("default", "app.bin", 3, b"de")).received == 5

    def test_a_full_disk_is_said_before_it_is_full(self, monkeypatch):
        usage = shutil.disk_usage(self.folder.parent)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=stored_files.RESERVE))
        self.raises(NoSpace, lambda: self.part.begin("default", "app.bin", 1))
        assert self.part.list("default") == []

    def test_bytes_that_could_not_be_written_may_come_again(self):
        file = self.wait(self.part.begin("default", "app.bin", 6))
        (self.folder / file.id).mkdir()
        self.raises(NoSpace, lambda: self.part.append("default", "app.bin", 0, b"abc"))
        (self.folder / file.id).rmdir()
        assert self.wait(self.part.append("default", "app.bin", 0, b"abc")).received == 3
