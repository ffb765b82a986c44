"""What each preset makes of its platform's messages: the envelopes in ``tests/data/platforms``, made for this test."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from iotgw.core.model import Downlink
from iotgw.envelopes.envelope import Asked, Happened, Ignored, Malformed, Reading, Receipt
from iotgw.envelopes.presets.choices import FILES, named
from iotgw.envelopes.presets.envelope import PresetEnvelope

PAGES = {"netmore-portal": "netmore"}
"""Presets that share another one's page."""
FOLDER = Path(__file__).parents[3] / "data" / "platforms"
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}: {case['case']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text("utf-8"))
]


def told(event) -> dict:
    """An event as the data has it."""
    match event:
        case Reading():
            return {
                "uplink": event.identity,
                "frame": event.facts.get("frame"),
                "facts": event.facts,
                "key": event.key,
            }
        case Receipt():
            return {
                "receipt": event.became,
                "item": event.item,
                "network": event.network,
                "reason": event.reason,
                "device": event.device,
            }
        case Happened():
            return {"event": event.kind, "device": event.device, "detail": event.detail}
        case Ignored():
            return {"ignored": event.why}
        case Asked():
            return {"asked": event.device}
        case Malformed():
            return {"malformed": event.reason}


def is_part(expected, found) -> bool:
    """Whether everything that is expected is there."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return all(key in found and is_part(value, found[key]) for key, value in expected.items())
    return bool(expected == found)


@pytest.mark.parametrize(("preset", "case"), CASES)
def test_a_message_says_what_it_is(preset, case):
    body = case["body"].encode() if isinstance(case["body"], str) else json.dumps(case["body"]).encode()
    facts = case.get("facts", {})
    events = [told(event) for event in PresetEnvelope(named(preset)).read(body, facts, 0)]
    expected = case["is"] if isinstance(case["is"], list) else [case["is"]]
    assert len(events) == len(expected), events
    for event, one in zip(events, expected, strict=True):
        wanted = {**one, **({"key": tuple(one["key"])} if "key" in one else {})}
        without = wanted.pop("without", ())
        assert is_part(wanted, event), event
        assert not set(without) & set(event.get("facts", ()))
        msgspec.json.encode(event)


def test_over_mqtt_a_receipt_goes_by_the_device_where_only_an_api_s_answer_names_the_downlink():
    receipt = json.dumps({"devEUI": "cLPVftAAABc=", "fCnt": 5}).encode()
    facts = {"topic": "application/1/device/70b3d57ed0000017/event/txack"}
    envelope = PresetEnvelope(named("chirpstack-v3"), publishes=True)
    (found,) = envelope.read(receipt, facts, 0)
    assert found == Receipt("70b3d57ed0000017", "sent", "ChirpStack v3: txack")


@pytest.mark.parametrize(
    ("preset", "confirmed", "awaits"),
    [
        ("chirpstack", False, True),
        ("chirpstack", True, True),
        ("milesight-gateway", True, True),
        ("milesight-gateway", False, False),
    ],
)
def test_over_mqtt_a_receipt_is_awaited_where_the_network_gives_one(preset, confirmed, awaits):
    envelope = PresetEnvelope(named(preset), publishes=True)
    item = Downlink("dl0123456789abcde0", "probe", b"\x01", "BINARY", {"fPort": 3}, confirmed)
    command = envelope.publish(item, "70b3d57ed0000017", "application/1/device/70b3d57ed0000017/event/up")
    assert command.awaits_receipt is awaits


@pytest.mark.parametrize("preset", FILES)
def test_each_preset_has_an_uplink_and_everything_else_that_its_platform_sends(preset):
    cases = json.loads((FOLDER / f"{preset}.json").read_text("utf-8"))
    kinds = {
        key
        for case in cases
        for each in ([case["is"]] if isinstance(case["is"], dict) else case["is"])
        for key in each
    }
    assert "uplink" in kinds
    compiled = named(preset)
    if any(action == "event" for action in compiled.words.values()):
        assert "event" in kinds
    if compiled.receipts:
        assert "receipt" in kinds


@pytest.mark.parametrize("preset", FILES)
def test_what_is_unverified_stands_on_the_platform_s_page(preset):
    page = PAGES.get(preset, preset)
    text = (FOLDER.parents[2] / "docs" / "platforms" / f"{page}.md").read_text("utf-8")
    told = text.partition("## What is unverified\n")[2].partition("\n## ")[0]
    assert named(preset).form.unverified in told
    assert bool(told) is any(named(name).form.unverified for name in FILES if PAGES.get(name, name) == page)


@pytest.mark.parametrize("preset", FILES)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"[1",
        b"[[[[]]]]",
        b"\xff",
        b'{"reports": 7}',
        b'[{"bn": 7}]',
        b"[" * 100_000,
    ],
)
def test_whatever_comes_is_no_exception(preset, body):
    for facts in (
        {},
        {"query": {"event": "up"}},
        {"topic": "a/b"},
        {"path": "dataUp"},
        {"query": {"event": "txack"}},
    ):
        for event in PresetEnvelope(named(preset)).read(body, facts, 0):
            msgspec.json.encode(told(event))


def damaged(value, depth=0):
    """A message with each of its parts made something else."""
    if isinstance(value, dict):
        for key in value:
            for other in (None, [], {}, -1, "", "*", 1e300, [{}] * 3):
                yield {**value, key: other}
            if depth < 4:
                yield from ({**value, key: part} for part in damaged(value[key], depth + 1))
    elif isinstance(value, list) and value:
        yield []
        yield from ([part, *value[1:]] for part in damaged(value[0], depth + 1))


@pytest.mark.parametrize("preset", FILES)
def test_no_damaged_message_is_an_exception(preset):
    cases = json.loads((FOLDER / f"{preset}.json").read_text("utf-8"))
    envelope = PresetEnvelope(named(preset))
    for case in cases:
        for body in damaged(case["body"]):
            for event in envelope.read(json.dumps(body).encode(), case.get("facts", {}), 0):
                msgspec.json.encode(told(event))
