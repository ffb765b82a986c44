import pytest

from iotgw.store.sqlite.journal import Journal
from iotgw.testing import ThreadClock
from tests.unit.store.sqlite.world import World


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def backend(tmp_path):
    """Makes journals over one storage: ``backend(clock)``."""

    def sqlite(clock, **settings):
        return Journal(clock, tmp_path / "journal.db", **settings)

    return sqlite


@pytest.fixture
def world(clock, backend):
    world = World(clock, backend)
    yield world
    clock.wait(world.journal.stop())
