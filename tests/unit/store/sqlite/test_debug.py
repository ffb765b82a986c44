"""What debugging keeps, on disk."""

from __future__ import annotations

import pytest

from iotgw.core.ports.debug import DebugEntry
from iotgw.store import debug as entries
from iotgw.store.sqlite import debug
from iotgw.store.sqlite.debug import DebugStore
from iotgw.testing.contracts import DebugStoreContract, Threaded


class TestSqliteDebug(Threaded, DebugStoreContract):
    max_bytes = 1 << 30

    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.path = tmp_path

    def open(self):
        store = DebugStore(self.path, self.clock, self.max_bytes)
        self.wait(store.start())
        return store

    def close(self, store):
        self.wait(store.stop())

    def test_the_oldest_go_where_there_is_no_room(self, monkeypatch):
        monkeypatch.setattr(debug, "STEP", 10)
        self.max_bytes = 300_000
        for number in range(200):
            self.part.add("default", f"e-{number}", DebugEntry(1, "conversion", {"text": "x" * 10_000}))
            self.wait(self.part.of("default", ""))
        assert self.wait(self.part.of("default", "e-0")) == []
        assert len(self.wait(self.part.of("default", "e-199"))) == 1

    def test_what_the_disk_is_too_slow_for_is_dropped_and_counted(self, monkeypatch):
        monkeypatch.setattr(entries, "PENDING", 5_000)
        for _ in range(100):
            self.part.add("default", "e-1", DebugEntry(1, "conversion", {"text": "x" * 1_000}))
        found = self.wait(self.part.of("default", "e-1"))
        assert (len(found), self.part.dropped) == (5, 95)

    def test_a_damaged_file_is_put_aside(self):
        (self.path / "debug.db").write_bytes(b"no database" * 1000)
        assert "debug.damaged" in self.part.put_aside
        assert self.wait(self.part.of("default", "e-1")) == []
