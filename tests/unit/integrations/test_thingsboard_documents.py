"""How messages become publications of ThingsBoard's gateway API, and how long these are."""

import json

from iotgw.integrations.thingsboard_documents import ATTRIBUTES, TELEMETRY, Documents
from iotgw.testing import telemetry

from .thingsboard_world import ThingsBoardWorld, document


def test_a_message_that_is_longer_is_several_publications():
    """Of a device that kept its readings for a week: by readings, a reading with many values by these."""
    readings = [{"ts": ts, "values": {"t": ts / 10, "größe": "ü"}} for ts in range(40)]
    readings[7]["values"] |= {f"key {n}": [n, {"a": None}] for n in range(20)}
    attributes = {f"key {n}": "x" * n for n in range(30)}
    body = json.dumps({"attributes": attributes, "telemetry": readings}, indent=1).encode()
    record = telemetry(1, "d1", body=body)
    made = Documents(["telemetry", "attributes"], 200, is_mixed=False)
    packets = made.packets([record, record], [body, document("d1", {"t": 1})])
    assert max(len(said) for _, said in packets) <= 200
    told = [entry for topic, said in packets if topic == TELEMETRY for entry in json.loads(said)["d1"]]
    found: dict[int, dict] = {}
    for entry in told[:-1]:
        found.setdefault(entry["ts"], {}).update(entry["values"])
    assert list(found.items()) == [(each["ts"], each["values"]) for each in readings]
    assert told[-1] == {"ts": 1000, "values": {"t": 1}}
    assert {
        key: value
        for topic, said in packets
        if topic == ATTRIBUTES
        for key, value in json.loads(said)["d1"].items()
    } == attributes


def test_what_a_device_kept_for_a_week_arrives_though_thingsboard_takes_no_message_so_long():
    world = ThingsBoardWorld()
    readings = [{"ts": ts, "values": {"level": ts + 0.5, "battery": 3.6}} for ts in range(10_000)]
    world.store(json.dumps({"attributes": {}, "telemetry": readings}).encode())
    world.store({"t": 1})
    world.go(seconds=5)
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}
    expected = [(each["ts"], each["values"]) for each in readings]
    assert world.server.devices["d1"].telemetry == [*expected, (1000, {"t": 1})]
