"""Payloads that Leshan, Wakaama and coap-node sent, in all formats: each means what its sender meant, and is written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from iotgw.wire.lwm2m import formats, links, paths, senml
from iotgw.wire.lwm2m.model_xml import models_of
from iotgw.wire.lwm2m.models import bundled
from iotgw.wire.lwm2m.values import NO_INSTANCES, ObjectLink, Time, ValueType

DATA = Path(__file__).parents[3] / "data"
PAYLOADS: dict[str, list[dict[str, Any]]] = json.loads((DATA / "lwm2m_payloads.json").read_text())
MODELS = bundled().with_these(models_of((DATA / "lwm2m_3442.xml").read_bytes()))
NOW = 1_800_000_000.0


def type_of(path: paths.Path) -> ValueType | None:
    found = MODELS.resource(path, {3: "1.2"}.get(path[0], "1.0"))
    return None if found is None else found.type


def leshan(offset: str = "+01", zone: str = "Europe/Berlin") -> dict[str, Any]:
    """The object 3 of Leshan's device."""
    return {
        "/3/0/0": "Lobaro", "/3/0/1": "Box", "/3/0/2": "SN-1", "/3/0/3": "1.0.0", "/3/0/6/0": 1, "/3/0/6/1": 5,
        "/3/0/7/0": 3800, "/3/0/7/1": 5000, "/3/0/9": 87, "/3/0/11/0": 0, "/3/0/13": Time(1767225600),
        "/3/0/14": offset, "/3/0/15": zone, "/3/0/16": "U",
    }  # fmt: skip


def tests_object() -> dict[str, Any]:
    """Leshan's object 3442: a resource of each type, and a multiple one of each."""
    values = {
        110: "initial value", 120: 1024, 125: 1 << 63, 130: 3.14159, 140: True, 150: bytes.fromhex("0123456789abcdef"),
        160: Time(946684800), 170: ObjectLink(3, 0), 180: "</3442>",
    }  # fmt: skip
    several = {f"/3442/0/1{number}/0": value for number, value in values.items()}
    return {f"/3442/0/{number}": value for number, value in values.items()} | several


TEMPERATURE = {"/3303/0/5601": -3.25, "/3303/0/5602": 40.1, "/3303/0/5700": 21.5, "/3303/0/5701": "Cel"}


def t(value: float) -> dict[str, Any]:
    return {"/3303/0/5700": value}


def at(offset: str, **more: Any) -> dict[str, Any]:
    return {"/3/0/14": offset, **more}


NODE = {
    "/3/0/0": "sivann", "/3/0/1": "cnode-01", "/3/0/2": "c-0000", "/3/0/3": "1.0", "/3/0/17": "generic",
    "/3/0/18": "1.0", "/3/0/19": "1.0", "/3/0/6": 0, "/3/0/7": 100,
}  # fmt: skip
OLD_LESHAN = {
    "/3/0/0": "Lobaro", "/3/0/1": "Box", "/3/0/2": "SN-1", "/3/0/11": NO_INSTANCES, "/3/0/14": "Z",
    "/3/0/15": "Etc/UTC", "/3/0/16": "UQ",
}  # fmt: skip
WAKAAMA = {
    "/3/0/0": "Open Mobile Alliance", "/3/0/1": "Lightweight M2M Client", "/3/0/2": "345000123", "/3/0/3": "1.0",
    "/3/0/6/0": 1, "/3/0/6/1": 5, "/3/0/7/0": 3800, "/3/0/7/1": 5000, "/3/0/8/0": 125, "/3/0/8/1": 900, "/3/0/9": 20,
    "/3/0/10": 15, "/3/0/11/0": 0, "/3/0/13": Time(3163398505), "/3/0/14": "+01:00", "/3/0/15": "Europe/Berlin",
    "/3/0/16": "U",
}  # fmt: skip
MULTIPLE = {"/3/0/7/0": 3800, "/3/0/7/1": 5000}
EMPTY = {"/3442/0/4": NO_INSTANCES, "/3442/0/6": NO_INSTANCES}

VALUES: dict[str, list[dict[str, Any] | None]] = {
    "11542": [
        leshan(), t(21.5), MULTIPLE, tests_object() | EMPTY, TEMPERATURE, {"/3/0/15": "Europe/Paris"},
        leshan("+02", "Europe/Paris"), leshan("+03", "Europe/Rome"), leshan("+04", "Europe/Oslo"), NODE, OLD_LESHAN,
        {"/3/0/9": 20},
    ],
    "11543": [leshan(), t(21.5), MULTIPLE, TEMPERATURE, tests_object(), t(-3.75), at("+06")],
    "110": [
        leshan(), t(21.5), tests_object(), None, t(22.26) | {"/3/0/9": 87}, at("+03", **{"/3/0/15": "Europe/Rome"}),
        t(22.460000000000004), at("+08"), t(21.5) | at("+07"), t(30.5) | at("+07"), tests_object(), WAKAAMA,
    ],
    "112": [
        leshan(), t(21.5), tests_object(), TEMPERATURE, t(22.25), t(22.26), None, t(22.26) | {"/3/0/9": 87}, None,
        t(22.26) | at("+02"), t(22.26) | at("+03"), at("+04", **{"/3/0/15": "Europe/Oslo"}), t(22.26) | at("+04"),
        t(22.360000000000003), at("+07"), t(21.5) | {"/3/0/9": 87}, t(30.5), t(1.5), t(2.5), t(3.5),
    ],
    "0": [
        t(21.5), {"/3/0/13": Time(1767225600)}, at("+02"), {"/3303/0/5605": "0='a',1"}, {"/3442/0/120": 1024},
        {"/3442/0/140": True}, {"/3442/0/170": ObjectLink(3, 0)}, {"/5/0/3": 2}, None, {"/3/0/4": "not implemented"},
    ],
    "60": [
        {"/3/0/9": 87}, t(21.5), {"/3/0/13": Time(1767225600)}, {"/3/0/0": "Lobaro"},
        {"/3442/0/150": bytes.fromhex("0123456789abcdef")}, {"/3442/0/140": True}, at("+09"),
    ],
    "42": [{"/3442/0/150": bytes.fromhex("0123456789abcdef")}],
}  # fmt: skip
"""What each payload holds; None for those that hold no values (composite requests, and an error's text)."""

CASES = [
    pytest.param(int(form), payload, values, id=f"{form}-{number}")
    for form, expected in VALUES.items()
    for number, (payload, values) in enumerate(zip(PAYLOADS[form], expected, strict=True))
    if values is not None
]
# What is written as Leshan does it to the byte, but for: coap-node's wrapping of an instance, the keys by which Leshan writes
# links (`vs` and `sv`; the specification has `vlo` and `ov`), and its base times as decimal fractions.
OTHERWISE = {("11542", 9), ("11543", 4), ("110", 2), ("110", 6), ("110", 10), ("112", 2), ("112", 13)}


def base_of(payload: dict[str, Any]) -> paths.Path:
    path = payload["request"]["path"]
    return () if path in ("/dp", "/") else paths.parse(path)


def test_there_are_79_payloads() -> None:
    assert sum(map(len, PAYLOADS.values())) == 79


@pytest.mark.parametrize(("form", "payload", "values"), CASES)
def test_a_payload_holds_what_its_sender_meant(
    form: int, payload: dict[str, Any], values: dict[str, Any]
) -> None:
    nodes = formats.decode(form, bytes.fromhex(payload["hex"]), base_of(payload), type_of, NOW)
    found = {paths.text(node.path): node.value for node in nodes}
    assert found == values
    assert {path: type(value) for path, value in found.items()} == {
        path: type(value) for path, value in values.items()
    }


@pytest.mark.parametrize(("form", "payload", "values"), CASES)
def test_what_was_read_is_written_again(
    form: int, payload: dict[str, Any], values: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    data, base = bytes.fromhex(payload["hex"]), base_of(payload)
    nodes = formats.decode(form, data, base, type_of, NOW)
    written = formats.encode(form, nodes, base, type_of)
    assert formats.decode(form, written, base, type_of, NOW) == nodes
    number = PAYLOADS[str(form)].index(payload)
    assert (written == data) is ((str(form), number) not in OTHERWISE)


@pytest.mark.parametrize("form", ["110", "112"])
def test_collected_values_have_the_times_at_which_they_were_measured(form: str) -> None:
    payload = next(each for each in PAYLOADS[form] if each["request"]["path"] == "/dp")
    nodes = formats.decode(int(form), bytes.fromhex(payload["hex"]), (), type_of, NOW)
    assert [round(node.time or 0, 3) for node in nodes] == {
        "110": [1795906691.647, 1795906692.748],
        "112": [1795906689.147, 1795906690.248],
    }[form]


@pytest.mark.parametrize(
    ("form", "number", "asked"),
    [
        ("110", 3, [(3, 0, 9), (3303, 0, 5700)]),
        ("112", 6, [(3, 0, 9), (3303, 0, 5700)]),
        ("112", 8, [(3, 0, 14), (3303, 0, 5700)]),
    ],
)
def test_the_paths_of_a_composite_request(form: str, number: int, asked: list[paths.Path]) -> None:
    data = bytes.fromhex(PAYLOADS[form][number]["hex"])
    assert senml.decode_paths(data, form == "112") == asked
    assert senml.encode_paths(asked, form == "112") == data


@pytest.mark.parametrize(
    ("number", "instances", "versions", "understood"),
    [
        (0, {1: [0], 3: [0], 5: [0], 3303: [0], 3442: [0]}, {3: "1.2", 5: "1.1"}, [60, 110, 112, 11542, 11543]),
        (1, {3: [0]}, {3: "1.2"}, []),
        (2, {3303: [0]}, {}, []),
        (3, {3: [0], 4: [0], 3303: [0]}, {}, [11543]),
        (4, {3: [0]}, {}, []),
        (5, {0: [0], 1: [], 3: [0], 5: [0], 3303: [0], 3442: [0]}, {0: "1.2", 3: "1.2", 5: "1.1"}, []),
        (6, {1: [0], 3: [0], 5: [0], 3303: [0], 3442: [0]}, {3: "1.2", 5: "1.1"}, [60, 110, 112, 1542, 1543, 11542, 11543]),
        (7, {1: [0], 3: [0]}, {}, []),
        (8, {3: [0]}, {}, []),
        (9, {1: [0], 2: [0], 3: [0], 4: [0], 5: [0], 6: [0], 7: [0], 31024: [10, 11, 12]}, {1: "1.1", 31024: "1.0"}, [110]),
    ],
)  # fmt: skip
def test_the_objects_of_registrations_and_discoveries(
    number: int, instances: dict[int, list[int]], versions: dict[int, str], understood: list[int]
) -> None:
    found = links.objects_of(links.parse(bytes.fromhex(PAYLOADS["40"][number]["hex"])))
    assert (found.instances, found.versions, found.formats) == (instances, versions, understood)
