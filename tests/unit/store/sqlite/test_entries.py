"""Devices' entries in the registry's database pass the suite of any store of them; what is its own is here."""

import sqlite3

import pytest

from iotgw.core.device_entry import DeviceEntry, DeviceSpec
from iotgw.core.errors import Unavailable
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.registry import Registry
from iotgw.testing.contracts import DeviceEntriesContract, Threaded


class TestSqliteEntries(Threaded, DeviceEntriesContract):
    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path):
        self.data_dir = tmp_path

    def open(self):
        self.registry = Registry(self.clock, self.data_dir)
        self.wait(self.registry.start())
        return DeviceEntries(self.registry)

    def close(self, entries):
        self.wait(self.registry.stop())

    def test_what_fails_midway_changes_nothing(self):
        self.wait(self.part.write([self.entry("a")]))
        broken = DeviceEntry(
            "default", DeviceSpec(name="b"), "x" * 3, None, 6
        )  # no creation date: the table refuses it
        self.raises(sqlite3.IntegrityError, lambda: self.part.write([self.entry("a", revision=2), broken]))
        assert self.stored() == [self.entry("a")]

    def test_a_row_that_cannot_be_read_is_left_out_and_the_others_are_there(self):
        self.wait(self.part.write([self.entry("a"), self.entry("b")]))
        self.wait(
            self.registry.transaction(lambda db: db.execute("UPDATE device SET body = '7' WHERE name = 'a'"))
        )
        assert [each.name for each in self.stored()] == ["b"]

    def test_fields_of_a_later_version_are_passed_over(self):
        self.wait(self.part.write([self.entry("a")]))
        set_ = "UPDATE device SET body = json_set(cast(body AS text), '$.new', 1)"
        self.wait(self.registry.transaction(lambda db: db.execute(set_)))
        assert self.stored() == [self.entry("a")]

    def test_a_closed_registry_takes_nothing(self):
        entries = self.part
        self.close(entries)
        self._opened = None
        self.raises(Unavailable, lambda: entries.write([self.entry()]))
