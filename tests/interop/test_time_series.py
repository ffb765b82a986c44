"""InfluxDB and VictoriaMetrics get what devices measured, whatever they are called, by the presets for them."""

import json
import math

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.integrations.presets import target_presets
from iotgw.testing import telemetry
from tests.peers.time_series import InfluxDb, InfluxDbOfVersion2Api, VictoriaMetrics

from .delivering import Delivering

NAMES = [
    "SN-1", "tank 3, hall=A", "ends with \\", "a\\,b", 'quo"ted', "#comment", "größe", "tab\there", "two\nlines", "=", ",", " ",
    "\\", "{}", "'",
]  # fmt: skip
TEXTS = ["plain", 'low "oil"', "back\\slash", "ends\\", "two\nlines", "", "ü"]
TIME = 1_700_000_000_000


@pytest.fixture(
    scope="module",
    params=["influxdb-v1", pytest.param("influxdb", marks=pytest.mark.soak)],
)
def influx(request, tmp_path_factory):
    """A database, with the preset and its answers by which it is written to."""
    make = InfluxDb if request.param == "influxdb-v1" else InfluxDbOfVersion2Api
    with make(tmp_path_factory.mktemp("influx")).start() as peer:
        place = (
            {"db": "iot"}
            if request.param == "influxdb-v1"
            else {"org": "any", "bucket": "iot", "token": peer.token}
        )
        peer.by = (request.param, {"url": peer.url, **place})
        yield peer


@pytest.fixture(scope="module")
def victoria(tmp_path_factory):
    with VictoriaMetrics(tmp_path_factory.mktemp("victoria")).start() as peer:
        yield peer


def record(seq, name, type_, *readings):
    body = {
        "deviceName": name, "deviceType": type_, "attributes": {},
        "telemetry": [{"ts": ts, "values": values} for ts, values in readings],
    }  # fmt: skip
    return telemetry(seq, name, type_, int(reactor.seconds() * 1000), json.dumps(body).encode())


def spec_of(preset, answers):
    """What a preset makes of answers, as `Delivering` takes it."""
    spec = target_presets()[preset].spec("one", answers)
    return {key: spec[key] for key in ("configuration", "format", "split", "template") if key in spec}


async def deliver(preset, answers, records, **more):
    """Deliver these by a preset; returns the accounts and the dead letters' errors."""
    async with Delivering("http", **spec_of(preset, answers), **more) as world:
        world.journal.put(records)
        world.service.feed(records)
        stats = await world.settled()
        dead = await world.service.dead_letters("i1")
        return stats, [each.error for each in dead]


@ensureDeferred
async def test_influxdb_has_a_point_per_time_whatever_the_device_is_called(influx):
    records = [
        record(n, name, f"type {name}", (TIME + n, {"t": n / 2, "n": n, "ok": True, "text": TEXTS[n % len(TEXTS)]}),
               (TIME + 60_000 + n, {"t": -n, name or "k": 1, "time": 5}))
        for n, name in enumerate(NAMES, 1)
    ]  # fmt: skip
    stats, dead = await deliver(*influx.by, records)
    assert (dead, stats["delivered"]) == ([], len(NAMES))
    found = await deferToThread(influx.query, "SELECT * FROM /.*/ WHERE n > 0 GROUP BY device")
    rows = sorted((row for _, _, rows in found for row in rows), key=lambda row: row["time"])
    assert [(row["time"], row["t"], row["n"], row["ok"], row["text"]) for row in rows] == [
        (TIME + n, n / 2, n, True, TEXTS[n % len(TEXTS)]) for n in range(1, len(NAMES) + 1)
    ]
    devices = {tags["device"] for _, tags, _ in found}
    assert {"SN-1", "tank 3, hall=A", 'quo"ted', "größe", "{}", "'", "=", ","} <= devices
    later = await deferToThread(influx.query, "SELECT * FROM /.*/ WHERE time_ = 5")
    assert sum(len(rows) for _, _, rows in later) == len(NAMES)


@ensureDeferred
async def test_of_a_batch_only_the_point_that_influxdb_refuses_is_dead_with_its_words(influx):
    records = [record(n, f"c{n}", "conflict", (TIME + n, {"t": "n/a" if n == 3 else n})) for n in range(1, 6)]
    stats, dead = await deliver(*influx.by, records)
    assert (stats["delivered"], stats["dead"]) == (4, 1)
    assert "field type conflict" in dead[0]
    found = await deferToThread(influx.query, "SELECT t FROM conflict")
    assert [row["t"] for row in found[0][2]] == [1, 2, 4, 5]


@pytest.mark.interop
@ensureDeferred
async def test_victoriametrics_has_a_sample_per_number(victoria):
    records = [
        record(
            n,
            name,
            "meter",
            (TIME + n, {"t": n / 2, "ok": True, "text": "x"}),
            (TIME + 60_000 + n, {"t": -n}),
        )
        for n, name in enumerate(NAMES, 1)
    ]
    stats, dead = await deliver("victoriametrics", {"url": victoria.url}, records)
    assert (dead, stats["delivered"]) == ([], len(NAMES))
    samples = await deferToThread(victoria.samples)
    temperatures = [by_time for name, _, by_time in samples if name == "meter_t"]
    assert sorted(t for by_time in temperatures for t in by_time) == sorted(
        ts + n for n in range(1, len(NAMES) + 1) for ts in (TIME, TIME + 60_000)
    )
    assert {by_time[TIME + 2] for by_time in temperatures if TIME + 2 in by_time} == {1.0}
    assert sum(len(by_time) for name, _, by_time in samples if name == "meter_ok") == len(NAMES)


@pytest.mark.interop
@ensureDeferred
async def test_texts_keep_no_number_from_victoriametrics(victoria):
    texts = [*TEXTS, 'OK\r\nlines,device=evil t=66 1"', None, [1], {"a": 1}]
    records = [
        record(n, f"texts {n}", "lines", (TIME + n, {"text": text, "t": n, "key,=\n": n}))
        for n, text in enumerate(texts, 1)
    ]
    only = record(len(records) + 1, "texts", "lines", (TIME, {"text": "x"}))
    stats, dead = await deliver("victoriametrics", {"url": victoria.url}, [*records, only])
    assert (dead, stats["delivered"]) == ([], len(records) + 1)
    found = await deferToThread(victoria.samples)
    for metric in "lines_t", "lines_key,= ":
        assert {device: by_time for name, device, by_time in found if name == metric} == {
            f"texts {n}": {TIME + n: n} for n in range(1, len(texts) + 1)
        }


@pytest.mark.interop
@ensureDeferred
async def test_victoriametrics_reads_openmetrics_with_times_in_seconds(victoria):
    records = [
        record(n, f"om {n}", "om", (TIME + 123 + n, {"level m": n + 0.25, "on": False})) for n in range(1, 4)
    ]
    configuration = {"url": f"{victoria.url}/api/v1/import/prometheus", "batch": "array"}
    async with Delivering("http", configuration=configuration, format="openmetrics") as world:
        world.journal.put(records)
        world.service.feed(records)
        assert (await world.settled())["delivered"] == 3
    samples = await deferToThread(victoria.samples)
    found = {device: by_time for name, device, by_time in samples if name == "level_m"}
    assert found == {f"om {n}": {TIME + 123 + n: n + 0.25} for n in range(1, 4)}
    assert all(
        math.isclose(value, 0) for name, _, by_time in samples if name == "on" for value in by_time.values()
    )
