"""The forms of other platforms: each is detected, and makes what it says of a message, in both engines."""

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.errors import SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

AT = 1_700_000_000_000
METADATA = {"devEui": "A1B2", "fPort": 3}
BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])


async def run(service, script, payload=b"\x00\xe7", metadata=METADATA, engine="auto", files=None, **options):
    spec = ConverterSpec(name="x", script=script, engine=engine, options=options, files=files or {})
    dialect, engine = await service.compile(spec)
    converter = version(script, dialect=dialect, engine=engine, options=options, files=files or {})
    (made,) = await convert(service, job(converter, payload, json.dumps(metadata).encode(), AT))
    return dialect, made


def telemetry(made):
    assert made.error is None, made.error
    return [entry for output in made.outputs for entry in json.loads(output.body)["telemetry"]]


async def values(service, dialect, script, **more):
    """The values that come of a message, once the dialect is seen to be what it must."""
    found, made = await run(service, script, **more)
    assert found == dialect
    (entry,) = telemetry(made)
    assert entry["ts"] == AT
    return entry["values"]


@BOTH
@ensureDeferred
async def test_akenza_emits_samples_whose_topics_go_before_their_names(service, engine):
    script = """
    function consume(event) {
      var bits = Bits.hexToBits(event.data.payloadHex), data = {};
      data.temperature = Bits.bitsToSigned(bits.substr(0, 16)) / 10;
      emit('sample', {data: data, topic: 'default'});
      data.temperature = 'is another object by now';
      emit('sample', {data: {port: event.data.port, offset: event.device.customFields.offset}, topic: 'lifecycle'});
      emit('log', {seen: Hex.hexLittleEndianToBigEndian('e700')});
    }"""
    found, made = await run(service, script, engine=engine, variables={"offset": 7})
    assert found == "akenza"
    assert telemetry(made) == [
        {"ts": AT, "values": {"temperature": 23.1, "lifecycle.port": 3, "lifecycle.offset": 7}}
    ]
    assert made.logs == ('{"seen":231}',)


@BOTH
@ensureDeferred
async def test_akenza_takes_json_and_times_and_keeps_a_state_if_it_may(service, engine):
    script = """
    function consume(event) {
      var count = (event.state.count || 0) + 1;
      emit('state', {count: count});
      emit('sample', {data: {count: count, t: event.data.t}, timestamp: new Date(event.data.at)});
    }"""
    for options, counts in (({}, [1, 1]), ({"state": True}, [1, 2])):
        spec = ConverterSpec(name="x", script=script, engine=engine, options=options)
        dialect, _ = await service.compile(spec)
        converter = version(script, dialect=dialect, engine=engine, options=options)
        made = await convert(
            service,
            *(job(converter, b'{"t": 21.5, "at": 1699999999000}', b'{"devEui": "A1"}', AT) for _ in counts),
        )
        assert [telemetry(one) for one in made] == [
            [{"ts": 1699999999000, "values": {"count": count, "t": 21.5}}] for count in counts
        ]


@BOTH
@ensureDeferred
async def test_tago_reads_and_sets_the_variable_payload(service, engine):
    script = """
    var raw = payload.filter(function (x) { return x.variable === 'payload'; })[0];
    var port = payload.filter(function (x) { return x.variable === 'fport' || x.variable === 'port'; })[0];
    if (raw) {
      try {
        var bytes = Buffer.from(raw.value, 'hex');
        var scale = device.params.filter(function (x) { return x.key === 'scale'; })[0].value;
        var parsed = [{variable: 'temperature', value: bytes.readInt16BE(0) / scale, unit: 'C', group: raw.group, time: raw.time},
                      {variable: 'port', value: -port.value},
                      {variable: 'place', value: 'here', location: {lat: 1.5, lng: 2.5}}];
        payload = payload.concat(parsed);
      } catch (e) { payload = [{variable: 'parse_error', value: e.message}]; }
    }"""
    found, made = await run(service, script, engine=engine, variables={"scale": 10})
    assert found == "tago"
    assert telemetry(made) == [
        {
            "ts": AT,
            "values": {
                "temperature": 23.1,
                "port": -3,
                "place": "here",
                "place.latitude": 1.5,
                "place.longitude": 2.5,
            },
        }
    ]
    _, failed = await run(service, script, payload=b"\x01", engine=engine, variables={"scale": 10})
    assert failed.error.name == "ReportedError"
    assert failed.error.message.startswith("parse_error: ")


@BOTH
@ensureDeferred
async def test_what_is_no_variable_of_tago_s_is_left_out(service, engine):
    script = """
    payload = payload.concat(undefined).map(function (x) { return Object.assign({}, x, {serie: '1'}); });
    if (payload.length > 3) payload = payload.concat({variable: 't', value: 1});"""
    _, made = await run(service, script, engine=engine, metadata={"identity": "A1"})
    assert (made.outputs, made.error) == ((), None)
    assert made.warnings == ("payload[0]: left out, it has no `variable` and no `value`",)
    _, made = await run(service, script, engine=engine)
    assert telemetry(made) == [{"ts": AT, "values": {"t": 1}}] and len(made.warnings) == 1
    _, made = await run(service, "payload = [{value: 1}]; // a variable", engine=engine)
    assert made.error.message == "payload[0]: expected an object with a `variable` and its `value`"


@BOTH
@ensureDeferred
async def test_tago_gets_text_of_a_device_that_sends_text(service, engine):
    script = """
    var csv = payload[0].value.split(',');
    payload = [{variable: 'id', value: csv[0]}, {variable: 't', value: Number(csv[1]), time: '2024-01-01T00:00:00Z'}];"""
    _, made = await run(service, script, payload=b"abc,21.5", metadata={"identity": "A1"}, engine=engine)
    assert telemetry(made) == [
        {"ts": AT, "values": {"id": "abc"}},
        {"ts": 1704067200000, "values": {"t": 21.5}},
    ]


@BOTH
@ensureDeferred
async def test_decentlabs_object_decodes(service, engine):
    script = """
    var decentlab_decoder = {
      scale: 10,
      decode: function (msg) {
        if (msg[0]) return {error: "protocol version doesn't match"};
        return {id: msg[1], temperature: {displayName: 'Air', value: msg[1] / this.scale, unit: 'C'}};
      }
    };
    function main() { console.log(decentlab_decoder.decode([0, 1])); }
    main();"""
    found, made = await run(service, script, engine=engine)
    assert (found, telemetry(made)[0]["values"], made.logs) == (
        "decentlab",
        {"id": 231, "temperature": 23.1},
        (),
    )
    _, made = await run(service, script, payload=b"\x01", engine=engine)
    assert (made.error.name, made.error.message) == ("ReportedError", "protocol version doesn't match")


@BOTH
@ensureDeferred
async def test_a_driver_is_found_as_a_variable_and_as_an_export(service, engine):
    driver = """{decodeUplink: function (input) {
      return {data: {samples: [{variable: 'temperature', value: input.bytes[1] / 10, date: '2024-01-01T00:00:00Z', unit: 'C'}],
                     temperature: 1, temperature_unit: 'C'}, warnings: []};
    }}"""
    for script in (f"var driver; !function () {{ driver = {driver}; }}();", f"exports.driver = {driver};"):
        found, made = await run(service, script, engine=engine)
        assert found == "driver"
        assert telemetry(made) == [
            {"ts": 1704067200000, "values": {"temperature_unit": "C", "temperature": 23.1}}
        ]


@BOTH
@ensureDeferred
async def test_bodies_are_told_by_the_variables_that_they_read(service, engine):
    bytes_ = (
        "var bytes = bytes.slice(1); function f(x) { return x; }\nreturn {t: f(bytes[0]) / 10, port: port};"
    )
    assert await values(service, "tektelic", bytes_, engine=engine) == {"t": 23.1, "port": 3}
    input_ = "var made = {}; made.t = input.bytes[1] / 10; return {data: made, errors: [], warnings: []};"
    assert await values(service, "tektelic-v2", input_, engine=engine) == {"t": 23.1}
    rule = "msg.twice = msg.t * 2; metadata.x = 1; return {msg: msg, metadata: metadata, msgType: msgType};"
    assert await values(service, "rule-node", rule, engine=engine, payload=b'{"t": 21}') == {
        "t": 21,
        "twice": 42,
    }
    node = "msg.payload = {t: msg.payload.readInt16BE(0) / 10, topic: msg.topic}; return msg;"
    metadata = {**METADATA, "topic": "a/b"}
    assert await values(service, "node-red", node, engine=engine, metadata=metadata) == {
        "t": 23.1,
        "topic": "a/b",
    }
    thingsboard = "return {deviceName: 'x', telemetry: {t: payload[1] / 10}};"
    assert await values(service, "thingsboard-body", thingsboard, engine=engine) == {"t": 23.1}


@BOTH
@ensureDeferred
async def test_a_node_may_send_several_messages(service, engine):
    script = """
    node.send({payload: {a: 1}});
    return [[{payload: {b: 2}}, {payload: 'text'}], null];"""
    for before in ("var m = msg.payload;", ""):
        _, made = await run(service, before + script, engine=engine)
        assert [entry["values"] for entry in telemetry(made)] == [{"a": 1}, {"b": 2}, {"payload": "text"}]


@BOTH
@ensureDeferred
async def test_allthingstalks_converter_takes_hex_and_returns_json(service, engine):
    script = """
    function converter(code) {
      if (code.length !== 4) return JSON.stringify('The payload has the wrong size!');
      return JSON.stringify({t: {value: parseInt(code, 16) / 10}, open: {value: false, at: '2024-01-01T00:00:00Z'}});
    }"""
    found, made = await run(service, script, engine=engine)
    assert found == "allthingstalk"
    assert telemetry(made) == [
        {"ts": AT, "values": {"t": 23.1}},
        {"ts": 1704067200000, "values": {"open": False}},
    ]
    _, made = await run(service, script, payload=b"\x01", engine=engine)
    assert made.error.message == "The payload has the wrong size!"


@BOTH
@ensureDeferred
async def test_milesights_cellular_decoder_and_its_global(service, engine):
    script = "function decodePayload(bytes) { return {imei: 'x', data: {t: bytes[1] / 10}}; }"
    assert await values(service, "milesight", script, engine=engine) == {"imei": "x", "data.t": 23.1}
    script = """
    function Decode(fPort, bytes) { return {eui: LoRaObject.devEUI, at: LoRaObject.time, port: LoRaObject.fPort}; }"""
    assert await values(service, "chirpstack-v3", script, engine=engine) == {
        "eui": "A1B2",
        "at": "2023-11-14T22:13:20.000Z",
        "port": 3,
    }


@ensureDeferred
async def test_types_are_left_out_of_typescript(service):
    script = """\
interface Reading { temperature: number; at?: Date }
enum Kind { Air = 1, Water }
type Bytes = number[];
function read<T extends Bytes>(bytes: T, kind: Kind = Kind.Air): Reading | null {
  const found = new Map<string, Array<number>>([["t", bytes as number[]]]);
  return { temperature: found.get("t")![kind]! / 10 } as Reading;
}
export function decodeUplink(input: { bytes: number[]; fPort: number }): any {
  return { data: { ...read(input.bytes), water: Kind[Kind.Water] } };
}"""
    assert await values(service, "ts013", script) == {"temperature": 23.1, "water": "Water"}


@ensureDeferred
async def test_an_error_in_typescript_has_its_place_in_the_users_text(service):
    script = """\
interface Input {
  bytes: number[]
}
export const decodeUplink = (input: Input): any => {
  const value: number = input.bytes[0]; (undefined as any).x;
  return {data: {value}};
};"""
    _, made = await run(service, script)
    assert (made.error.name, made.error.line, made.error.column) == ("TypeError", 5, 42)


@ensureDeferred
async def test_what_typescript_alone_can_say_is_named(service):
    script = "namespace A { export const b: number = 1 }"
    with pytest.raises(SettingsError, match="namespaces are not supported"):
        await service.compile(ConverterSpec(name="x", script=script))


@ensureDeferred
async def test_exports_of_a_module_are_found(service):
    for script in (
        "export default { decodeUplink: (i) => ({data: {t: i.bytes[1] / 10}}) };",
        "const decodeUplink = (i) => ({data: {t: i.bytes[1] / 10}});\nexport { decodeUplink };",
        "export default function (hex) { return {t: parseInt(hex, 16) / 10}; }",
    ):
        found, made = await run(service, script)
        assert telemetry(made) == [{"ts": AT, "values": {"t": 23.1}}], found


FILES = {
    "lib/bits.js": "var calls = 0;\nexports.int16 = function (b) {\n  if (b.length < 2) null.length;\n  calls++;\n"
    "  return {value: (b[0] << 8 | b[1]) / require('../table.json').scale, calls: calls};\n};",
    "table.json": '{"scale": 10}',
}


@BOTH
@ensureDeferred
async def test_a_converter_has_several_files(service, engine):
    script = (
        "var bits = require('./lib/bits');\nfunction decodeUplink(i) { return {data: bits.int16(i.bytes)}; }"
    )
    for _ in range(2):  # a file's variables begin anew as well
        assert await values(service, "ts013", script, engine=engine, files=FILES) == {
            "value": 23.1,
            "calls": 1,
        }


@BOTH
@ensureDeferred
async def test_an_error_in_another_file_names_it(service, engine):
    script = (
        "var bits = require('./lib/bits');\nfunction decodeUplink(i) { return {data: bits.int16(i.bytes)}; }"
    )
    _, made = await run(service, script, payload=b"\x01", engine=engine, files=FILES)
    assert (made.error.file, made.error.line, made.error.column) == ("lib/bits.js", 3, 21)
    assert made.error.stack.splitlines()[1].endswith("(2)") or "(2:" in made.error.stack.splitlines()[1]


@ensureDeferred
async def test_modules_and_types_work_across_files(service):
    files = {
        "types.ts": "export interface Input { bytes: number[] }",
        "bits.ts": "export const int16 = (b: number[]): number => (b[0] << 8) | b[1];\nexport default 10;",
    }
    script = """
import type { Other } from './nowhere';
import { Input } from './types';
import scale, { int16 } from './bits';
export function decodeUplink(input: Input) { return {data: {t: int16(input.bytes) / scale}}; }"""
    assert await values(service, "ts013", script, files=files) == {"t": 23.1}
    as_it_will_be = script.replace("'./bits'", "'./bits.js'")
    assert await values(service, "ts013", as_it_will_be, files=files) == {"t": 23.1}


@ensureDeferred
async def test_a_module_that_is_not_there_is_named_when_the_script_is_saved(service):
    script = "var moment = require('moment');\nfunction decodeUplink(i) { return {data: {}}; }"
    known = r"There are a\.js, assert, buffer, cayenne-lpp, cbor, crypto, msgpack, util"
    with pytest.raises(SettingsError, match=rf"line 1.*there is no module 'moment': .*{known}"):
        await service.compile(ConverterSpec(name="x", script=script, files={"a.js": ""}))
    each = ["assert", "buffer", "cayenne-lpp", "cbor", "crypto", "msgpack", "util"]
    requires = "".join(f"require('{name}');\n" for name in each)
    await service.compile(ConverterSpec(name="x", script=requires + script.partition("\n")[2]))


@BOTH
@ensureDeferred
async def test_downlinks_of_other_platforms(service, engine):
    async def encode(script, msg, metadata=None, **more):
        spec = ConverterSpec(name="x", type="DOWNLINK", script=script, engine=engine)
        dialect, _ = await service.compile(spec)
        converter = version(script, dialect=dialect, engine=engine, direction="DOWNLINK")
        made = await service.encode(converter, msg, metadata or {}, "", {})
        return dialect, made["data"], made["metadata"]

    akenza = "function consume(e) { emit('downlink', {payloadHex: e.payload.on ? '01' : '00', port: 85, confirmed: true}); }"
    assert await encode(akenza, {"on": True}) == ("akenza", "AQ==", {"fPort": 85, "confirmed": True})
    att = "function converter(code) { return JSON.stringify({data: JSON.parse(code).on.value ? '01' : '00', meta: {port: 6}}); }"
    assert await encode(att, {"on": True}) == ("allthingstalk", "AQ==", {"fPort": 6})
    driver = "var driver = {encodeDownlink: function (i) { return {bytes: [i.data.on ? 1 : 0], fPort: 2}; }};"
    assert await encode(driver, {"on": True}) == ("driver", "AQ==", {"fPort": 2})
    tektelic = (
        "var sensor = {}; function encode(d) { return {100: [d.on ? 1 : 0]}; }\nreturn encode(data, sensor);"
    )
    assert await encode(tektelic, {"on": True}) == ("tektelic", "AQ==", {"fPort": 100})


@pytest.mark.parametrize(
    "files, what",
    [
        ({"../up.js": ""}, "expected paths such as lib/bits.js"),
        ({"/etc/passwd": ""}, "expected paths such as"),
        ({"": ""}, "expected paths such as"),
        ({f"{number}.js": "" for number in range(65)}, "expected at most 64 files"),
        ({"a.js": "x" * (1 << 20)}, "expected at most 1048576 characters with its files"),
        ({"a.js": "this is none {"}, r"a\.js, line 1"),
    ],
)
@ensureDeferred
async def test_files_that_cant_be_are_refused(service, files, what):
    script = "require('./a');\nfunction decodeUplink(i) { return {data: {}}; }"
    with pytest.raises(SettingsError, match=what):
        await service.compile(ConverterSpec(name="x", script=script, files=files))
