"""VictoriaLogs, which takes what Loki and Splunk's collector take, has a line per time by their presets."""

import json
from datetime import datetime

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.threads import deferToThread

from tests.peers.time_series import VictoriaLogs

from .test_time_series import NAMES, TIME, deliver, record

pytestmark = pytest.mark.interop


@pytest.fixture
def logs(tmp_path):
    with VictoriaLogs(tmp_path / "logs").start() as peer:
        yield peer


@ensureDeferred
async def test_there_is_a_line_per_time_whatever_the_device_is_called(logs):
    values = [{"t": n / 2, "text": f'low "oil" \\ {name}\n'} for n, name in enumerate(NAMES, 1)]
    records = [
        record(n, name, "meter", (TIME + 60_000 + n, {"t": -n}), (TIME + n, values[n - 1]))
        for n, name in enumerate(NAMES, 1)
    ]
    stats, dead = await deliver("loki", {"url": logs.url}, records)
    assert (dead, stats["delivered"]) == ([], len(NAMES))
    lines = await deferToThread(logs.lines)
    assert len(lines) == 2 * len(NAMES)
    for n, name in enumerate(NAMES, 1):
        mine = sorted((ms(time), json.loads(text)) for device, _, time, text in lines if device == name)
        assert mine == [(TIME + n, values[n - 1]), (TIME + 60_000 + n, {"t": -n})]
    assert {type_ for _, type_, _, _ in lines} == {"meter"}


@ensureDeferred
async def test_splunk_s_collector_has_an_event_per_time_with_its_own_time(logs):
    records = [
        record(n, name, "meter", (TIME + 60_000 + n, {"t": -n}), (TIME + n, {"t": n / 2, "text": f'"{name}'}))
        for n, name in enumerate(NAMES, 1)
    ]
    stats, dead = await deliver("splunk-hec", {"url": logs.collector, "token": "t0ken"}, records)
    assert (dead, stats["delivered"]) == ([], len(NAMES))
    found = await deferToThread(logs.found)
    assert len(found) == 2 * len(NAMES)
    for n, name in enumerate(NAMES, 1):
        mine = sorted(
            (ms(each["_time"]), each["event.values.t"]) for each in found if each.get("host") == name
        )
        assert mine == [(TIME + n, f"{n / 2:g}" if n % 2 else f"{n / 2}"), (TIME + 60_000 + n, f"{-n}")]
    assert {(each["source"], each["sourcetype"], each["event.type"]) for each in found} == {
        ("iotgw", "_json", "meter")
    }


def ms(date):
    return round(datetime.fromisoformat(date).timestamp() * 1000)
