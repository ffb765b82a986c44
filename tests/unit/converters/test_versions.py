"""The versions in a registry pass the suite of any keeper of versions."""

from functools import cached_property

from iotgw import testing
from iotgw.converters.versions import ConverterVersions
from iotgw.core.errors import NotFound, SettingsError
from iotgw.core.model import ConverterVersion
from iotgw.testing.contracts import ConverterVersionsContract
from iotgw.testing.contracts.converter_versions import SECOND, script

BUNDLED = ConverterVersion("bundled:json", 1, "json", "UPLINK", "", "thingsboard", "duktape")


class TestConverterVersions(ConverterVersionsContract):
    @cached_property
    def registry(self):
        return testing.MemoryRegistry(self.clock)

    def open(self):
        return ConverterVersions(self.registry, testing.FakeConverters(), {"json": BUNDLED})

    def test_versions_outlast_a_restart(self):
        changed = self.wait(self.part.replace(self.create(), script(SECOND)))
        assert self.reopen().active("default", "c").script == SECOND
        assert self.numbers(changed) == [1, 2]

    def test_nothing_of_a_deleted_converter_is_left_in_the_registry(self):
        self.wait(self.part.delete(self.create()))
        assert self.registry.list("converter") == self.registry.list("converterVersion") == []

    def test_a_script_that_does_not_compile_is_not_saved(self):
        self.raises(SettingsError, lambda: self.create(script("no JavaScript")))
        assert self.registry.list("converter") == []

    def test_a_time_limit_that_was_written_down_by_an_earlier_release_is_not_a_converters_own(self):
        resource = self.create()
        entry = self.registry.get("converterVersion", f"{resource.id}/1", "default")
        self.wait(self.registry.replace("converterVersion", entry.id, dict(entry.body, time_limit=0.25)))
        assert self.part.active("default", "c").time_limit == 0

    def test_the_active_version_is_found_by_what_the_registry_says_now(self):
        changed = self.wait(self.part.replace(self.create(), script(SECOND)))
        assert self.part.active("default", "c").version == 2
        self.wait(self.part.activate(changed, 1))
        assert self.part.active("default", "c").version == 1
        self.raises(NotFound, lambda: self.part.active("default", "d"))
