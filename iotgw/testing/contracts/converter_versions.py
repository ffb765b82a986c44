"""What any keeper of converters' versions does."""

from __future__ import annotations

from typing import Any

from iotgw.core.errors import Conflict, NotFound
from iotgw.core.ports.converters import IConverterVersions
from iotgw.core.specs import ConverterSpec, Resource
from iotgw.testing.contracts.base import Contract


def script(text: str = "function Decoder() {}", name: str = "c", **more: Any) -> ConverterSpec:
    """A converter as a user saves it."""
    return ConverterSpec(name=name, script=text, **more)


SECOND = "function Decoder() { return 2 }"


class ConverterVersionsContract(Contract[IConverterVersions]):
    """For `IConverterVersions`; the part bundles nothing called ``c``."""

    def create(self, spec: ConverterSpec | None = None, tenant: str = "default") -> Resource:
        """A new converter, saved."""
        return self.wait(self.part.create(tenant, spec or script()))

    def numbers(self, resource: Resource) -> list[int]:
        """The numbers of its versions."""
        return [version.version for _, version in self.part.versions(resource)]

    def test_the_first_script_is_version_one_and_active(self) -> None:
        resource = self.create()
        active = self.part.active("default", "c")
        assert (active.id, active.version, active.name) == (resource.id, 1, "c")
        assert active.script == script().script
        assert self.part.active("default", resource.id) == active

    def test_a_name_is_taken_once(self) -> None:
        self.create()
        self.create(tenant="acme")
        self.raises(Conflict, self.create)

    def test_another_script_is_a_further_version_and_runs(self) -> None:
        resource = self.create()
        changed = self.wait(self.part.replace(resource, script(SECOND)))
        assert self.part.active("default", "c").version == 2
        assert self.numbers(changed) == [1, 2]
        assert [version.script for _, version in self.part.versions(changed)] == [script().script, SECOND]

    def test_other_files_are_a_further_version(self) -> None:
        changed = self.wait(self.part.replace(self.create(), script(files={"a.js": "exports.b = 1;"})))
        assert self.numbers(changed) == [1, 2]
        assert self.part.active("default", "c").files == {"a.js": "exports.b = 1;"}

    def test_the_same_script_again_only_changes_the_texts(self) -> None:
        resource = self.create()
        changed = self.wait(self.part.replace(resource, script(description="why")))
        assert changed.body["description"] == "why"
        assert self.numbers(changed) == [1]

    def test_an_older_version_can_be_made_active(self) -> None:
        changed = self.wait(self.part.replace(self.create(), script(SECOND)))
        self.wait(self.part.activate(changed, 1))
        assert self.part.active("default", "c").script == script().script
        self.raises(NotFound, lambda: self.part.activate(self.create(script(name="other")), 2))

    def test_a_stale_revision_is_refused(self) -> None:
        resource = self.create()
        self.wait(self.part.replace(resource, script(SECOND), resource.revision))
        self.raises(Conflict, lambda: self.part.delete(resource, resource.revision))

    def test_a_deleted_converter_runs_no_more(self) -> None:
        resource = self.create()
        self.wait(self.part.delete(resource))
        self.raises(NotFound, lambda: self.part.active("default", "c"))

    def test_a_tenant_runs_its_own(self) -> None:
        self.create()
        self.raises(NotFound, lambda: self.part.active("acme", "c"))

    def test_the_bundled_ones_run_for_everybody(self) -> None:
        for name, version in self.part.library.items():
            assert self.part.active("default", name) == self.part.active("acme", name) == version
