"""What targets of each type make of a message that is split, and what is said when it is saved."""

import json

import pytest

from iotgw.core.epochs import Epochs
from iotgw.core.errors import SettingsError
from iotgw.core.parts import PartEpochs
from iotgw.core.specs import IntegrationSpec
from iotgw.core.validate import convert
from iotgw.delivery.splitting import Pieces
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.payload import formatter
from iotgw.integrations.template import Template, for_topic
from iotgw.testing import integration_context, telemetry
from iotgw.testing.connector import FakeConnector
from iotgw.testing.reactor import MemoryReactor

from .http_world import HttpWorld


def message(*readings, attributes=None):
    return json.dumps({
        "deviceName": "d 1", "deviceType": "t", "attributes": attributes or {},
        "telemetry": [{"ts": ts, "values": values} for ts, values in readings],
    }).encode()  # fmt: skip


THREE = message((3000, {"t": 3}), (1000, {"t": 1}), (2000, {"t": 2, "ok": True}))


def head(name, request):
    return next(line.partition(": ")[2] for line in request[0].splitlines() if line.startswith(name))


def test_a_request_per_value_has_its_place_in_the_url_and_a_key_of_its_own():
    world = HttpWorld(configuration={"url": "http://h/api/states/{{ deviceName }}_{{ name }}"}, split="value",
                      format="template", template='{"state":{{ value | tojson }},"at":{{ ts }}}')  # fmt: skip
    world.store(THREE, device="d 1")
    assert [
        (request[0].split()[1], request[1], head("Idempotency-Key", request)) for request in world.requests
    ] == [
        ("/api/states/d%201_t", b'{"state":1,"at":1000}', "E-1.1.2"),
        ("/api/states/d%201_t", b'{"state":2,"at":2000}', "E-1.1.3"),
        ("/api/states/d%201_ok", b'{"state":true,"at":2000}', "E-1.1.4"),
        ("/api/states/d%201_t", b'{"state":3,"at":3000}', "E-1.1.1"),
    ]
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}


def test_the_standard_document_of_a_part_has_the_part_s_key():
    world = HttpWorld(split="reading")
    world.store(THREE)
    keys = [json.loads(body)["key"] for _, body in world.requests]
    assert keys == ["E-1.1.2", "E-1.1.3", "E-1.1.1"]


@pytest.mark.parametrize(("split", "wanted"), [("device", [3]), ("reading", [1, 2, 3])])
def test_a_batch_template_that_reads_values_gets_each_time_where_readings_are_split(split, wanted):
    world = HttpWorld(
        configuration={"batch": "ndjson"}, split=split, format="template", template="{{ values.t }}@{{ ts }}"
    )
    world.store(THREE)
    assert [request[1] for request in world.requests] == [b"".join(b"%d@%d000\n" % (n, n) for n in wanted)]


def test_a_batch_of_parts_has_a_verdict_for_each_and_only_the_refused_one_comes_again():
    refused = [2]

    def says(head, body):
        lines = body.splitlines()
        items = [{"status": 500 if int(line) in refused else 201} for line in lines]
        return 200, {"items": items}

    world = HttpWorld(
        says, split="reading", format="template", template="{{ values.t }}",
        configuration={"batch": "ndjson", "answer": {"items": "body.items", "item": {"success": "status < `300`"}}},
    )  # fmt: skip
    world.store(THREE)
    assert world.stats()["lastError"] == 'part 3 of 3: HTTP 200: {"status":500}'
    refused.clear()
    world.go(seconds=5)
    assert [request[1] for request in world.requests] == [b"1\n2\n3\n", b"2\n"]
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}


def mqtt(**spec):
    spec = IntegrationSpec(name="one", type="mqtt", **spec)
    type_ = MqttType(MemoryReactor(), connector=FakeConnector())
    settings = {"host": "h", "topic": spec.configuration.get("topic", "t")}
    return type_.build(convert(settings, type_.settings), integration_context(spec))


def test_a_topic_with_a_loop_is_refused_and_the_error_names_what_there_is_instead():
    topic = "{% for name in values %}dev/{{ deviceName }}/{{ name }}{% endfor %}"
    with pytest.raises(SettingsError, match=r"split: value .*\{\{ name \}\}") as caught:
        mqtt(configuration={"topic": topic})
    assert caught.value.path == "configuration.topic"


def test_a_topic_per_value():
    names = RecordNames(PartEpochs(Epochs("E"), "value"), str)
    topic = Template("dev/{{ deviceName }}/{{ name }}", "configuration.topic", names, for_topic)
    pieces = Pieces(
        telemetry(1, "x", body=message((1, {"t": 21.5, "h/1": 60}))), "value", frozenset(("telemetry",))
    )
    assert [topic.text(part) for part in pieces] == ["dev/x/t", "dev/x/h_1"]


def test_an_event_per_value_has_its_part_s_id_and_its_record_s_rest():
    names = RecordNames(PartEpochs(Epochs("E"), "value"), str)
    make = formatter(
        IntegrationSpec(name="one", type="http", configuration={}, split="value", format="cloudevents"), names
    )
    records = [telemetry(seq, "x", body=message((1, {"t": 21.5, "h": 60}))) for seq in (1, 2)]
    parts = [Pieces(record, "value", frozenset(("telemetry",))) for record in records]
    events = [json.loads(make(part)) for pair in zip(*parts, strict=True) for part in pair]
    assert [event["id"] for event in events] == [
        names.key(part) for pair in zip(*parts, strict=True) for part in pair
    ]
    assert len({event["id"] for event in events}) == 4
    for event in events:
        assert event["data"]["key"] == event["id"] and event["subject"] == "x"
        assert (event["specversion"], event["type"]) == ("1.0", "iotgw.telemetry")
        assert len(event["data"]["telemetry"][0]["values"]) == 1


@pytest.mark.parametrize("split", ["device", "reading"])
@pytest.mark.parametrize("text", ["{{ name }}", "{{ value }}"])
def test_names_that_only_single_keys_have_are_refused_elsewhere(split, text):
    with pytest.raises(SettingsError, match="expected split: value, or split: entity"):
        HttpWorld(split=split, format="template", template=text)


@pytest.mark.parametrize(
    ("template", "split", "warns"),
    [
        ("{{ values.t }}", "device", True),
        ("{{ ts }}", "device", True),
        ("{{ values.t }}", "reading", False),
        ("{{ values.t }}{{ telemetry | length }}", "device", False),
        ("{{ deviceName }}", "device", False),
    ],
)
def test_a_template_that_reads_the_latest_values_only_is_warned_of_when_it_is_saved(template, split, warns):
    world = HttpWorld(split=split, format="template", template=template, configuration={"batch": "ndjson"})
    warnings = world.stats()["warnings"]
    assert [("split: reading" in text) for text in warnings] == ([True] if warns else [])
    events = [event.message for event in world.memory.emitted if event.type == "settings"]
    assert events == warnings


def test_sftp_and_others_warn_alike():
    said = []
    spec = IntegrationSpec(name="x", type="x", format="template", template="{{ values.t }} {{ ts }}")
    formatter(spec, RecordNames(Epochs("E"), str), said.append)
    (text,) = said
    assert text.startswith(
        "the template reads values and ts: of a message with several times the target gets the latest only."
    )
