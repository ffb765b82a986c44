"""What is shared by all of a database's gateways: what is PostgreSQL's own; the suites of any store are in tests/contract."""

import pytest

from iotgw.core.errors import Conflict, Unavailable
from iotgw.store.postgres import schema
from iotgw.store.postgres.entries import PostgresEntries
from iotgw.store.postgres.registry import PostgresRegistry
from iotgw.testing.contracts import Contract, Threaded

pytestmark = pytest.mark.interop


class Database:
    @pytest.fixture(autouse=True)
    def in_database(self, address, tmp_path):
        self.address, self.key = address, tmp_path / "secret.key"
        with address.connect() as connection:
            schema.upgrade(connection)

    def registry(self):
        registry = PostgresRegistry(self.clock, self.address, self.key)
        self.wait(registry.start())
        return registry


class TestPostgresRegistry(Database, Threaded, Contract):
    def open(self):
        return self.registry()

    def close(self, registry):
        self.wait(registry.stop())

    def create(self, name):
        return self.wait(self.part.create("datasource", "default", name, {"type": "coap"}))

    def test_a_change_that_somebody_else_made_meanwhile_is_a_conflict(self):
        mine = self.create("a")
        other = self.registry()
        self.wait(other.replace("datasource", mine.id, {"n": 2}))
        self.raises(Conflict, lambda: self.part.replace("datasource", mine.id, {"n": 3}))
        self.raises(Conflict, lambda: other.create("datasource", "default", "a", {}))
        self.wait(other.stop())
        assert self.reopen().get("datasource", "a").body == {"n": 2}

    def test_a_lost_connection_costs_no_change(self, postgres):
        self.create("a")
        with postgres.connect("postgres") as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
                [self.address.url.rpartition("/")[2].partition("?")[0]],
            )
        self.create("b")
        assert [each.name for each in self.reopen().list("datasource")] == ["a", "b"]


class TestPostgresEntries(Database, Threaded, Contract):
    def open(self):
        self.held = self.registry()
        return PostgresEntries(self.held)

    def close(self, entries):
        self.wait(self.held.stop())

    def test_after_the_end_it_is_unavailable(self):
        self.ready()
        self.wait(self.held.stop())
        self.raises(Unavailable, self.part.load)
        self._opened = None
