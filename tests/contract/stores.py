"""The parts that store, on either database. What one has stored, the next one of its kind finds."""

import pytest

from iotgw.converters.state import RegistryStates
from iotgw.core.clock import PlainCalendar
from iotgw.observe.events import EventLog
from iotgw.store.postgres import schema
from iotgw.store.postgres.converter_states import PostgresStates
from iotgw.store.postgres.debug import PostgresDebug
from iotgw.store.postgres.devices import PostgresDevices
from iotgw.store.postgres.downlinks import PostgresItems
from iotgw.store.postgres.entries import PostgresEntries
from iotgw.store.postgres.events import PostgresEvents
from iotgw.store.postgres.journal import PostgresJournal
from iotgw.store.postgres.kept import PostgresKept
from iotgw.store.postgres.node import DatabaseNode
from iotgw.store.postgres.platform_names import PostgresPlatformNames
from iotgw.store.postgres.registry import PostgresRegistry
from iotgw.store.postgres.usage import PostgresUsage
from iotgw.store.sqlite.debug import DebugStore
from iotgw.store.sqlite.devices import DeviceStore
from iotgw.store.sqlite.downlinks import DownlinkStore
from iotgw.store.sqlite.entries import DeviceEntries
from iotgw.store.sqlite.events import EventFile
from iotgw.store.sqlite.journal import Journal
from iotgw.store.sqlite.kept import KeptRows
from iotgw.store.sqlite.platform_names import PlatformNameRows
from iotgw.store.sqlite.registry import Registry
from iotgw.store.sqlite.usage import UsageStore
from iotgw.testing.contracts import Threaded


class OnSqlite:
    """In files of a data directory."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def journal(self, clock):
        return Journal(clock, self.folder / "journal.db")

    def registry(self, clock):
        return Registry(clock, self.folder)

    def entries(self, registry):
        return DeviceEntries(registry)

    def platform_names(self, registry, **more):
        return PlatformNameRows(registry, **more)

    def items(self, clock):
        return DownlinkStore(self.folder, clock)

    def devices(self, clock):
        return DeviceStore(clock, self.folder)

    def kept(self, clock):
        return KeptRows(self.folder, clock)

    def events(self, clock):
        return EventLog(EventFile(self.folder / "events.db"), clock, capacity=200)

    def usage(self, clock):
        return UsageStore(self.folder, clock)

    def debug(self, clock, max_bytes=1 << 30):
        return DebugStore(self.folder, clock, max_bytes)

    def states(self, clock, registry):
        return RegistryStates(clock, registry)


class OnPostgres:
    """In a database of a server, which is emptied."""

    def __init__(self, address, key_file):
        self.address, self.key_file = address, key_file
        with address.connect() as connection:
            connection.execute("DROP SCHEMA IF EXISTS iotgw CASCADE")
            schema.upgrade(connection)

    def journal(self, clock):
        node = DatabaseNode(clock, self.address, self.key_file)
        clock.wait(node.start())
        return PostgresJournal(clock, node)

    def registry(self, clock):
        return PostgresRegistry(clock, self.address, self.key_file)

    def entries(self, registry):
        return PostgresEntries(registry)

    def platform_names(self, registry, **more):
        return PostgresPlatformNames(registry, **more)

    def items(self, clock):
        return PostgresItems(self.address, clock)

    def devices(self, clock):
        return PostgresDevices(clock, self.address)

    def kept(self, clock):
        return PostgresKept(self.address, clock)

    def events(self, clock):
        return EventLog(PostgresEvents(self.address), clock, capacity=200)

    def usage(self, clock):
        return PostgresUsage(self.address, clock)

    def debug(self, clock, max_bytes=1 << 30, node="a"):
        return PostgresDebug(self.address, clock, max_bytes, lambda: node)

    def states(self, clock, registry):
        states = PostgresStates(clock, self.address, PlainCalendar(clock), 50_000, 90 * 86400.0)
        clock.wait(states.start())
        return states


class Stored(Threaded):
    """A mixin before a suite. ``kind`` is the method of a backend that makes the part."""

    kind = ""

    @pytest.fixture(autouse=True)
    def on(self, backend):
        self.backend = backend

    def open(self):
        part = getattr(self.backend, self.kind)(self.clock)
        self.wait(part.start())
        return part

    def close(self, part):
        self.wait(part.stop())
