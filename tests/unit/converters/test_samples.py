"""A script that may be of several dialects is tried on stored messages of the datasources that it serves."""

import pytest

from iotgw import testing
from iotgw.converters.samples import MOST, OF_EACH, StoredSamples
from iotgw.converters.versions import ConverterVersions
from iotgw.core.errors import Undecided
from iotgw.core.model import Uplink
from iotgw.core.times import DateMs
from iotgw.testing.contracts.converter_versions import script


class World:
    def __init__(self):
        clock = testing.clock()
        self.registry = testing.MemoryRegistry(clock)
        self.journal = testing.MemoryJournal(clock)
        self.samples = StoredSamples(self.registry, self.journal)
        self.versions = ConverterVersions(self.registry, testing.FakeConverters(), {}, self.samples.of)

    def datasource(self, name, converter, messages):
        body = {"type": "http", "converter": converter}
        id_ = testing.fired(self.registry.create("datasource", "default", name, body)).id
        for number in range(messages):
            uplink = Uplink("default", id_, DateMs(1000), f"{name} {number}".encode(), b"{}")
            self.journal.append(uplink, (lambda answer: None, None))
        self.journal.flush()

    def found(self, *names):
        return [each.payload.decode() for each in testing.fired(self.samples.of("default", *names))]


@pytest.fixture
def world():
    return World()


def test_the_latest_of_each_datasource(world):
    world.datasource("a", "c", OF_EACH + 2)
    world.datasource("b", "c-id", 1)
    world.datasource("other", "d", 1)
    assert sorted(world.found("c", "c-id")) == ["a 2", "a 3", "a 4", "b 0"]


def test_so_many_of_all_and_no_more(world):
    for number in range(MOST):
        world.datasource(f"d{number}", "c", OF_EACH)
    assert len(world.found("c")) == MOST


def test_a_script_that_is_undecided_is_saved_once_there_are_messages(world):
    made = testing.fired(world.versions.create("default", script()))
    draft = script("function undecided() {}")
    with pytest.raises(Undecided):
        testing.fired(world.versions.replace(made, draft))
    world.datasource("a", "c", 1)
    testing.fired(world.versions.replace(made, draft))
    assert world.versions.active("default", "c").version == 2
