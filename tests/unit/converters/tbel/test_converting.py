"""TBEL converters in the gateway's converter service: found, saved, tried, run, also for downlinks."""

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version
from tests.unit.converters.tbel.running import tbel

BODY = "return {deviceName: 'd', deviceType: 't', telemetry: {a: parseBytesToInt(payload, 0, 2) / 10}};"
TBEL = [
    BODY,
    "var t = {};\nforeach (k : metadata.keySet()) { t.put(k, 1); }\nreturn {deviceName: 'd', telemetry: t};",
    "int a = 5; return {deviceName: 'd', telemetry: {a: a}};",
    "var d = metadata.?a.?b; return {deviceName: 'd', telemetry: {a: d}};",
    "return {deviceName: String.format('%02d', 7), telemetry: {a: 1}};",
    "var l = new java.util.ArrayList(); l.add(1); return {deviceName: 'd', telemetry: {a: l.size()}};",
    "function Decoder(payload, metadata) { return {deviceName: 'd', telemetry: {a: bytesToHex(payload)}}; }",
    "return {deviceName: 'd', telemetry: {a: toFixed(1.234, 2)}};",
    "var d = decodeToJson(payload); return {deviceName: 'd', telemetry: {a: d.list.size()}};",
    "var d = decodeToJson(payload); return {deviceName: 'd', telemetry: {a: d.state.equalsIgnoreCase('on')}};",
    r"var parts = decodeToString(payload).split('\\|'); return {deviceName: parts[0], telemetry: {a: 1}};",
    "var text = decodeToString(payload).replaceAll('[\"]', ''); return {deviceName: text, telemetry: {a: 1}};",
    "return {deviceName: 'd', telemetry: {a: Double.parseDouble(decodeToString(payload))}};",
]
JAVASCRIPT = [
    "return {deviceName: 'd', deviceType: 't', telemetry: {a: payload[0]}};",
    "function bytesToHex(b) { return b.length; } return {deviceName: 'd', telemetry: {a: bytesToHex(payload)}};",
    "var toFixed = function (x) { return x; }; return {deviceName: 'd', telemetry: {a: toFixed(1)}};",
    "const {parseLong} = {parseLong: Number}; return {deviceName: 'd', telemetry: {a: parseLong('1')}};",
    "return {deviceName: 'd', telemetry: {a: (1.5).toFixed(1)}}; // parseBytesToInt(payload)",
    "var s = 'parseBytesToInt(x)'; return {deviceName: 'd', telemetry: {a: s}};",
    "class A { hexToBytes(x) { return x; } } return {deviceName: 'd', telemetry: {a: new A().hexToBytes(1)}};",
    "var data = decodeToJson(payload); return {deviceName: data.n, telemetry: data};",
    "String.format = function (x) { return x; }; return {deviceName: String.format('d'), telemetry: {a: 1}};",
    "let a = payload.map(b => b + 1); return {deviceName: 'd', telemetry: {a: parseBytesToInt(a)}};",
    "function Decoder(payload, metadata) { return {deviceName: 'd', telemetry: {n: payload.length}}; }",
    "var list = {size: function () { return 1; }}; return {deviceName: 'd', telemetry: {a: payload[0], n: list.size()}};",
    "class A { contains(x) { return x; } } return {deviceName: 'd', telemetry: {a: new A().contains(payload[0])}};",
    "return {deviceName: 'd', telemetry: {a: Buffer.from(payload).equals(Buffer.from([1]))}};",
    r"return {deviceName: decodeToString(payload).split('|')[0].replaceAll('[', '').split('\\n')[0].split(/\|/)[0], telemetry: {a: 1}};",
    "return {deviceName: decodeToString(payload).split(',')[0], telemetry: {a: 'a pattern: \\\\d'}};",
]


@pytest.mark.parametrize("script", TBEL)
@ensureDeferred
async def test_tbel_is_found(service, script):
    assert await service.compile(ConverterSpec(name="x", script=script)) == ("thingsboard-tbel", "quickjs")


@ensureDeferred
async def test_a_text_that_is_a_pattern_in_java_is_one(service):
    script = r"var p = decodeToString(payload).split('\\|'); return {deviceName: p[0], telemetry: {t: parseDouble(p[1].replaceAll('[^0-9.]', ''))}};"
    spec = ConverterSpec(name="x", script=script.replace("parseDouble", "parseFloat"))
    dialect, engine = await service.compile(spec)
    (made,) = await convert(
        service, job(version(spec.script, dialect=dialect, engine=engine), b"A|21.5 C", b"{}")
    )
    told = json.loads(made.outputs[0].body)
    assert (told["deviceName"], told["telemetry"][0]["values"]) == ("A", {"t": 21.5})


@pytest.mark.parametrize("script", JAVASCRIPT)
@ensureDeferred
async def test_javascript_stays_javascript(service, script):
    dialect, _ = await service.compile(ConverterSpec(name="x", script=script))
    assert dialect in ("thingsboard-body", "thingsboard")


@pytest.mark.parametrize(
    "script",
    [
        """export function decodeUplink(input) { return {data: {a: hexToBytes('01')[0]}}; }
        const hexToBytes = (text: string): number[] => [parseInt(text, 16)];""",
        """import {bytesToHex} from './hex';
        export function decodeUplink(input) { return {data: {a: bytesToHex(input.bytes)}}; }""",
        """interface Frame { bytes: number[] }
        function decodeUplink(input: Frame) { return {data: {a: parseBytesToInt(input.bytes)}}; }
        function parseBytesToInt(bytes: number[]): number { return bytes[0]; }""",
    ],
)
@ensureDeferred
async def test_typescript_and_modules_stay_what_they_are_whatever_their_functions_are_called(service, script):
    files = {"hex.js": "exports.bytesToHex = (bytes) => bytes.length;"}
    dialect, _ = await service.compile(ConverterSpec(name="x", script=script, files=files))
    assert dialect == "ts013"


@ensureDeferred
async def test_tbel_has_no_other_files(service):
    with pytest.raises(SettingsError, match="files: expected none"):
        await service.compile(ConverterSpec(name="x", script=BODY, files={"util.js": "exports.a = 1;"}))


@ensureDeferred
async def test_the_dialect_can_be_set_by_hand(service):
    script = "return {deviceName: 'd', deviceType: 't', telemetry: {a: 7 / 2}};"
    spec = ConverterSpec(name="x", script=script, dialect="thingsboard-tbel")
    assert await service.compile(spec) == ("thingsboard-tbel", "quickjs")
    with pytest.raises(SettingsError, match="engine: TBEL runs in quickjs, got 'duktape'"):
        await service.compile(
            ConverterSpec(name="x", script=script, dialect="thingsboard-tbel", engine="duktape")
        )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("foreach (x : payload) {\n  try { a(); } catch (e) { }\n}", "line 2, column 3: SyntaxError: not TBEL: TBEL has no try and catch"),
        ("foreach (x : payload) {\n  var f = (a) => a;\n}", "line 2, column 15: SyntaxError: not TBEL: arrow functions are JavaScript's"),
        ("var a = = 1;", "line 1, column 9: SyntaxError: unexpected token"),
    ],
)  # fmt: skip
@ensureDeferred
async def test_what_can_not_be_had_says_what_was_recognised_and_what_is_missing(service, script, says):
    with pytest.raises(SettingsError) as refused:
        await service.compile(ConverterSpec(name="x", script=script))
    assert says in str(refused.value)


@ensureDeferred
async def test_every_message_begins_anew(service):
    script = """
    var seen = isdef counter;
    counter = 1;
    metadata.put("touched", true);
    payload.add(9);
    Math.extra = 5;
    return {deviceName: 'd', telemetry: {seen: seen, n: payload.size()}};"""
    made = await convert(
        service, *[job(tbel(script.replace("Math.extra = 5;", "")), b"\x01") for _ in range(3)]
    )
    for one in made:
        assert one.error is None
        assert json.loads(one.outputs[0].body)["telemetry"][0]["values"] == {"seen": False, "n": 2}
    (failed,) = await convert(service, job(tbel(script), b"\x01"))
    assert failed.error.name == "PropertyAccessException" and failed.error.line == 6


@ensureDeferred
async def test_options_hold_for_tbel(service):
    script = "return {deviceName: 'd', telemetry: {a: {b: 1}, c: 5L}};"
    (made,) = await convert(service, job(tbel(script, options={"nested": "flatten"})))
    assert json.loads(made.outputs[0].body)["telemetry"][0]["values"] == {"a.b": 1, "c": 5}


@ensureDeferred
async def test_a_trial_shows_the_result_and_an_error_its_place(service):
    told = await service.test(tbel(BODY), b"\x00\xe6", {}, 5)
    assert told["result"]["telemetry"] == {"a": 23.0} and told["error"] is None
    told = await service.test(tbel("var a = 1;\nreturn payload[a];"), b"", {}, 5)
    assert (told["error"]["line"], told["error"]["column"]) == (2, 15)


@ensureDeferred
async def test_an_endless_loop_says_where_it_is(service):
    for loop in ("while (true) { }", "for (;;) { x = 1; }", "do { x++; } while (x > 0);"):
        told = await service.test(tbel(f"var x = 1;\n  {loop}", time_limit=0.05), b"", {}, 5)
        assert told["error"]["name"] == "TimeLimit" and told["error"]["line"] == 2, (loop, told["error"])


ENCODER = """
var bytes = [];
foreach (part : msg.parts) { bytes.add(part & 0xFF); }
return {
    contentType: "BINARY",
    data: bytesToBase64(bytes),
    metadata: {port: metadata.port, kind: msgType, name: integrationMetadata.integrationName}
};
"""


@ensureDeferred
async def test_a_downlink_converter_is_found_and_encodes(service):
    spec = ConverterSpec(name="x", script=ENCODER, type="DOWNLINK")
    assert await service.compile(spec) == ("thingsboard-tbel", "quickjs")
    made = await service.encode(
        tbel(ENCODER, direction="DOWNLINK"),
        {"parts": [1, 255]},
        {"port": 7},
        "POST",
        {"integrationName": "n"},
    )
    assert (made["contentType"], made["data"]) == ("BINARY", "Af8=")
    assert made["metadata"] == {"port": 7, "kind": "POST", "name": "n"}


@ensureDeferred
async def test_a_list_of_bytes_is_binary_too(service):
    script = "return {contentType: 'BINARY', data: hexToBytesArray('01FF'), metadata: {}};"
    made = await service.encode(tbel(script, direction="DOWNLINK"), {}, {}, "", {})
    assert made["data"] == "Af8="


@ensureDeferred
async def test_a_javascript_neighbour_is_none_the_worse(service):
    script = "return {deviceName: 'd', deviceType: 't', telemetry: {a: typeof parseBytesToInt}};"
    made, other = await convert(service, job(version(script, engine="quickjs")), job(tbel(BODY), b"\x00\x0a"))
    assert json.loads(made.outputs[0].body)["telemetry"][0]["values"] == {"a": "undefined"}
    assert json.loads(other.outputs[0].body)["telemetry"][0]["values"] == {"a": 1.0}
