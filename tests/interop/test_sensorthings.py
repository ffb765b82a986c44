"""A SensorThings service has an Observation per value, by the preset for it."""

import pytest
from pytest_twisted import ensureDeferred

from tests.peers.sensorthings import SensorThings

from .test_time_series import TIME, deliver, record

pytestmark = pytest.mark.interop
NAMES = ["SN-1", 'quo"ted', "größe (2)", "it's"]


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    streams = [f"{name}:{key}" for name in NAMES for key in ("t", "n")]
    with SensorThings(tmp_path_factory.mktemp("sensorthings"), *streams).start() as peer:
        yield peer


@ensureDeferred
async def test_there_is_an_observation_per_value_in_the_datastream_of_its_key(service):
    records = [
        record(n, name, "meter", (TIME + 1000 * n, {"t": n / 2, "n": n}), (TIME + 60_000, {"t": -n}))
        for n, name in enumerate(NAMES, 1)
    ]
    records.append(record(9, "SN-1", "meter", (TIME, {"t": "no number"})))
    stats, dead = await deliver("sensorthings", {"url": service.url}, records)
    assert stats["delivered"] == len(NAMES)
    assert ["valid number" in each for each in dead] == [True]
    assert sorted(service.observations()) == sorted(
        (f"{name}:{key}", f"2023-11-14 22:{minute}:{second:02}", value)
        for n, name in enumerate(NAMES, 1)
        for key, minute, second, value in (("t", 13, 20 + n, n / 2), ("n", 13, 20 + n, n), ("t", 14, 20, -n))
    )
