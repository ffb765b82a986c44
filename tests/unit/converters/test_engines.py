"""Two engines, one runtime; and one engine alone where the other can't be installed."""

import builtins
import json
import sys

import msgspec
import pytest

from iotgw.converters.bench import compile_
from iotgw.converters.engines import FAR, ON_DEMAND, Stopped, available, source
from iotgw.converters.library import catalogue
from iotgw.converters.options import DEFAULT_TIME_LIMIT, read
from iotgw.converters.script import HEAP, LoadFailed, load
from iotgw.core.errors import SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import version

ENGINES = available()
BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])


def never(_seconds):
    """No kernel timer in the tests' own process."""


def compiled(script, engines=ENGINES, **more):
    spec = msgspec.to_builtins(ConverterSpec(name="x", script=script, **more))
    return compile_({"spec": spec, "timeLimit": 0.25}, engines, never)


def value(engine, expression):
    """What an expression comes to in a script."""
    script = load(version(f"return {{v: {expression}}};", engine=engine), ENGINES)
    script.convert(b"\x01\x02\x03", b'{"name":"d"}', 1000)
    return script.last["v"]


@pytest.mark.parametrize("missing", ["pyduktape2", "quickjs"])
def test_an_engine_that_is_not_installed_is_left_out(monkeypatch, missing):
    for name in [name for name in sys.modules if name.startswith(("iotgw.converters.engines.", missing))]:
        monkeypatch.delitem(sys.modules, name)
    real = builtins.__import__

    def without(name, *rest):
        if name == missing:
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert set(available()) == {"duktape", "quickjs"} - {"duktape" if missing == "pyduktape2" else "quickjs"}


def test_quickjs_alone_takes_what_duktape_would_have_taken():
    alone = {"quickjs": ENGINES["quickjs"]}
    assert compiled("return {};", alone) == {"dialect": "thingsboard-body", "engine": "quickjs"}
    saved_before = version("return {deviceName: 'd', deviceType: 't'};", engine="duktape")
    conversion, _ = load(saved_before, alone).convert(b"", b"{}", 1000)
    assert conversion.error is None
    assert (
        "expected one of quickjs here, got 'duktape'"
        in compiled("return {};", alone, engine="duktape")["problem"]
    )


@pytest.mark.parametrize(
    "script",
    [
        "return {v: Number(BigInt(5))};",
        "return {v: [3, 1].toSorted()};",
        "return {v: Object.hasOwn({}, 'a')};",
    ],
)
def test_a_script_that_compiles_in_duktape_but_needs_more_gets_quickjs(script):
    assert compiled(script)["engine"] == "quickjs"


@pytest.mark.parametrize("bundled", catalogue())
def test_the_library_runs_in_duktape(bundled):
    assert compiled(catalogue()[bundled].script)["engine"] == "duktape"


def test_an_engine_set_by_hand_must_take_the_script():
    assert compiled("return {};", engine="quickjs")["engine"] == "quickjs"
    refused = compiled("let a = 1;\nreturn {};", engine="duktape")
    assert refused["path"] == "script" and "line 1" in refused["problem"]


def test_a_dialect_set_by_hand_must_fit_the_script():
    script = "function Decoder(a, b) { return {}; }"
    assert compiled(script, dialect="ttn-v2")["dialect"] == "ttn-v2"
    assert "expected auto or one of" in compiled(script, dialect="ttn-v9")["problem"]
    assert "expected a function decodeUplink" in compiled(script, dialect="ts013")["problem"]


@pytest.mark.parametrize(
    "option",
    [
        {"nested": "maybe"},
        {"state": 1},
        {"unknown": 1},
        {"template": {"ts": 5}},
        {"timeLimit": -1},
        {"timeLimit": 61},
        {"timeLimit": "long"},
    ],
)
def test_a_wrong_option_is_refused_with_its_path(option):
    with pytest.raises(SettingsError) as refused:
        read(option)
    assert refused.value.path.startswith("options") or "unknown" in refused.value.problem


@BOTH
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[1, 2, 3].includes(2)", True),
        ("[NaN].includes(NaN)", True),
        ("[1, 2, 3].find(function (x) { return x > 1; })", 2),
        ("[1, 2].findIndex(function (x) { return x > 5; })", -1),
        ("[1, [2, [3, [4]]]].flat(2)", [1, 2, 3, [4]]),
        ("[1, 2].flatMap(function (x) { return [x, x]; })", [1, 1, 2, 2]),
        ("[1, 2, 3].fill(0, 1)", [1, 0, 0]),
        ("[1, 2, 3].at(-1)", 3),
        ("Array.from('abc')", ["a", "b", "c"]),
        ("Array.from({length: 3}, function (_, i) { return i * i; })", [0, 1, 4]),
        ("Array.from(new Set([1, 2, 1]))", [1, 2]),
        ("Array.of(7)", [7]),
        ("Array.from(new Uint8Array([1, 2, 3, 4]).slice(1, 3))", [2, 3]),
        ("Array.from(Uint8Array.from([1, 2]).map(function (x) { return x * 200; }))", [200, 144]),
        ("new Uint8Array([9, 8]).indexOf(8)", 1),
        ("Object.values({a: 1, b: 2})", [1, 2]),
        ("Object.entries({a: 1})", [["a", 1]]),
        ("Object.fromEntries([['a', 1]])", {"a": 1}),
        ("Number.isInteger(5.0) && !Number.isInteger(5.5) && !Number.isNaN('x')", True),
        ("Number.MAX_SAFE_INTEGER", 2**53 - 1),
        ("Math.fround(5.5) + Math.log2(8) + Math.cbrt(27) + Math.trunc(-4.7)", 7.5),
        ("'7'.padStart(3, '0') + '7'.padEnd(3, 'ab')", "0077ab"),
        ("'a-b-c'.replaceAll('-', '+') + ' x '.trimStart() + ' y '.trimEnd()", "a+b+cx  y"),
        ("'abc'.at(-1) + 'abc'.endsWith('bc') + 'abc'.startsWith('b')", "ctruefalse"),
        ("new Map([['a', 1], ['b', 2]]).get('b')", 2),
        ("(function () { var m = new Map(); m.set(NaN, 1).set(NaN, 2); return m.size + m.get(NaN); })()", 3),
        ("(function () { var s = new Set([1, 2]); s['delete'](1); return [s.has(1), s.has(2), s.size]; })()", [False, True, 1]),
        ("new Date(0).toUTCString()", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("new Date(Date.UTC(2020, 1, 29)).toISOString()", "2020-02-29T00:00:00.000Z"),
        ("btoa(atob('AP+A')) + atob('aGk')", "AP+Ahi"),
        ("parseBase64('AP-_')", [0, 255, 191]),
        ("decodeToString([0xc3, 0xa9]) + decodeToString([0xe9])", "éé"),
        ("uint16BE([1, 2]) + uint16LE([1, 2]) + uint32BE([0, 0, 1, 0]) + uint32LE([0, 1, 0, 0])", 258 + 513 + 256 + 256),
        ("float32BE([0x41, 0x20, 0, 0]) + float32LE([9, 0, 0, 0x20, 0x41], 1)", 20),
        ("new TextDecoder().decode(new Uint8Array([104, 105]))", "hi"),
        ("payload.slice(1).concat([4])", [2, 3, 4]),
        ("Buffer.from(payload).readUInt16BE(1) + Buffer.from('ff7f', 'hex').readInt16LE(0)", 0x0203 + 0x7FFF),
        ("Buffer.from('AQID', 'base64').toString('hex') + Buffer.from('é').toString('base64')", "010203w6k="),
        ("Buffer.from([0, 0, 128, 63]).readFloatLE(0) + Buffer.concat([Buffer.from([1]), Buffer.alloc(2)]).length", 4),
        ("Buffer.from([104, 105, 33]).slice(0, 2).toString() + Buffer.isBuffer(Buffer.alloc(1)) + Buffer.isBuffer([])", "hitruefalse"),
        ("(function () { var b = Buffer.alloc(4); b.writeInt32BE(-2, 0); return b.toJSON().data; })()", [255, 255, 255, 254]),
        ("' a'.trimLeft() + 'b '.trimRight()", "ab"),
        ("(function () { return typeof this; })()", "object"),
    ],
)  # fmt: skip
def test_built_ins_are_the_same_in_both_engines(engine, expression, expected):
    assert value(engine, expression) == expected


@BOTH
def test_a_function_of_the_script_wins_over_the_built_in(engine):
    script = load(
        version("function atob() { return 'mine'; } return {v: atob('x')};", engine=engine), ENGINES
    )
    script.convert(b"", b"{}", 1)
    assert script.last == {"v": "mine"}


def test_the_runtime_ends_above_the_lines_of_scripts():
    everything = "__tbel Parse Buffer Date consume msg LoRaObject require('cbor') require('crypto')"
    assert all(named.search(everything) for named in ON_DEMAND.values())
    assert source(everything, "polyfill.js").count("\n") < FAR


@BOTH
def test_a_version_without_a_limit_of_its_own_has_the_usual_one(engine):
    made = load(version("return null;", engine=engine, time_limit=0.0), ENGINES)
    assert made.version.time_limit == DEFAULT_TIME_LIMIT
    made = load(version("return null;", engine=engine, time_limit=0.0, options={"timeLimit": 2}), ENGINES)
    assert made.version.time_limit == 2


@BOTH
def test_an_engine_never_raises_anything_but_stopped(engine):
    made = ENGINES[engine](0.25, HEAP, "")
    for entry, text in [
        ("load", "not json"),
        ("run", ""),
        ("run", "[1]"),
        ("compile", "5"),
        ("program", "x"),
    ]:
        try:
            answer = made.call(entry, text)
        except Stopped:
            continue
        assert answer.startswith(("!", "{"))
        if answer.startswith("!"):
            assert json.loads(answer[1:])["message"]


CHANGES = [
    "Array.prototype.toJSON = function () { return 5; };",
    "Object.prototype.toJSON = function () { return 7; };",
    "Object.prototype.toJSON = function () { return {message: [], logs: 1, stack: {}}; };",
    "Array.prototype.toJSON = function () { return [{}]; };",
]


@pytest.mark.parametrize("ending", ["return {data: {a: [1]}};", "throw new Error('boom');"])
@pytest.mark.parametrize("change", CHANGES)
@BOTH
def test_a_script_that_changes_how_json_is_written_harms_its_own_messages_only(engine, change, ending):
    for script in (
        f"function decodeUplink(input) {{ {change} console.log('x'); {ending} }}",
        f"{change}\nfunction decodeUplink(input) {{ console.log('x'); {ending} }}",
    ):
        told = compiled(script, engine=engine)
        assert "dialect" in told or told["problem"]
        try:
            loaded = load(version(script, dialect="ts013", engine=engine), ENGINES)
        except LoadFailed as failed:
            assert failed.error.message
            continue
        for _ in range(2):
            made, _ = loaded.convert(b"\x01", b'{"devEui":"d"}', 1000)
            assert made.error is not None or made.outputs
