"""A preset is checked where it is saved, says where it is wrong, and decides what converters get."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from iotgw.core.downlink_item import attempt_name, attempt_of, id_in_job, new_id
from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Ignored, Malformed, Reading
from iotgw.envelopes.presets import ids, values
from iotgw.envelopes.presets.choices import (
    FILES,
    MqttChoice,
    broker_envelope,
    chosen,
    http_envelope,
    mqtt_preset,
    named,
)
from iotgw.envelopes.presets.envelope import PresetEnvelope
from iotgw.envelopes.presets.form import PresetForm
from iotgw.envelopes.presets.preset import Preset, parse

OWN = """
split = "body.reports"
key = ["body.id"]

[kind]
at = "body.type"
[kind.words]
data = "uplink"
alarm = "event"

[device]
identity = "body.serial"

[[payload]]
at = "body.type == 'data' && body.hex"
encoding = "hex"

[metadata]
site = "whole.site"
token = "query.site || path[0] || headers.\\"x-site\\""
"""


def mqtt_envelope(name):
    choice = MqttChoice(name)
    return mqtt_preset(choice).envelope(choice)


def filters(name, username=""):
    choice = MqttChoice(name, prefix="LOB/", username=username)
    return mqtt_preset(choice).filters(choice)


def read(text, body, facts=None, **more):
    return list(PresetEnvelope(Preset(parse(text)), **more).read(json.dumps(body).encode(), facts or {}, 0))


def test_one_body_is_several_messages_each_with_what_is_around_it():
    body = {"site": "roof", "reports": [{"type": "data", "serial": "a", "hex": "01", "id": 7}, {"type": "x"}]}
    first, second = read(OWN, body)
    assert first == Reading(
        b'{"type":"data","serial":"a","hex":"01","id":7}',
        {"site": "roof", "uplinkKey": "7", "frame": "01"},
        "a",
        False,
        ("7",),
    )
    assert second == Ignored("unknownKinds")


@pytest.mark.parametrize(
    ("facts", "token"),
    [
        ({"query": {"site": "q"}, "path": "p"}, "q"),
        ({"path": "p/r"}, "p"),
        ({"Header:X-Site": "h"}, "h"),
        ({}, None),
    ],
)
def test_a_request_s_own_parts_can_be_read(facts, token):
    (reading,) = read(OWN, {"type": "data", "serial": "a"}, facts)
    assert reading.facts.get("token") == token


def test_a_body_has_a_bounded_number_of_messages():
    (event,) = read(OWN, {"reports": [{}] * 10_001})
    assert isinstance(event, Malformed) and "at most 10000 messages" in event.reason


@pytest.mark.parametrize(
    ("gets", "payload", "frame"),
    [
        ("auto", b'{"data": "AQ=="}', "01"),
        ("envelope", b'{"data": "AQ=="}', None),
        ("payload", b"\x01", None),
    ],
)
def test_a_setting_says_what_converters_get(gets, payload, frame):
    envelope = http_envelope("custom", '[[payload]]\nat = "body.data"', gets, "none")
    (reading,) = envelope.read(b'{"data": "AQ=="}', {}, 0)
    assert (reading.payload, reading.facts.get("frame")) == (payload, frame)


def test_a_setting_names_devices_by_what_tells_them_apart():
    up = b'{"end_device_ids": {"device_id": "s1", "dev_eui": "70B3D57ED0000001"}, "uplink_message": {}}'
    for names, name in (("name", "s1"), ("identity", "70B3D57ED0000001")):
        (reading,) = http_envelope("the-things-stack", None, "auto", "none", names).read(up, {}, 0)
        assert (reading.facts["deviceName"], reading.identity) == (name, "s1")
    (reading,) = broker_envelope("sigfox", None, "auto", "identity").read(
        b'{"device": "4D", "data": "00"}', {}, 0
    )
    assert reading.facts["deviceName"] == "4D"


def test_without_a_platform_no_setting_names_its_devices():
    for refused in (
        lambda: http_envelope("none", None, "auto", "none", "identity"),
        lambda: broker_envelope("none", None, "auto", "identity"),
        lambda: mqtt_preset(MqttChoice("lobaro", names="identity")),
    ):
        with pytest.raises(ValueError, match="deviceName: expected a platform's preset"):
            refused()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "expected TOML"),
        ("#" * 40_000, "expected at most 16384 characters"),
        ("a = " + "[" * 5000, "expected TOML"),
        ("nosuch = 1", "unknown field `nosuch`"),
        ("[kind]\nwords = { up = 'telemetry' }", "kind.words"),
        ("[device]\nname = 'body.x'", "identity"),
        ("[device]\nidentity = 'body.'", "device.identity: expected a JMESPath expression"),
        ("[device]\nidentity = 'message.x'", "device.identity: expected one of body, headers"),
        ("[metadata]\nx = 'nosuch(body)'", "metadata.x: expected one of the functions"),
        ("key = ['body.a', '(']", "key[1]: expected"),
        ("[kind]\nroot = true\nat = 'body.x'", "kind: expected either `at` or `root`"),
        ("[[receipts]]\nkind = 'ack'\nbecame = 'sent'", "receipts[0].kind: expected a word of kind.words"),
        ("[proof]\nway = 'hook'\nhook = 'nosuch'", "proof.hook: expected one of"),
        ("[answer]\ncarries = 'body.ack'", "answer.reply: expected the hook"),
        ("[answer]\nreply = 'nosuch'", "answer.reply: expected one of"),
        ("[downlink]\nlowestPort = 9\nhighestPort = 3", "downlink.lowestPort"),
        ("[downlink.mqtt]\ntopic = 'body.x'\nbody = 'id'", "downlink.mqtt.topic: expected one of base64"),
        ("[metadata]\n" + "\n".join(f"a{n} = 'body.x'" for n in range(65)), "metadata: expected at most 64"),
    ],
)
def test_a_preset_that_can_t_be_used_is_refused_with_the_place(text, said):
    with pytest.raises(ValueError, match="custom: ") as refused:
        chosen("custom", text)
    assert said.lower() in str(refused.value).lower() and "\n" not in str(refused.value)
    assert str(refused.value).startswith("custom: ")


def test_a_preset_of_one_s_own_may_be_a_table():
    assert chosen("custom", PresetForm(title="Mine")).form.title == "Mine"


@pytest.mark.parametrize(
    ("name", "custom"),
    [("custom", None), ("none", "title = 'x'"), ("chirpstack", "title = 'x'"), ("nosuch", None)],
)
def test_a_name_and_a_preset_of_one_s_own_belong_together(name, custom):
    with pytest.raises(ValueError, match="expected"):
        http_envelope(name, custom, "auto", "none")


def test_a_profile_and_a_preset_are_one_too_many():
    with pytest.raises(ValueError, match="profile"):
        http_envelope("chirpstack", None, "auto", "sigfox")


@pytest.mark.parametrize("name", FILES)
def test_each_preset_that_comes_with_the_gateway_can_be_used(name):
    preset = named(name)
    assert preset.form.title and preset.form.setup.fields
    assert http_envelope(name, None, "auto", "none").is_network


def test_topics_have_the_user_s_name():
    assert filters("the-things-stack", "app@ttn")[0] == "v3/app@ttn/devices/+/up"
    assert filters("the-things-stack")[0] == "v3/+/devices/+/up"
    assert filters("lobaro") == ["LOB/+/up/#"]


ITEM = Downlink("dl0123456789abcde0", "probe-7", b"\x01\x02", metadata={"fPort": 5}, confirmed=True)


@pytest.mark.parametrize(
    ("name", "identity", "last", "topic", "body"),
    [
        (
            "the-things-stack",
            "probe-7",
            "v3/app@ttn/devices/probe-7/up",
            "v3/app@ttn/devices/probe-7/down/push",
            {
                "downlinks": [
                    {
                        "frm_payload": "AQI=",
                        "f_port": 5,
                        "confirmed": True,
                        "priority": "NORMAL",
                        "correlation_ids": ["iotgw:dl0123456789abcde0"],
                    }
                ]
            },
        ),
        (
            "chirpstack",
            "70b3d57ed0000017",
            "application/17c8/device/70b3d57ed0000017/event/up",
            "application/17c8/device/70b3d57ed0000017/command/down",
            {
                "devEui": "70b3d57ed0000017",
                "confirmed": True,
                "fPort": 5,
                "data": "AQI=",
                "id": "01234567-89ab-8cde-8067-6f7467770000",
            },
        ),
    ],
)
def test_a_downlink_is_published_as_the_platform_takes_it(name, identity, last, topic, body):
    envelope = mqtt_envelope(name)
    assert envelope.addresses and envelope.offers
    command = envelope.publish(ITEM, identity, last)
    assert command.topic == topic and json.loads(command.payload) == body


@pytest.mark.parametrize(
    ("payload", "metadata", "said"),
    [
        (b"x", {"fPort": 0}, "fPort: expected 1 to 223, got 0"),
        (b"x", {"fPort": 224}, "fPort: expected 1 to 223, got 224"),
        (b"x", {"fPort": "9" * 999}, "fPort: expected 1 to 223"),
        (b"x", {"fPort": True}, "fPort: expected 1 to 223"),
        (b"x" * 243, {}, "expected at most 242 bytes, got 243"),
    ],
)
def test_a_downlink_that_the_network_never_takes_is_refused(payload, metadata, said):
    item = Downlink("dl0123456789abcde0", "d", payload, metadata=metadata)
    with pytest.raises(ValueError, match=said):
        mqtt_envelope("chirpstack").publish(item, "d", "a/b/c/d/e/f")


def test_no_answer_over_http_carries_a_downlink_unless_the_preset_says_so():
    for name in ("the-things-stack", "chirpstack"):
        http, mqtt = PresetEnvelope(named(name)), PresetEnvelope(named(name), publishes=True)
        body = b'{"uplink_message": {"frm_payload": "AA=="}}'
        facts = {"query": {"event": "up"}}
        assert [event.listens for event in http.read(body, facts, 0)] == [False]
        assert [event.listens for event in mqtt.read(body, facts, 0)] == [True]


def test_an_attempt_s_name_comes_back_in_each_form_and_no_other_is_taken_for_one():
    for item in (new_id(), id_in_job("job", "default", "dev")):
        for attempt in (1, 2, 16, 17, 100):
            name = attempt_name(item, attempt)
            uuid = ids.as_uuid(item, attempt)
            for form in (name, ids.as_text(item, attempt), uuid, uuid.upper()):
                assert ids.item_of(form) == name
            id, known = attempt_of(ids.item_of(ids.as_hex64(item, attempt)))
            assert id == item
            assert (known - attempt) % 16 == 0
        assert ids.item_of(ids.as_hex64(item, 3)) == f"{item}.3"
        assert ids.item_of(str(UUID(ids.as_uuid(item, 3)))) == f"{item}.3"
    for other in ("", "x", 7, None, "42cb6459-a640-46ec-9623-bdff39dc4736", "dl0123", "iotgw:" + "0" * 99):
        assert ids.item_of(other) == ""
    assert ids.as_uuid("other") == ids.as_hex64("other") == ""


@pytest.mark.parametrize(
    ("value", "unit", "ms"),
    [
        ("2026-05-19T05:33:35.848446463Z", "iso", 1779168815848),
        ("2026-05-19T07:33:35.848+02:00", "iso", 1779168815848),
        ("2026-05-19 05:33:35", "iso", 1779168815000),
        ("20260519T053335Z", "compact", 1779168815000),
        (1779168815848, "ms", 1779168815848),
        ("1779168815848", "ms", 1779168815848),
        (1779168815.848, "s", 1779168815848),
        (0, "ms", None),
        (1e300, "s", None),
        (True, "s", None),
        ("soon", "iso", None),
        ("20261919T053335Z", "compact", None),
        (None, "iso", None),
        ({}, "ms", None),
        ("9999-12-31T23:59:59-23:59", "iso", None),
        (float("nan"), "s", None),
    ],
)
def test_a_platform_s_date_is_ms_since_1970_or_none(value, unit, ms):
    assert values.date_ms(value, unit) == ms


def test_a_key_that_is_long_is_a_digest_and_one_with_a_hole_is_none():
    text = 'key = ["body.a", "body.b"]'
    (long,) = read(text, {"a": "x" * 300, "b": 1})
    (hole,) = read(text, {"a": "x"})
    assert len(long.facts["uplinkKey"]) == 64 and "uplinkKey" not in hole.facts


def uplink(device: str) -> dict:
    return {"end_device_ids": {"device_id": device}, "uplink_message": {"f_port": 2, "frm_payload": "AOc="}}


def test_a_list_of_messages_is_several_though_the_platform_sends_single_ones():
    body = json.dumps([uplink("a"), {"join_accept": {}}, uplink("b"), 7]).encode()
    events = list(PresetEnvelope(named("the-things-stack")).read(body, {}, 0))
    assert [type(event).__name__ for event in events] == ["Reading", "Happened", "Reading", "Ignored"]
    assert [event.identity for event in events if isinstance(event, Reading)] == ["a", "b"]
    assert json.loads(events[2].payload) == uplink("b")


def test_a_platform_s_own_list_stays_one_message():
    pack = [{"bn": "urn:dev:DEVEUI:70B3D57ED0000017:", "n": "payload", "vs": "00e7"}, {"n": "port", "v": 2.0}]
    (event,) = PresetEnvelope(named("kpn-things")).read(json.dumps(pack).encode(), {}, 0)
    assert event.facts["frame"] == "00e7"


@pytest.mark.parametrize("preset", ["netmore", "the-things-stack", "iot-creators"])
def test_more_messages_than_one_body_may_have_are_refused_and_not_overlooked(preset):
    messages = [{}] * 10_001
    body = {"reports": messages} if preset == "iot-creators" else messages
    (event,) = PresetEnvelope(named(preset)).read(json.dumps(body).encode(), {}, 0)
    assert event.reason == "expected at most 10000 messages in one body"
    body = {"reports": messages[1:]} if preset == "iot-creators" else messages[1:]
    assert len(list(PresetEnvelope(named(preset)).read(json.dumps(body).encode(), {}, 0))) == 10_000


BOMB = """
[device]
identity = "body.id"
[metadata]
{rows}
"""


@pytest.mark.parametrize(
    "expression",
    [f"[{','.join(['whole'] * 64)}]", "whole", f"{{a: [{','.join(['whole'] * 32)}], b: whole}}", "replace(body.id, 'd', body.text)"],
)  # fmt: skip
def test_metadata_that_would_be_many_times_its_message_is_refused_and_the_message_kept(expression):
    rows = "\n".join(f'm{number} = "{expression}"' for number in range(20))
    (reading,) = read(BOMB.format(rows=rows), {"id": "d" * 6, "text": "x" * 10_000})
    assert reading.facts == {"rejected": "expected at most 65536 bytes of metadata"}
    assert json.loads(reading.payload)["text"] == "x" * 10_000
    assert (reading.identity, reading.listens) == ("d" * 6, False)


def test_the_detail_of_an_event_that_would_be_large_is_left_out():
    rows = "\n".join(f'm{number} = "[{",".join(["whole"] * 64)}]"' for number in range(20))
    text = f'[kind]\nat = "body.kind"\n[kind.words]\njoin = "event"\n[detail]\n{rows}'
    (event,) = read(text, {"kind": "join", "text": "x" * 100_000})
    assert (event.kind, event.detail) == ("join", {})


@pytest.mark.parametrize(
    ("value", "most", "is_so"),
    [
        ("x" * 10, 12, True), ("x" * 11, 12, False), (10**300, 100, False), ([0] * 10, 100, True), ([0] * 100, 100, False),
        ({"k" * 90: 1}, 100, True), ({"k" * 101: 1}, 100, False), (None, 2, True), ([[[["x" * 101]]]], 100, False),
    ],
)  # fmt: skip
def test_a_size_is_told_without_looking_at_all_of_it(value, most, is_so):
    assert values.is_within(value, most) is is_so


@pytest.mark.parametrize("keys", ["a." * 7000 + "a = 1", "[" + "a." * 7000 + "a]", "a . " * 4000 + "a = 1"])
def test_a_key_of_thousands_of_parts_is_refused_before_it_is_read(keys):
    with pytest.raises(ValueError, match=r"expected at most 128 dots in a line, got \d+ in line 2"):
        chosen("custom", f"# mine\n{keys}")


def test_a_preset_that_is_a_table_is_as_bounded_as_a_text():
    table = PresetForm(metadata={f"k{n}": "body." + "a" * 900 for n in range(20)})
    with pytest.raises(ValueError, match="custom: expected at most 16384 characters"):
        chosen("custom", table)


def test_a_preset_is_compiled_once_as_long_as_it_is_in_use():
    assert chosen("custom", OWN) is chosen("custom", OWN)
    table = parse(OWN)
    assert chosen("custom", table) is chosen("custom", parse(OWN))
    running = chosen("custom", OWN + "# another")
    for n in range(200):
        chosen("custom", f'title = "{n}"')
    assert chosen("custom", OWN + "# another") is running
