"""What is shared by all of a database's gateways: what is PostgreSQL's own; the suites of any store are in tests/contract."""

import pytest

from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.store.postgres import schema
from iotgw.store.postgres.entries import PostgresEntries
from iotgw.store.postgres.listener import DatabaseListener
from iotgw.store.postgres.registry import WHAT, PostgresRegistry
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

    def test_a_change_that_another_node_made_meanwhile_is_a_conflict(self):
        mine = self.create("a")
        other = self.registry()
        self.wait(other.replace("datasource", mine.id, {"n": 2}))
        self.raises(Conflict, lambda: self.part.replace("datasource", mine.id, {"n": 3}, revision=1))
        self.raises(Conflict, lambda: other.create("datasource", "default", "a", {}))
        self.wait(other.stop())
        assert self.reopen().get("datasource", "a").body == {"n": 2}

    def test_who_expects_no_revision_changes_what_another_node_has_made_of_it(self):
        mine = self.create("a")
        other = self.registry()
        self.wait(other.replace("datasource", mine.id, {"n": 2}))
        assert self.wait(self.part.replace("datasource", mine.id, {"n": 3})).revision == 3
        self.wait(other.follow())
        assert other.get("datasource", "a").body == {"n": 3}
        self.wait(other.delete("datasource", mine.id))
        self.raises(NotFound, lambda: self.part.replace("datasource", mine.id, {"n": 4}))
        self.wait(other.stop())

    def test_a_name_that_another_node_has_taken_is_taken(self):
        other = self.registry()
        made = self.wait(other.create("datasource", "default", "a", {"n": 1}))
        self.raises(Conflict, lambda: self.part.create("datasource", "default", "a", {}))
        assert self.part.get("datasource", "a") == made
        self.wait(other.stop())

    def test_watchers_hear_of_what_another_node_changes(self):
        other = self.registry()
        heard = []
        self.part.watch("datasource", lambda old, new: heard.append((old and old.name, new and new.name)))
        listener = DatabaseListener(self.clock, self.address, {WHAT: self.part.follow})
        listener.start()
        made = self.wait(other.create("datasource", "default", "a", {}))
        self.until(lambda: heard == [(None, "a")])
        self.wait(other.replace("datasource", made.id, {}, name="b"))
        self.wait(other.create("datasource", "default", "a", {}))
        self.until(lambda: heard[1:] == [("a", "b"), (None, "a")])
        self.wait(other.delete("datasource", made.id))
        self.until(lambda: heard[3:] == [("b", None)])
        assert [each.name for each in self.part.list("datasource")] == ["a"]
        listener.stop()
        self.wait(other.stop())

    def test_routes_follow_a_datasource_that_another_node_renames_whoever_has_changed_them_meanwhile(self):
        named, other = self.create("here"), self.registry()
        route = {"route": {"datasources": ["here"]}}
        mine = self.wait(self.part.create("integration", "default", "mine", route))
        self.wait(other.follow())
        self.wait(self.part.replace("integration", mine.id, {**route, "format": "values"}))
        theirs = self.wait(self.part.create("integration", "default", "theirs", route))
        heard = []
        self.part.watch(
            "datasource", lambda old, new: heard.append(self.part.get("integration", "theirs").body)
        )
        self.wait(other.replace("datasource", named.id, named.body, name="there", revision=1))
        self.wait(self.part.follow())
        assert heard == [{"route": {"datasources": ["there"]}}]
        for registry in (self.part, other):
            found = registry.get("integration", mine.id)
            assert found.body == {"route": {"datasources": ["there"]}, "format": "values"}
            assert (found.revision, registry.get("integration", theirs.id).revision) == (3, 2)
        self.wait(other.stop())

    def test_changes_of_several_nodes_at_once_are_all_seen(self):
        others = [self.registry() for _ in range(3)]
        made = [self.wait(each.create("datasource", "default", f"d{n}", {})) for n, each in enumerate(others)]
        done = []
        for n in range(20):
            for other, each in zip(others, made, strict=True):
                other.replace("datasource", each.id, {"n": n}).addCallback(done.append)
        while len(done) < 60:
            self.wait(self.part.catch_up())
        self.wait(self.part.catch_up())
        assert [each.body for each in self.part.list("datasource")] == [{"n": 19}] * 3
        for each in others:
            self.wait(each.stop())

    def test_of_several_partitions_the_last_one_without_a_backlog_is_told_so(self):
        with self.address.connect() as connection:
            connection.execute("INSERT INTO partition (id, owner_epoch) VALUES (1, 1), (2, 5), (3, 0)")
        assert not self.wait(self.part.is_last("some", 1))
        assert not self.wait(self.part.is_last("some", 1))
        assert self.wait(self.part.is_last("some", 2))

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
