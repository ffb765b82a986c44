"""Cases of people who forward device data, in `tests/data/field.json`: each with what they wanted, and the test that has its right value.

The cases that need no server stand here.
"""

import ast
import json
from functools import cache

import msgspec
import pytest

from iotgw.core.epochs import Epochs
from iotgw.core.parts import PartEpochs
from iotgw.core.secrets import MASK, masked
from iotgw.delivery.splitting import Pieces
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.http_settings import HttpSettings
from iotgw.integrations.presets import target_presets
from iotgw.integrations.template import Template, for_topic
from iotgw.testing import telemetry
from tests.peers.gateway import ROOT

from .http_world import HttpWorld, document
from .preset_pages import world as world_of

CASES = {case["id"]: case for case in json.loads((ROOT / "tests/data/field.json").read_text())}
AREAS = {"http in": 5, "http out": 11, "mqtt out": 4, "sftp": 9}
NOON = 1700000000123
"""The time of the cases, in milliseconds."""


@cache
def names_in(path):
    """The tests of a file, those of its classes included."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("id", CASES)
def test_each_case_has_its_test(id):
    path, _, name = CASES[id]["test"].partition("::")
    assert name in names_in(path)


@pytest.mark.parametrize("area", AREAS)
def test_no_case_of_an_area_is_left_out(area):
    assert sum(case["area"] == area for case in CASES.values()) == AREAS[area]


def at_noon(values, device="d1", **attributes):
    return json.dumps({
        "deviceName": device, "deviceType": "default", "attributes": attributes,
        "telemetry": [{"ts": NOON, "values": values}],
    }).encode()  # fmt: skip


def bodies(world):
    return [body.decode() for _, body in world.requests]


# --- to HTTP


def test_names_with_spaces_and_commas_are_one_point():
    case = CASES["O01"]["input"]
    world = HttpWorld(format="line-protocol")
    body = json.loads(at_noon({"label": case["label"], "t": 21.5}, case["deviceName"]))
    body["deviceType"] = case["deviceType"]
    how = {"device_type": case["deviceType"]}
    world.store(json.dumps(body).encode(), device=case["deviceName"], how=how)
    point = 'tank\\ level,device=tank\\ 3\\,\\ hall\\=A label="low \\"oil\\"",t=21.5 1700000000123000000'
    assert [text.strip() for text in bodies(world)] == [point]


def test_of_a_batch_one_bad_line_is_dead():
    def says(head, body):
        return (400, {"error": "unable to parse"}) if b"n/a" in body else 204

    world = HttpWorld(says, configuration={"batch": "ndjson"}, format="template", template="t={{ values.t }}")
    seqs = world.store({"t": 21.5}, {"t": "n/a"}, {"t": 22})
    world.go(seconds=10)
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 1}
    assert list(world.dead()) == [seqs[1]] and "unable to parse" in world.dead()[seqs[1]]


def test_a_document_that_bulk_refused_is_no_delivery():
    answers = {"url": "https://es", "index": "iot", "apiKey": "k"}
    spec = target_presets()["elasticsearch"].spec("one", answers)

    def says(head, body):
        lines = body.splitlines()[1::2]
        items = [
            {"create": {"status": 400 if b"bad" in line else 201, "error": {"reason": "no"}}}
            for line in lines
        ]
        return 200, {"errors": any(b"bad" in line for line in lines), "items": items}

    world = world_of(spec, says)
    seqs = world.store({"t": 1}, {"t": "bad"}, {"t": 2}, {"t": 3}, {"t": 4})
    world.go(seconds=5)
    assert world.accounts() == {"delivered": 4, "waiting": 0, "dead": 1} and list(world.dead()) == [seqs[1]]


@pytest.mark.parametrize(
    ("template", "wanted"),
    [
        ('{"time":{{ ts / 1000 }}}', '{"time":1700000000.123}'),
        ('"{{ ts }}000000"', '"1700000000123000000"'),
        ("{{ ts | isoformat }}", "2023-11-14T22:13:20.123Z"),
    ],
    ids=["O05", "O06", "O09"],
)
def test_a_template_makes(template, wanted):
    world = HttpWorld(format="template", template=template)
    world.store(at_noon({"t": 1}))
    assert bodies(world) == [wanted]


@pytest.mark.parametrize("state", ["open", 21.5, True, None, 'a "b"'])
def test_a_state_is_valid_json_whatever_it_is(state):
    url = "http://h/api/states/sensor.{{ deviceName | slug }}_{{ name | slug }}"
    template = '{"state": {{ value | tojson }}}'
    world = HttpWorld(split="value", format="template", template=template, configuration={"url": url})
    world.store({"door 1": state, "other": 1})
    assert json.loads(world.requests[0][1]) == {"state": state}
    assert world.requests[0][0].startswith("POST /api/states/sensor.d1_door_1 ")
    assert len(world.requests) == 2 and world.accounts()["delivered"] == 1


def test_a_device_in_the_url_is_escaped():
    world = HttpWorld(configuration={"url": "http://h/webhook/{{ deviceName }}"})
    world.store(document({"t": 1}, "a/b ü?"), device="a/b ü?")
    assert world.requests[0][0].startswith("POST /webhook/a%2Fb%20%C3%BC%3F ")


def test_tokens_in_headers_are_not_shown():
    headers = {"Authorization": "Splunk 00000000-0017", "X-Auth-Token": "BBFF-secret"}
    shown = masked({"url": "https://h/", "headers": headers}, HttpSettings, str)
    assert shown["headers"] == dict.fromkeys(headers, MASK)


THREE = msgspec.json.encode(
    {"deviceName": "d1", "deviceType": "default",
     "telemetry": [{"ts": NOON + n, "values": {"t": n}} for n in range(3)]}
)  # fmt: skip


@pytest.mark.parametrize(("split", "sent", "warned"), [("device", 1, True), ("reading", 3, False)])
def test_several_times_are_warned_of_or_sent_each(split, sent, warned):
    world = HttpWorld(split=split, format="template", template="{{ ts }} {{ values.t }}")
    world.store(THREE)
    assert len(world.requests) == sent
    assert any("split: reading" in warning for warning in world.stats()["warnings"]) is warned


def test_a_missing_attribute_is_named():
    world = HttpWorld(format="template", template="{{ attributes.site | tojson }}")
    world.store({"t": 1})
    assert list(world.dead().values()) == ["template: attributes.site is missing"]


# --- to MQTT


def topics(template, values, split="device", device="x"):
    names = RecordNames(PartEpochs(Epochs("E"), split), str)
    topic = Template(template, "configuration.topic", names, for_topic)
    pieces = Pieces(telemetry(1, device, body=document(values, device)), split, frozenset(("telemetry",)))
    return [topic.text(part) for part in pieces]


def test_a_topic_with_a_property_bag_is_published_as_it_is():
    topic = CASES["M12"]["input"]["topic"]
    assert topics(topic, {"t": 1}) == [topic]


def test_each_value_has_its_topic():
    values = CASES["M15"]["input"]["values"]
    assert topics("dev/{{ deviceName }}/{{ name }}", values, "value") == ["dev/x/t", "dev/x/h"]
