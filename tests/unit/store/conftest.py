import pytest

from iotgw.store import backups
from iotgw.testing import ThreadClock
from tests.unit.store.world import Data


@pytest.fixture
def clock():
    return ThreadClock()


@pytest.fixture
def data(clock, tmp_path, monkeypatch):
    monkeypatch.setattr(backups, "RESERVE", 0)
    found = Data(clock, tmp_path / "data")
    yield found
    found.close()


@pytest.fixture
def backup(data):
    data.world.store(b"1", b"2")
    data.take("b1", with_key=True)
    return data.folder / "backups" / "b1"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"
