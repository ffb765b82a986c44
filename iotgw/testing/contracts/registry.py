"""What any registry does."""

from __future__ import annotations

import builtins
from typing import Any

from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Deletion, Resource
from iotgw.testing.contracts.base import Contract


class RegistryContract(Contract[IRegistry]):
    """For `IRegistry`.

    Many methods: one for each test.
    """

    def create(
        self,
        name: str = "a",
        body: dict[str, Any] | None = None,
        kind: str = "datasource",
        tenant: str = "default",
    ) -> Resource:
        """A new resource, saved."""
        return self.wait(self.part.create(kind, tenant, name, body or {"type": "coap"}))

    def replace(self, old: Resource, body: dict[str, Any], **how: Any) -> Resource:
        """The resource with another body, saved."""
        return self.wait(self.part.replace(old.kind, old.id, body, **how))

    def delete(self, resource: Resource, **how: Any) -> None:
        """Without the resource from now on."""
        self.wait(self.part.delete(resource.kind, resource.id, **how))

    def test_a_resource_is_found_by_id_and_by_name(self) -> None:
        made = self.create("a", {"port": 5683})
        assert (made.revision, made.name, made.body) == (1, "a", {"port": 5683})
        assert self.part.get("datasource", made.id) == self.part.get("datasource", "a", "default") == made
        self.raises(NotFound, lambda: self.part.get("integration", "a"))

    def test_several_are_made_at_once_or_none(self) -> None:
        heard: builtins.list[tuple[Resource | None, Resource | None]] = []
        self.part.watch("credential", lambda old, new: heard.append((old, new)))
        made = self.wait(self.part.create_all("credential", "default", [("a", {"n": 1}), ("b", {"n": 2})]))
        assert [(each.name, each.body) for each in made] == [("a", {"n": 1}), ("b", {"n": 2})]
        assert self.wait(self.part.create_all("credential", "default", [])) == []
        self.raises(Conflict, lambda: self.part.create_all("credential", "default", [("c", {}), ("a", {})]))
        self.raises(Conflict, lambda: self.part.create_all("credential", "default", [("c", {}), ("c", {})]))
        assert self.reopen().list("credential") == made
        assert heard == [(None, each) for each in made]

    def test_the_name_of_a_resource_is_known_until_it_is_deleted(self) -> None:
        made = self.create("a")
        assert self.part.name_of("datasource", made.id) == "a"
        self.wait(self.part.retire("datasource", made.id, Deletion("drain")))
        assert self.reopen().name_of("datasource", made.id) == "a"
        self.wait(self.part.delete("datasource", made.id))
        assert self.part.name_of("datasource", made.id) == made.id

    def test_a_datasource_that_gets_another_name_is_called_so_by_the_routes_that_name_it(self) -> None:
        made = self.create("here")
        naming = {"route": {"datasources": ["here", "other"], "deviceNames": ["here"]}, "format": "values"}
        followers = [self.create(each, naming, "integration") for each in ("out", "more")]
        by_id = self.create("by-id", {"route": {"datasources": [made.id]}}, "integration")
        of_all = self.create("all", {"route": {}}, "integration")
        acme = self.create("out", naming, "integration", "acme")
        heard: list[tuple[str, builtins.list[str]]] = []

        def hear(old: Resource | None, new: Resource | None) -> None:
            assert new is not None
            routes = [each.body["route"] for each in self.part.list("integration", "default")]
            heard.append((new.name, [route["datasources"][0] for route in routes if "datasources" in route]))

        self.part.watch("datasource", hear)
        self.part.watch("integration", hear)
        self.replace(made, made.body, name="there")
        found = [made.id, "there", "there"]  # whoever hears of one change finds all of them
        assert heard == [("there", found), ("more", found), ("out", found)]
        part = self.reopen()
        for each in followers:
            followed = part.get("integration", each.id)
            route = {"datasources": ["there", "other"], "deviceNames": ["here"]}
            assert (followed.body, followed.revision) == ({"route": route, "format": "values"}, 2)
        assert [part.get("integration", each.id) for each in (by_id, of_all, acme)] == [by_id, of_all, acme]

    def test_a_route_goes_on_to_name_what_was_deleted_under_the_same_name(self) -> None:
        self.create("1f", {"name": "here"}, "departed")
        out = self.create("out", {"route": {"datasources": ["here"]}}, "integration")
        self.replace(self.create("here"), {}, name="there")
        assert self.reopen().get("integration", out.id).body == {"route": {"datasources": ["here", "there"]}}

    def test_the_route_of_an_integration_that_is_being_deleted_follows_too(self) -> None:
        made = self.create("here")
        out = self.create("out", {"route": {"datasources": ["here"]}}, "integration")
        marked = self.wait(self.part.retire("integration", out.id, Deletion("drain", 7)))
        self.clock.advance(5)
        self.replace(made, {}, name="there")
        found = self.reopen().get("integration", out.id)
        assert found.body == {"route": {"datasources": ["there"]}}
        assert (found.deletion, found.updated_ms) == (Deletion("drain", 7), marked.updated_ms)

    def test_a_name_that_is_taken_changes_no_route(self) -> None:
        made, _ = self.create("here"), self.create("there")
        out = self.create("out", {"route": {"datasources": ["here"]}}, "integration")
        self.raises(Conflict, lambda: self.replace(made, {}, name="there"))
        assert self.part.get("integration", "out") == out

    def test_resources_outlast_a_restart(self) -> None:
        made = self.create("a")
        self.clock.advance(5)
        changed = self.replace(made, {"type": "tcp"})
        self.delete(self.create("b"))
        assert self.reopen().list("datasource") == [changed]
        assert changed.updated_ms == made.updated_ms + 5000
        assert changed.created_ms == made.created_ms

    def test_a_tenant_sees_its_own(self) -> None:
        a, b = self.create("x", tenant="acme"), self.create("x", tenant="bolt")
        assert self.part.list("datasource", "acme") == [a]
        assert self.part.get("datasource", "x", "bolt") == b
        self.raises(NotFound, lambda: self.part.get("datasource", a.id, "bolt"))
        self.raises(NotFound, lambda: self.part.get("datasource", "x"))  # whose?
        assert self.part.list("datasource") == [a, b]

    def test_a_name_is_taken_once_per_tenant_and_kind(self) -> None:
        self.create("a")
        self.create("a", tenant="acme")
        self.create("a", kind="integration")
        self.raises(Conflict, lambda: self.create("a"))
        other = self.create("b")
        self.raises(Conflict, lambda: self.replace(other, {}, name="a"))

    def test_a_name_is_free_again_after_a_change(self) -> None:
        renamed = self.replace(self.create("a"), {}, name="b")
        assert self.part.get("datasource", "b", "default") == renamed
        self.create("a")
        self.delete(renamed)
        self.create("b")

    def test_two_creations_at_once_make_one(self) -> None:
        first = self.part.create("datasource", "default", "a", {})
        second = self.part.create("datasource", "default", "a", {})
        self.wait(first)
        self.raises(Conflict, lambda: second)

    def test_a_stale_revision_is_refused(self) -> None:
        made = self.create("a")
        self.replace(made, {"n": 1}, revision=1)
        self.raises(Conflict, lambda: self.replace(made, {"n": 2}, revision=1))
        self.raises(Conflict, lambda: self.delete(made, revision=1))
        self.delete(made, revision=2)
        self.raises(NotFound, lambda: self.delete(made))
        self.raises(NotFound, lambda: self.replace(made, {}))

    def test_what_is_being_deleted_stays_over_a_restart_and_cannot_be_changed(self) -> None:
        made = self.create("a")
        marked = self.wait(self.part.retire("datasource", made.id, Deletion("drain", 7), made.revision))
        assert (marked.deletion, marked.revision, marked.body) == (Deletion("drain", 7), 2, made.body)
        registry = self.reopen()
        assert registry.list("datasource") == [marked]
        self.raises(Conflict, lambda: self.replace(marked, {}))
        self.raises(Conflict, lambda: self.create("a"))
        self.raises(Conflict, lambda: registry.retire("datasource", made.id, Deletion("drop"), 1))
        self.raises(NotFound, lambda: registry.retire("datasource", "nobody", Deletion("drop")))
        self.delete(marked)
        assert registry.list("datasource") == []

    def test_who_drains_may_drop_after_all_and_not_the_other_way_round(self) -> None:
        made = self.create("a")
        for backlog, decided in (("drain", "drain"), ("drop", "drop"), ("drain", "drop")):
            marked = self.wait(self.part.retire("datasource", made.id, Deletion(backlog, 7)))  # type: ignore[arg-type]
            assert marked.deletion == Deletion(decided, 7)  # type: ignore[arg-type]

    def test_watchers_hear_of_changes_of_their_kind(self) -> None:
        heard: list[tuple[Resource | None, Resource | None]] = []
        self.part.watch("datasource", lambda old, new: heard.append((old, new)))
        self.create("other", kind="integration")
        made = self.create("a")
        changed = self.replace(made, {"n": 1})
        self.delete(changed)
        assert heard == [(None, made), (made, changed), (changed, None)]

    def test_a_watcher_that_fails_stops_nobody(self) -> None:
        heard: list[Resource | None] = []

        def fails(old: Resource | None, new: Resource | None) -> None:
            raise ValueError("a fault of the watcher")

        self.part.watch("datasource", fails)
        self.part.watch("datasource", lambda old, new: heard.append(new))
        made = self.create("a")
        assert heard == [made]

    def test_what_is_saved_shares_nothing_with_the_caller(self) -> None:
        body = {"list": [1]}
        made = self.create("a", body)
        body["list"].append(2)
        assert made.body == self.part.get("datasource", made.id).body == {"list": [1]}

    def test_a_sealed_secret_is_not_in_the_clear_and_opens_again(self) -> None:
        sealed = self.part.seal("hunter2-ü")
        assert "hunter2" not in sealed
        assert self.reopen().unseal(sealed) == "hunter2-ü"
        self.raises(IotgwError, lambda: self.part.unseal("hunter2"))
