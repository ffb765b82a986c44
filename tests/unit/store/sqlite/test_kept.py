"""What datasources keep over restarts, on disk."""

from __future__ import annotations

import sqlite3

import pytest

from iotgw.core.errors import Unavailable
from iotgw.store.sqlite.kept import KeptRows
from iotgw.testing.contracts import KeptContract, Threaded


class TestSqliteKept(Threaded, KeptContract):
    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.path = tmp_path

    def open(self):
        kept = KeptRows(self.path, self.clock)
        self.wait(kept.start())
        return kept

    def close(self, kept):
        self.wait(kept.stop())

    def test_what_could_not_be_written_is_written_with_the_next_change(self):
        kept = self.part
        other = sqlite3.connect(self.path / "kept.db", timeout=0, isolation_level=None)
        self.wait(kept.save("a", {"one": b"1"}))
        kept._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        self.raises(Unavailable, lambda: kept.save("a", {"one": b"2", "two": b"2"}))
        other.execute("ROLLBACK")
        other.close()
        self.wait(kept.save("a", {"one": b"3"}))
        assert self.wait(self.reopen().rows("a")) == {"one": b"3", "two": b"2"}

    def test_a_damaged_file_is_put_aside(self):
        (self.path / "kept.db").write_bytes(b"no database" * 1000)
        kept = self.part
        assert "kept.damaged" in kept.put_aside
        assert self.wait(kept.rows("a")) == {}
        assert (self.path / "kept.damaged").exists()

    def test_changes_of_one_turn_are_one_commit(self):
        kept = self.part
        commits = []
        kept._connection.set_trace_callback(lambda sql: commits.append(sql) if sql == "COMMIT" else None)
        kept.save("a", {"0": b""})
        done = [kept.save("a", {str(number): b"x"}) for number in range(100)]
        for each in done:
            self.wait(each)
        assert len(commits) == 2
