"""What was used, on disk."""

from __future__ import annotations

import sqlite3

import pytest

from iotgw.core.errors import Unavailable
from iotgw.core.ports.usage import DeviceTally
from iotgw.store.sqlite import usage
from iotgw.store.sqlite.usage import UsageStore
from iotgw.testing.contracts import Threaded, UsageStoreContract
from iotgw.testing.contracts.usage import BEGUN, DAY_MS, HOUR_MS, tally


class TestSqliteUsage(Threaded, UsageStoreContract):
    max_bytes = 1 << 30

    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.path = tmp_path

    def open(self):
        store = UsageStore(self.path, self.clock, self.max_bytes)
        self.wait(store.start())
        return store

    def close(self, store):
        self.wait(store.stop())

    def count(self, table):
        with sqlite3.connect(self.path / "usage.db") as other:
            (count,) = other.execute(f"SELECT count(*) FROM {table}").fetchone()
        other.close()
        return count

    def test_what_is_too_old_goes_with_the_names_of_what_is_left_nowhere(self):
        self.add(BEGUN, tally("a", messages=1), devices=[DeviceTally("default", "old", 1, 1)])
        self.add(BEGUN + 41 * DAY_MS, tally("b", messages=1), devices=[DeviceTally("default", "new", 1, 1)])
        assert [name for _, name, _ in self.rows("datasource", "hour")] == ["B"]
        assert [name for _, name, _ in self.rows("datasource", "day")] == ["A", "B"]
        assert [name for _, name, _ in self.rows("device", "day")] == ["new"]
        assert (self.count("device"), self.count("thing")) == (1, 2)
        self.add(BEGUN + 800 * DAY_MS, tally("b", messages=1))
        assert [hour for hour, *_ in self.rows("datasource", "day")] == [800 * 24]
        assert (self.count("device"), self.count("thing")) == (0, 1)

    def test_nothing_goes_while_the_date_is_in_doubt(self):
        self.add(BEGUN, tally("a", messages=1))
        self.wait(self.part.add(BEGUN + 9999 * DAY_MS, [tally("b", messages=1)], [], False))
        assert [name for _, name, _ in self.rows("datasource", "hour")] == ["A", "B"]

    def test_sums_of_recent_hours_are_made_of_hours_and_older_ones_of_days(self):
        for hour in (0, 5, 6):
            self.add(BEGUN + hour * HOUR_MS, tally("a", messages=1))
        [(_, _, recent)] = self.rows("datasource", since=BEGUN + 5 * HOUR_MS)
        [(_, _, all_)] = self.rows("datasource", since=BEGUN - HOUR_MS)
        assert (recent.messages, all_.messages) == (2, 3)

    def test_a_damaged_file_is_put_aside(self):
        (self.path / "usage.db").write_bytes(b"no database" * 1000)
        store = self.part
        assert "usage.damaged" in store.put_aside
        assert self.rows("datasource") == []
        assert (self.path / "usage.damaged").exists()

    def test_a_file_that_is_too_large_loses_its_oldest_days_of_devices_first(self):
        self.max_bytes = 400_000
        for day in range(8):
            devices = [DeviceTally("default", f"device-{day}-{number}", 1, 1) for number in range(2000)]
            self.add(BEGUN + day * DAY_MS, tally("a", messages=1), devices=devices)
        days = {hour // 24 for hour, *_ in self.rows("device", "day", limit=100_000)}
        assert max(days) == 7
        assert 0 not in days
        assert len(self.rows("datasource", "hour")) == 8
        assert self.count("device") == 2000 * len(days)

    def test_a_bound_below_what_is_needed_ends_without_anything(self):
        self.max_bytes = 1
        self.add(BEGUN, tally("a", messages=1), devices=[DeviceTally("default", "a", 1, 1)])
        assert self.rows("datasource", "hour") == []

    def test_many_devices_are_few_statements(self):
        statements = []
        self.part._connection.set_trace_callback(statements.append)
        devices = [DeviceTally("default", f"device-{number}", 1, 1) for number in range(3 * usage.PIECE)]
        self.add(BEGUN, *(tally(f"d{number}", messages=1) for number in range(1000)), devices=devices)
        assert len([text for text in statements if "INSERT" in text[:20]]) == 3 + 2 * 3

    def test_what_cannot_be_written_is_not_written_by_half(self):
        store = self.part
        self.add(BEGUN, tally("a", messages=1))
        other = sqlite3.connect(self.path / "usage.db", timeout=0, isolation_level=None)
        store._connection.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        self.raises(Unavailable, lambda: store.add(BEGUN, [tally("a", messages=1)], []))
        other.execute("ROLLBACK")
        other.close()
        self.add(BEGUN, tally("a", messages=1))
        [(_, _, amounts)] = self.rows("datasource")
        assert amounts.messages == 2
