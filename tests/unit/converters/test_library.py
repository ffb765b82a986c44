"""The bundled converters against their vectors, in both engines, with the metadata that the listeners give."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.converters.engines import available
from iotgw.converters.library import catalogue
from iotgw.converters.script import load
from iotgw.core.model import Conversion
from iotgw.wire import dragino, lobaro, tekelek

LIBRARY = Path(__file__).parents[3] / "iotgw" / "converters" / "library"
CONVERTERS = sorted(path.parent.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("converter.json"))
CASES = [
    pytest.param(name, vector, id=f"{name}: {vector['name']}")
    for name in CONVERTERS
    for vector in json.loads((LIBRARY / name / "vectors.json").read_text())
]
# what users add to the metadata, by the datasource's settings
STATIC = {"receivedTime", "identity", "tankHeight", "s26"}
VENDORS = ("tekelek/", "dragino/", "lobaro/")
ENGINES = available()


def script(name: str) -> str:
    return catalogue()[name].script


def run(engine: str, name: str, payload: bytes, metadata: dict) -> tuple[Any, Conversion]:
    version = msgspec.structs.replace(catalogue()[name].version, engine=engine)
    made = load(version, ENGINES)
    conversion, _ = made.convert(payload, json.dumps(metadata).encode(), 1_700_000_000_000)
    return made.last, conversion


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "vector"), CASES)
def test_a_vector_gives_the_stated_output(engine, name, vector):
    result, conversion = run(engine, name, bytes.fromhex(vector["payload"]), vector["metadata"])
    assert conversion.error is None
    assert result == vector["output"]


@pytest.mark.parametrize(("name", "vector"), [case for case in CASES if case.values[0].startswith(VENDORS)])
def test_the_listener_gives_the_metadata_of_the_vector(name, vector):
    payload, metadata = bytes.fromhex(vector["payload"]), vector["metadata"]
    stated = {key: value for key, value in metadata.items() if key not in STATIC}
    if name.startswith("tekelek"):
        facts = tekelek.metadata(payload, metadata["receivedTime"])
    elif name.startswith("dragino"):
        facts = dragino.metadata(dragino.parse(payload))
    else:
        facts = lobaro.metadata(lobaro.parse(payload))
    assert facts == stated


def test_every_converter_says_what_it_is_for():
    assert len(CONVERTERS) >= 60
    for name in CONVERTERS:
        about = json.loads((LIBRARY / name / "converter.json").read_text())
        assert about["name"] == name and about["description"] and about["direction"] == "UPLINK"


@pytest.mark.parametrize(
    ("vendor", "mark"),
    [
        ("tekelek/", "--- common to the Tekelek"),
        ("dragino/", "--- common to the Dragino"),
        ("dragino-lorawan/", "--- common to the Dragino LoRaWAN"),
        ("milesight/", "--- common to the Milesight"),
        ("browan/", "--- common to the Browan"),
        ("decentlab/", "--- common to the Decentlab"),
    ],
)
def test_the_common_part_of_a_vendor_s_converters_is_the_same(vendor, mark):
    tails = {
        text[text.index(mark) :]
        for name in CONVERTERS
        if name.startswith(vendor) and mark in (text := script(name))
    }
    assert len(tails) == 1


def test_a_frame_of_another_model_fails_with_what_was_expected():
    vector = json.loads((LIBRARY / "dragino/ndds75/vectors.json").read_text())[0]
    _, conversion = run("quickjs", "dragino/nds03a", bytes.fromhex(vector["payload"]), vector["metadata"])
    assert "expected 4 bytes at offset 66 of a NDS03A frame" in conversion.error.message
    assert conversion.error.line


OWN = ("tekelek/", "dragino/", "lobaro/", "thingsboard/", "json", "lwm2m")
"""What is described on pages of its own."""


@pytest.mark.parametrize("name", [name for name in CONVERTERS if not name.startswith(OWN)])
def test_a_decoder_names_the_document_that_it_was_written_from(name):
    assert "\n// Source: " in script(name)


@pytest.mark.parametrize("name", [name for name in CONVERTERS if not name.startswith(OWN)])
def test_no_bytes_are_a_fault_of_the_script(name):
    """A decoder refuses what it can't read with a sentence of its own, and never stumbles over it."""
    version = catalogue()[name].version
    made = load(version, ENGINES)
    vectors = catalogue()[name].vectors

    @given(
        vector=st.sampled_from(vectors),
        at=st.integers(0, 200),
        byte=st.integers(0, 255),
        size=st.integers(0, 200),
        rest=st.binary(max_size=9),
    )
    def check(vector, at, byte, size, rest):
        payload = bytearray.fromhex(vector.payload)[:size] + rest
        if payload:
            payload[at % len(payload)] = byte
        conversion, _ = made.convert(bytes(payload), json.dumps(vector.metadata).encode(), 1_700_000_000_000)
        if conversion.error is not None:
            assert conversion.error.name in ("Error", "ReportedError", "OutputError"), conversion.error

    check()


@pytest.mark.parametrize(
    ("metadata", "says"),
    [({}, "expected a login before a packet 0x12"), ({"identity": "860000000000017"}, None)],
)
def test_a_tracker_that_has_not_said_who_it_is_is_told_so(metadata, says):
    vector = next(each for each in catalogue()["trackers/gt06"].vectors if each.name.startswith("location"))
    _, conversion = run("quickjs", "trackers/gt06", bytes.fromhex(vector.payload), metadata)
    assert (conversion.error.message if conversion.error else None) == says


def test_what_comes_behind_a_channel_that_nobody_knows_is_kept():
    _, conversion = run("quickjs", "milesight/em300-th", bytes.fromhex("01755cabcd01"), {"devEui": "e"})
    (output,) = conversion.outputs
    (entry,) = json.loads(output.body)["telemetry"]
    assert entry["values"] == {"battery": 92, "undecoded": "abcd01"}


def test_the_page_lists_every_converter():
    page = (Path(__file__).parents[3] / "docs" / "converters" / "library.md").read_text()
    assert set(re.findall(r"^\| `(\S+)` \|", page, re.MULTILINE)) == set(CONVERTERS)
