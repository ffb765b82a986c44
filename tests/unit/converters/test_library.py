"""The bundled converters against their vectors, in both engines, with the metadata that the listeners give."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

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
VENDORS = ("tekelek", "dragino", "lobaro")
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
    assert len(CONVERTERS) >= 15
    for name in CONVERTERS:
        about = json.loads((LIBRARY / name / "converter.json").read_text())
        assert about["name"] == name and about["description"] and about["direction"] == "UPLINK"


@pytest.mark.parametrize(
    ("vendor", "mark"), [("tekelek", "--- common to the Tekelek"), ("dragino", "--- common to the Dragino")]
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
