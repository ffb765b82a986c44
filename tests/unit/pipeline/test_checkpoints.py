"""Places in streams, kept in the registry."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.pipeline.checkpoints import RegistryCheckpoints


@pytest.fixture(params=["registry", "memory"])
def checkpoints(request):
    if request.param == "memory":
        return testing.MemoryCheckpoints()
    return RegistryCheckpoints(testing.MemoryRegistry(), "default", "ds")


def test_what_was_written_last_is_read(checkpoints):
    assert checkpoints.read("s") == {}
    checkpoints.write("s", {"a": "1"})
    checkpoints.write("s", {"a": "2", "b": "1"})
    assert checkpoints.read("s") == {"a": "2", "b": "1"}


def test_the_places_of_one_stream_are_not_another_s(checkpoints):
    checkpoints.write("s", {"a": "1"})
    assert checkpoints.read("other") == {}


def test_what_is_forgotten_is_gone(checkpoints):
    checkpoints.forget()
    checkpoints.write("s", {"a": "1"})
    checkpoints.forget()
    assert checkpoints.read("s") == {}


def test_each_datasource_has_its_own():
    registry = testing.MemoryRegistry()
    RegistryCheckpoints(registry, "default", "one").write("s", {"a": "1"})
    assert RegistryCheckpoints(registry, "default", "two").read("s") == {}
