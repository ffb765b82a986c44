"""Each preset sends what its page shows, and knows what its target's answers mean."""

import json

import pytest

from iotgw.integrations.presets import target_presets

from . import preset_pages as pages

PRESETS = target_presets()
OVER_HTTP = [name for name, preset in PRESETS.items() if preset.type == "http"]


def spec_of(name):
    which, answers = pages.answers(name)
    assert which == name
    return PRESETS[name].spec("one", answers)


def sent(name, says):
    """A world in which the page's message was sent."""
    world = pages.world(spec_of(name), says)
    world.store(pages.message(), device="SN-001", how={"device_type": "meter"})
    return world


ACCEPTS = {
    "elasticsearch": (200, {"errors": False, "items": [{"create": {"status": 201}}]}),
    "opensearch": (200, {"errors": False, "items": [{"create": {"status": 201}}]}),
    "splunk-hec": (200, {"text": "Success", "code": 0}),
    "ngsi-ld": (201, ["urn:ngsi-ld:meter:SN-001"]),
    "sensorthings": 201,
    "ubidots": (200, {"temperature": [{"status_code": 201}]}),
    "datacake": (200, b"ok"),
    "cumulocity": (201, {"id": "7"}),
    "openremote": (
        200,
        [
            {"ref": {"id": "hall 3", "name": "temperature"}},
            {"ref": {"id": "hall 3", "name": "ok"}, "failure": None},
        ],
    ),
}
"""What a target says that takes it; 204 where nothing is here."""
REFUSES = [
    ("influxdb", 400, {"code": "invalid", "message": "unable to parse 'x'"}, "HTTP 400: unable to parse 'x'"),
    ("influxdb", 404, {"code": "not found", "message": "bucket \"iot\" not found"}, None),
    ("influxdb", 503, b"", None),
    ("influxdb-v1", 400, {"error": "partial write: field type conflict"}, "HTTP 400: partial write: field type conflict"),
    ("influxdb-v1", 404, {"error": "database not found"}, None),
    ("influxdb-v3", 400, {"error": "partial write of line protocol occurred", "data": [{"error_message": "bad time", "line_number": 1}]},
     "HTTP 400: bad time"),
    ("influxdb-v3", 400, {"error": "parsing failed", "data": {"error_message": "no fields"}}, "HTTP 400: no fields"),
    ("elasticsearch", 200, {"errors": True, "items": [{"create": {"status": 400, "error": {"reason": "failed to parse"}}}]},
     "HTTP 200: failed to parse"),
    ("elasticsearch", 200, {"errors": True, "items": [{"create": {"status": 429, "error": {"reason": "queue full"}}}]}, None),
    ("elasticsearch", 401, {"error": {"reason": "no key"}}, None),
    ("opensearch", 200, {"errors": True, "items": [{"create": {"status": 400, "error": {"reason": "failed to parse"}}}]},
     "HTTP 200: failed to parse"),
    ("splunk-hec", 400, {"text": "Invalid data format", "code": 6, "invalid-event-number": 0}, "HTTP 400: Invalid data format"),
    ("splunk-hec", 400, {"text": "Incorrect index", "code": 7, "invalid-event-number": 1}, None),
    ("splunk-hec", 503, {"text": "Server is busy", "code": 9}, None),
    ("loki", 400, b"entry with timestamp 2024 ignored, reason: 'entry too far behind'",
     "HTTP 400: entry with timestamp 2024 ignored, reason: 'entry too far behind'"),
    ("loki", 429, b"limit", None),
    ("victoriametrics", 400, b"cannot unmarshal", "HTTP 400: cannot unmarshal"),
    ("ngsi-ld", 400, {"type": "x", "title": "Invalid"}, "HTTP 400: Invalid"),
    ("sensorthings", 400, {"code": 400, "message": "Not valid"}, "part 1 of 2 (temperature), and 1 more: HTTP 400: Not valid"),
    ("sensorthings", 422, {"detail": [{"msg": "no number"}]}, "part 1 of 2 (temperature), and 1 more: HTTP 422: no number"),
    ("sensorthings", 404, {"code": 404, "message": "Nothing found."}, None),
    ("cumulocity", 422, {"error": "measurement/Unprocessable Entity", "message": "Following mandatory fields should be included: source"},
     "HTTP 422: Following mandatory fields should be included: source"),
    ("cumulocity", 401, {"error": "security/Unauthorized", "message": "Invalid credentials!"}, None),
    ("cumulocity", 500, b"", None),
    ("openremote", 200, [{"ref": {}}, {"ref": {}, "failure": "INVALID_VALUE"}], "part 2 of 2 (ok): HTTP 200: INVALID_VALUE"),
    ("openremote", 200, [{"ref": {}, "failure": "QUEUE_FULL"}, {"ref": {}, "failure": "QUEUE_FULL"}], None),
    ("openremote", 200, b"<html>", None),
    ("openremote", 401, b"", None),
    ("ubidots", 400, {"code": 400, "message": "bad"}, "part 1 of 2 (temperature), and 1 more: HTTP 400: bad"),
]  # fmt: skip
"""Preset, status and body, and the dead letter's reason; None where the message waits, as it isn't at fault."""


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_target_gets_what_the_page_shows_and_takes_it(name):
    world = sent(name, lambda head, body: ACCEPTS.get(name, 204))
    assert pages.requests(world) == pages.blocks(name, "text")
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}
    assert world.stats()["warnings"] == []


@pytest.mark.parametrize("name", sorted(set(PRESETS) - set(OVER_HTTP)))
def test_a_broker_gets_what_the_page_shows(name):
    assert pages.published(spec_of(name), pages.message()) == pages.blocks(name, "text")


@pytest.mark.parametrize(("name", "status", "body", "reason"), REFUSES)
def test_what_a_target_refuses_is_no_delivery_and_its_reason_is_shown(name, status, body, reason):
    world = sent(name, lambda head, _: (status, body))
    assert world.stats()["delivered"] == 0
    if reason is None:
        assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0}
        world.go(seconds=5)
        assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0}
    else:
        assert list(world.dead().values()) == [reason]


@pytest.mark.parametrize("name", ["elasticsearch", "opensearch"])
def test_a_document_that_comes_again_and_is_there_already_is_delivered(name):
    there = {
        "errors": True,
        "items": [{"create": {"status": 409, "error": {"reason": "document already exists"}}}],
    }
    assert sent(name, lambda head, body: (200, there)).accounts()["delivered"] == 1


def test_an_entity_that_an_ngsi_ld_broker_refused_in_a_207_is_tried_again():
    answer = {
        "success": [],
        "errors": [{"entityId": "urn:ngsi-ld:meter:SN-001", "error": {"title": "no such @context"}}],
    }
    world = sent("ngsi-ld", lambda head, body: (207, answer))
    assert world.stats()["lastError"] == "HTTP 207: no such @context"
    assert world.stats()["retrying"] == 1


def test_a_variable_that_ubidots_refused_in_a_200_is_no_delivery():
    world = sent(
        "ubidots",
        lambda head, body: (200, {"temperature": [{"status_code": 400, "errors": {"value": ["no"]}}]}),
    )
    assert world.stats()["retrying"] == 1


@pytest.mark.parametrize("name", ["influxdb", "influxdb-v1", "influxdb-v3", "victoriametrics", "splunk-hec"])
def test_of_a_batch_only_the_message_at_fault_is_dead(name):
    def says(head, body):
        bad = b"bad" in body
        return (
            (400, {"code": 6, "message": "no", "error": "no", "text": "no"})
            if bad
            else ACCEPTS.get(name, 204)
        )

    world = pages.world(spec_of(name), says)
    world.store({"t": 1}, {"bad": 1}, {"t": 2})
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 1}


@pytest.mark.parametrize("name", PRESETS)
def test_each_preset_has_a_page_that_says_what_it_asks(name):
    text = (pages.PAGES / f"{name}.md").read_text()
    for question in PRESETS[name].ask:
        assert f"| `{question.name}` | {question.says} |" in text
    assert f"({name}.md)" in (pages.PAGES / "index.md").read_text()
    unverified = PRESETS[name].unverified
    said = f"\nNot tried: {unverified[0].lower()}{unverified[1:]}\n" if unverified else "Tried with "
    assert said in text and ("Not tried: " in text) is bool(unverified)


def test_every_page_has_a_preset():
    assert {path.stem for path in pages.PAGES.glob("*.md")} - {"index"} == set(PRESETS)


def test_without_an_answer_what_it_is_for_is_left_out():
    spec = PRESETS["loki"].spec("one", {})
    assert spec["configuration"]["url"] == "http://127.0.0.1:3100/loki/api/v1/push"
    assert "headers" not in spec["configuration"]
    assert "auth" not in PRESETS["influxdb-v1"].spec("one", {"db": "x"})["configuration"]


def test_a_document_s_template_is_two_lines_of_json():
    world = sent("elasticsearch", lambda head, body: ACCEPTS["elasticsearch"])
    action, document = world.requests[0][1].decode().rstrip("\n").split("\n")
    assert json.loads(action) == {"create": {"_id": "E-1.1.1"}}
    assert json.loads(document)["values"] == {"temperature": 21.5, "ok": True}


def test_a_measurement_has_numbers_only():
    world = pages.world(spec_of("cumulocity"), lambda head, body: 201)
    values = {"t": 1, "ok": False, "text": "x", "list": [1], "none": None}
    body = json.loads(pages.message())
    body["telemetry"][0]["values"] = values
    world.store(json.dumps(body).encode(), how={"device_type": "meter"})
    assert list(json.loads(world.requests[0][1])) == ["source", "time", "type", "t", "ok"]


def test_what_is_no_number_is_an_event_in_smartrest():
    body = json.loads(pages.message())
    body["telemetry"][0]["values"] = {"n": -1, "state": 'open, "half"', "at": {"x": 1}}
    said = pages.published(spec_of("cumulocity-mqtt"), json.dumps(body).encode())
    assert [text.split("\n\n")[1] for text in said] == [
        "200,n,n,-1,,2023-11-14T22:13:20.123Z\n",
        '400,state,"open, ""half""",2023-11-14T22:13:20.123Z\n',
        '400,at,"{""x"":1}",2023-11-14T22:13:20.123Z\n',
    ]


def test_an_asset_s_attribute_that_is_not_there_is_named_in_the_dead_letter():
    says = [{"ref": {}}, {"ref": {}, "failure": "ATTRIBUTE_NOT_FOUND"}]
    world = sent("openremote", lambda head, body: (200, says if body.count(b'"ref"') == 2 else says[1:]))
    world.go(seconds=20)
    assert list(world.dead().values()) == ["part 2 of 2 (ok): HTTP 200: ATTRIBUTE_NOT_FOUND"]
    puts = [body for head, body in world.requests if not pages.wants_token(head)]
    assert len(puts) == 3 and all(b"temperature" not in body for body in puts[1:])
