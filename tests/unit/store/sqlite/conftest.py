import pytest

from iotgw.store.sqlite.journal import Journal
from tests.unit.store.sqlite.threads import ThreadClock
from tests.unit.store.sqlite.world import World


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture(params=["sqlite"])
def backend(request, tmp_path):
    """Makes journals over one storage: ``backend(clock)``. Each further backend is a name in ``params``."""

    def sqlite(clock, **settings):
        return Journal(clock, tmp_path / "journal.db", **settings)

    return {"sqlite": sqlite}[request.param]


@pytest.fixture
def world(clock, backend):
    world = World(clock, backend)
    yield world
    clock.wait(world.journal.stop())
