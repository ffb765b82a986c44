"""What built-ins give and throw in both engines is what node gives and throws: a table of calls, which node made."""

import json
from pathlib import Path

import pytest

from iotgw.converters.bench import compile_
from iotgw.converters.engines import available
from iotgw.converters.script import load
from tests.unit.converters.conftest import version

ENGINES = available()
CALLS = json.loads((Path(__file__).parents[2] / "data" / "node_calls.json").read_text())
SCRIPT = """
try {{ return {{r: {{gives: ({call})}}}}; }} catch (error) {{ return {{r: {{throws: error.name}}}}; }}
"""


@pytest.fixture(autouse=True)
def universal_time(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")


def test_a_script_with_64_bits_of_a_buffer_gets_the_engine_that_has_them():
    spec = {"name": "x", "script": "return {v: Buffer.from(payload).readBigUInt64LE(0)};"}
    assert compile_({"spec": spec, "timeLimit": 10.0}, ENGINES, lambda _seconds: None)["engine"] == "quickjs"


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
def test_buffers_have_24_bits_by_name_too(engine):
    call = """(function () { var b = Buffer.alloc(6); b.writeUInt24BE(66051, 0); b.writeInt24LE(-2, 3);
               return [b.toString('hex'), b.readUInt24BE(0), b.readInt24LE(3), b.readUInt24LE(3)]; })()"""
    assert answered(call, engine) == {"gives": ["010203feffff", 66051, -2, 16777214]}


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize(
    "script",
    [
        "Buffer.prototype.n = (Buffer.prototype.n || 0) + 1; return {r: Buffer.prototype.n};",
        "Buffer.from = function () { return 5; }; return {r: typeof Buffer.from};",
        "var P = Buffer.alloc(1).constructor.prototype; P.readUInt8 = null; return {r: typeof P.readUInt8};",
        "Date.prototype.toString = function () { return (this.n = (this.n || 0) + 1) + ''; }; return {r: '' + new Date(0)};",
    ],
)
def test_what_a_message_changes_of_them_is_gone_for_the_next(engine, script):
    made = load(version(script, engine=engine), ENGINES)
    seen = []
    for _ in range(3):
        made.convert(b"", b"{}", 1000)
        seen.append(made.last)
    assert seen[0] == seen[1] == seen[2] is not None


def answered(call, engine):
    script = load(version(SCRIPT.format(call=call), engine=engine), ENGINES)
    script.convert(b"", b"{}", 1000)
    return script.last["r"]


def expected(row):
    return {key: row[key] for key in ("gives", "throws") if key in row}


@pytest.mark.parametrize("row", CALLS, ids=lambda row: row["call"])
def test_quickjs_answers_as_node_does(row):
    assert answered(row["call"], "quickjs") == expected(row)


@pytest.mark.parametrize("row", [r for r in CALLS if not r.get("modern")], ids=lambda row: row["call"])
def test_duktape_answers_as_node_does(row):
    assert answered(row["call"], "duktape") == expected(row)
