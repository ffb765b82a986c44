"""Each dialect through real workers: what its functions are given, and what becomes of their results."""

import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.task import deferLater

from iotgw.converters.dialect import named, reads_metadata
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])
METADATA = {"devEui": "A1B2", "fPort": 3, "deviceModel": "probe"}


def only(conversion):
    assert conversion.error is None, conversion.error
    (output,) = conversion.outputs
    return json.loads(output.body)


async def run(service, script, dialect, engine, payload=b"\x01\xff", metadata=METADATA, at=1000, **options):
    converter = version(script, dialect=dialect, engine=engine, options=options)
    (made,) = await convert(service, job(converter, payload, json.dumps(metadata).encode(), at))
    return made


@BOTH
@ensureDeferred
async def test_ts013_data_is_telemetry_of_the_device_that_the_metadata_names(service, engine):
    script = """
    function decodeUplink(input) {
      return {data: {sum: input.bytes[0] + input.bytes[1], port: input.fPort, at: input.recvTime.getTime(),
                     v: input.variables.v, deep: {a: [1, {b: 2}]}}, warnings: ['old']};
    }"""
    made = await run(service, script, "ts013", engine, variables={"v": 9})
    assert only(made) == {
        "deviceName": "A1B2",
        "deviceType": "probe",
        "attributes": {},
        "telemetry": [
            {
                "ts": 1000,
                "values": {"sum": 256, "port": 3, "at": 1000, "v": 9, "deep.a.0": 1, "deep.a.1.b": 2},
            }
        ],
    }
    assert made.warnings == ("old",)


@BOTH
@ensureDeferred
async def test_strict_scripts_and_exported_functions_are_found(service, engine):
    strict = "'use strict';\nfunction decodeUplink(input) { return {data: {a: input.bytes[0]}}; }"
    exported = "exports.decodeUplink = function (input) { return {data: {a: input.bytes[0]}}; };"
    in_a_module = "module.exports = {decodeUplink: function (input) { return {data: {a: input.bytes[0]}}; }};"
    for script in (strict, exported, in_a_module):
        assert (await service.compile(ConverterSpec(name="x", script=script, engine=engine)))[0] == "ts013"
        assert only(await run(service, script, "ts013", engine))["telemetry"][0]["values"] == {"a": 1}


@BOTH
@ensureDeferred
async def test_ts013_errors_fail_the_message(service, engine):
    made = await run(
        service, "function decodeUplink() { return {errors: ['bad', 'worse']}; }", "ts013", engine
    )
    assert (made.error.name, made.error.message) == ("ReportedError", "bad; worse")


@BOTH
@ensureDeferred
async def test_ts013_normalized_data_is_taken_on_request(service, engine):
    script = """
    function decodeUplink(input) { return {data: {t: input.bytes[0]}}; }
    function normalizeUplink(input) { return {data: {air: {temperature: input.data.t / 10}}}; }"""
    made = await run(service, script, "ts013", engine, b"\xe7", normalized=True)
    assert only(made)["telemetry"][0]["values"] == {"air.temperature": 23.1}


@BOTH
@ensureDeferred
async def test_chirpstack_v3_ttn_v2_and_module_get_their_arguments(service, engine):
    cases = [
        ("chirpstack-v3", "function Decode(fPort, bytes, variables) { return {a: fPort, b: bytes[1]}; }"),
        ("ttn-v2", "function Decoder(bytes, port) { return {a: port, b: bytes[1]}; }"),
        (
            "module",
            "module.exports = function (hex, m) { return {a: m.fPort, b: parseInt(hex.slice(2), 16)}; };",
        ),
    ]
    for dialect, script in cases:
        made = await run(service, script, dialect, engine)
        assert only(made)["telemetry"] == [{"ts": 1000, "values": {"a": 3, "b": 255}}]


@BOTH
@ensureDeferred
async def test_pairs_of_field_and_value_are_the_telemetry(service, engine):
    script = """
    function Decoder(bytes, port) {
      if (port === 9) return [{field: 'A', value: 1, timestamp: 1700000000}, {field: 'A', value: 2, timestamp: 1700000060.5}];
      if (port === 8) return [{field: 'A', value: 1}, {field: 'A', value: 2}];
      if (port === 7) return [{field: 'A', value: 1, device: 'x'}, {field: 'B', value: 2, device: 'y'}];
      if (port === 6) return [{field: 'A', value: 1, timestamp: 'soon'}];
      if (port === 5) return [{field: 'A', value: 1, unit: 'm'}];
      return [{field: 'TEMPERATURE', value: bytes[0] / 10}, {field: 'OPEN', value: bytes[1] > 0}, {field: 'AT', value: '(1,2)'}];
    }"""

    async def of(port):
        return await run(service, script, "ttn-v2", engine, metadata={"devEui": "A1", "fPort": port})

    assert only(await of(1))["telemetry"] == [
        {"ts": 1000, "values": {"TEMPERATURE": 0.1, "OPEN": True, "AT": "(1,2)"}}
    ]
    times = [json.loads(output.body)["telemetry"] for output in (await of(9)).outputs]
    assert [one for each in times for one in each] == [
        {"ts": 1700000000000, "values": {"A": 1}},
        {"ts": 1700000060500, "values": {"A": 2}},
    ]
    assert "[1].field: 'A' comes twice" in (await of(8)).error.message
    assert "[1].device: expected the pairs of one device" in (await of(7)).error.message
    assert "[0].timestamp: expected a number of seconds" in (await of(6)).error.message
    assert only(await of(5))["telemetry"][0]["values"] == {"field": "A", "value": 1, "unit": "m"}


@BOTH
@ensureDeferred
async def test_a_template_says_how_a_result_becomes_a_device(service, engine):
    script = (
        "function Decode(p, bytes) { return {serial: 7, fw: '1.2', t: 5, when: '2024-01-01T00:00:00Z'}; }"
    )
    template = {
        "deviceName": "{metadata.devEui}-{data.serial}",
        "deviceType": "fixed",
        "customerName": "c",
        "attributes": ["fw", "serial"],
        "ts": "when",
    }
    assert only(await run(service, script, "chirpstack-v3", engine, template=template)) == {
        "deviceName": "A1B2-7",
        "deviceType": "fixed",
        "customerName": "c",
        "attributes": {"fw": "1.2", "serial": 7},
        "telemetry": [{"ts": 1704067200000, "values": {"t": 5}}],
    }


@BOTH
@ensureDeferred
async def test_a_message_of_nobody_is_refused_with_where_a_name_was_looked_for(service, engine):
    made = await run(service, "function Decode() { return {a: 1}; }", "chirpstack-v3", engine, metadata={})
    assert "looked for deviceName, devEui" in made.error.message


LOBARO = """
function Parse(input) {
  var telegram = parseBase64(input.d.telegram);
  Record.setTime(input.d.timestamp * 1000);
  return {id: input.i, n: input.n, first: uint16BE(telegram), last: uint32LE(telegram.slice(-4)),
          text: string(bytes("ab")), name: Device.address, received: Record.getReceivedAt()};
}"""


@BOTH
@ensureDeferred
async def test_lobaro_parse_gets_the_envelope_and_its_host_functions(service, engine):
    envelope = {"i": "123456101550542", "n": 7, "d": {"telegram": "SUSTRHkF", "timestamp": 1594201536}}
    made = await run(
        service, LOBARO, "lobaro", engine, json.dumps(envelope).encode(), {"imei": "123456101550542"}, 5000
    )
    assert only(made)["telemetry"] == [
        {
            "ts": 1594201536000,
            "values": {
                "id": "123456101550542",
                "n": 7,
                "first": 0x4944,
                "last": 0x05794493,
                "text": "ab",
                "name": "123456101550542",
                "received": 5000,
            },
        }
    ]


@BOTH
@ensureDeferred
async def test_properties_are_kept_per_device_between_messages(service, engine):
    script = """
    function Parse(input) {
      var seen = (Device.getProperty('seen') || 0) + 1;
      Device.setProperty('seen', seen);
      return {seen: seen};
    }"""
    converter = version(script, dialect="lobaro", engine=engine, options={"state": True}, id=f"seen-{engine}")
    devices = [b'{"imei":"1"}', b'{"imei":"2"}', b'{"imei":"1"}']
    seen = []
    for _ in range(2):
        for made in await convert(service, *[job(converter, b"x", device) for device in devices]):
            seen.append(only(made)["telemetry"][0]["values"]["seen"])
    assert seen == [1, 1, 2, 3, 2, 4]
    workers = {slot: slot.pid for slot in service.pool.slots.values() if slot.has_worker}
    for slot in workers:  # a new worker is told what the old one knew
        service.pool.kill(slot)
    while any(slot.pid == pid for slot, pid in workers.items()):
        await deferLater(reactor, 0.01)
    (made,) = await convert(service, job(converter, b"x", devices[0]))
    assert only(made)["telemetry"][0]["values"]["seen"] == 5


@BOTH
@ensureDeferred
async def test_partial_messages_are_joined(service, engine):
    script = """
    function Parse(input) {
      var part = parseBase64(input.data);
      if (part[0] === 0) Parser.newPartial('k');
      if (part[0] === 2) return {all: string(Parser.newPartial(part.slice(1), 'k'))};
      var all = Parser.joinPartial(part.slice(1), 'k');
      if (all.length < 4) return null;
      return {all: string(Parser.clearPartial('k'))};
    }"""
    converter = version(script, dialect="lobaro", engine=engine, options={"state": True}, id=f"join-{engine}")
    parts = [b"\x00ab", b"\x01cd", b"\x00ef", b"\x01gh"]
    made = await convert(service, *[job(converter, part, b'{"imei":"9"}') for part in parts])
    assert [len(one.outputs) for one in made] == [0, 1, 0, 1]
    late = job(converter, b"\x01late", b'{"imei":"9"}', 90_000_000)  # more than a day later
    made += await convert(service, job(converter, b"\x02new", b'{"imei":"9"}'), late)
    assert [only(one)["telemetry"][0]["values"]["all"] for one in made if one.outputs] == [
        "abcd",
        "efgh",
        "new",
        "late",
    ]


@BOTH
@ensureDeferred
async def test_a_state_that_grows_too_large_fails_the_message_and_is_not_kept(service, engine):
    script = "function Parse() { Device.setProperty('x', new Array(20000).join('y')); return {a: 1}; }"
    made = await run(service, script, "lobaro", engine, metadata={"imei": "5"}, state=True)
    assert made.error.name == "StateError" and "16384 bytes" in made.error.message


@BOTH
@ensureDeferred
async def test_properties_without_the_option_say_which_option_is_missing(service, engine):
    made = await run(service, "function Parse() { return Device.getProperty('a'); }", "lobaro", engine)
    assert 'option "state"' in made.error.message


@BOTH
@ensureDeferred
async def test_update_only_keys_are_sent_when_they_change(service, engine):
    script = "return {deviceName: metadata.n, deviceType: 't', attributes: {fw: payload[1]}, telemetry: {a: payload[0]}}"
    converter = version(script, engine=engine, options={"updateOnlyKeys": ["fw", "a"]}, id=f"only-{engine}")
    sent = [(b"\x01\x05", "x"), (b"\x01\x05", "x"), (b"\x02\x05", "x"), (b"\x01\x05", "y")]
    jobs = [job(converter, payload, json.dumps({"n": name}).encode()) for payload, name in sent]
    bodies = [only(made) for made in await convert(service, *jobs)]
    assert [b["attributes"] for b in bodies] == [{"fw": 5}, {}, {}, {"fw": 5}]
    assert [[e["values"] for e in b["telemetry"]] for b in bodies] == [[{"a": 1}], [], [{"a": 2}], [{"a": 1}]]


@BOTH
@ensureDeferred
async def test_a_downlink_is_shown_with_what_its_bytes_mean(service, engine):
    script = """
    function encodeDownlink(input) { return {bytes: [input.data.minutes * 2]}; }
    function decodeDownlink(input) { return {data: {minutes: input.bytes[0] / 2}}; }"""
    converter = version(script, dialect="ts013", engine=engine, direction="DOWNLINK")
    made = await service.encode(converter, {"minutes": 5}, {}, "", {})
    assert (made["data"], made["decoded"]) == ("Cg==", {"minutes": 5})


@pytest.mark.parametrize(
    ("script", "dialect", "expected"),
    [
        ("function encodeDownlink(i) { return {bytes: [i.data.a, 255], fPort: i.fPort}; }", "ts013", ("Af8=", {"fPort": 3})),
        ("function Encode(p, o) { return [o.a, p]; }", "chirpstack-v3", ("AQM=", {})),
        ("function Encoder(o, port) { return [o.a, port]; }", "ttn-v2", ("AQM=", {})),
        ("function Encoder(msg, metadata) { return {contentType: 'BINARY', data: btoa('\\x01x'), metadata: {}}; }", "thingsboard", ("AXg=", {})),
        ("function Decoder(msg, metadata, t, im) { return {contentType: 'BINARY', data: [1], metadata: {}}; }", "thingsboard-decoder", ("AQ==", {})),
    ],
)  # fmt: skip
@ensureDeferred
async def test_downlink_converters_of_every_dialect(service, script, dialect, expected):
    spec = ConverterSpec(name="d", script=script, type="DOWNLINK")
    found, engine = await service.compile(spec)
    assert found == dialect
    converter = version(script, dialect=dialect, engine=engine, direction="DOWNLINK")
    made = await service.encode(converter, {"a": 1}, {"fPort": 3}, "T", {})
    assert (made["data"], made["metadata"]) == expected


@pytest.mark.parametrize(
    ("script", "type_", "expected"),
    [
        ("function Decoder(bytes) { return {t: bytes[0]}; }", "UPLINK", "ttn-v2"),
        ("function Decoder(bytes) { return f(bytes); } function f(b) { return {t: b[0]}; }", "UPLINK", "ttn-v2"),
        ("function Decoder(data) { return {n: data.length}; }", "UPLINK", "ttn-v2"),
        ("function Decoder(payload) { return {t: payload[0]}; }", "UPLINK", "ttn-v2"),
        ("var Decoder = function (bytes) { return {t: bytes[0]}; };", "UPLINK", "ttn-v2"),
        ("function Decoder(bytes) { return {deviceName: 'd', telemetry: {t: bytes[0]}}; }", "UPLINK", "thingsboard"),
        ("function Decoder(bytes) { return decodeToJson(bytes); }", "UPLINK", "thingsboard"),
        ("function Decoder(payload) { return f(payload); } function f() {}", "UPLINK", "ttn-v2"),
        ("function Decoder(payload) { return f(payload); } function f() { return {assetName: 'a'}; }", "UPLINK", "thingsboard"),
        (
            "(function () { var s = '{'; function Decoder(a) { this.a = a; } })();\nfunction Decoder(bytes, port) { return {t: bytes[0]}; }",
            "UPLINK",
            "ttn-v2",
        ),
        ("function Decoder() { return null; }", "UPLINK", "thingsboard"),
        ("// Decoder(payload, metadata)\nfunction Decoder(bytes, port) { return {t: bytes[0]}; }", "UPLINK", "ttn-v2"),
        ("function Decoder(bytes /* telemetry */) { return {t: bytes[0]}; }", "UPLINK", "ttn-v2"),
        ("exports.Decoder = (a, fPort) => ({t: a[0]});", "UPLINK", "ttn-v2"),
        ("module.exports = {Decoder(bytes, port) { return {t: bytes[0]}; }};", "UPLINK", "ttn-v2"),
        ("function Decoder(a, b) { return {t: a[0], p: b}; }", "UPLINK", "ttn-v2"),
        ("function Decoder(a, b) { return {deviceName: b.imei, telemetry: {t: a[0]}}; }", "UPLINK", "thingsboard"),
        ("function Decoder(payload, payloadB64) { return [{field: 'T', value: payloadB64[0]}]; }", "UPLINK", "datacake"),
        ("function Encoder(a, b) { return [a.x]; }", "DOWNLINK", "ttn-v2"),
        ("function Encoder(a, b) { return {contentType: 'TEXT', data: a.x}; }", "DOWNLINK", "thingsboard"),
        ("function Encoder(input) { return [input.a]; }", "DOWNLINK", "ttn-v2"),
        ("function Encoder(obj) { return {bytes: [obj.a], fPort: 2}; }", "DOWNLINK", "ttn-v2"),
        ("function Encoder(input) { return {contentType: 'TEXT', data: input.a}; }", "DOWNLINK", "thingsboard"),
        ("function Encoder(msg) { return f(msg); } function f() {}", "DOWNLINK", "thingsboard"),
    ],
)  # fmt: skip
@ensureDeferred
async def test_one_parameter_is_told_by_its_name_and_its_use(service, script, type_, expected):
    found, _ = await service.compile(ConverterSpec(name="x", script=script, type=type_))
    assert found == expected


@BOTH
@ensureDeferred
async def test_a_lone_encoder_may_return_its_bytes_in_any_form(service, engine):
    for made in (
        "[input.a, 2]",
        "new Uint8Array([input.a, 2])",
        "{bytes: Buffer.from([input.a, 2]), fPort: 7}",
    ):
        script = f"function Encoder(input) {{ return {made}; }}"
        converter = version(script, dialect="ttn-v2", engine=engine, direction="DOWNLINK")
        assert (await service.encode(converter, {"a": 1}, {}, "", {}))["data"] == "AQI="


@pytest.mark.parametrize(
    ("dialect", "script", "reads"),
    [
        ("thingsboard", "function Decoder(payload) { return {deviceName: 'd'}; }", False),
        ("thingsboard", "function Decoder(payload, metadata) { return {deviceName: 'd'}; }", False),
        ("thingsboard", "function Decoder(bytes, $m) { return {deviceName: 'd'}; }", False),
        ("thingsboard", "function Decoder(payload, metadata) { return {deviceName: metadata.imei}; }", True),
        ("thingsboard", "function Decoder(payload, m) { return (function () { return m; })(); }", True),
        ("thingsboard", "function Decoder(payload, metadata) { return eval('meta' + 'data'); }", True),
        ("thingsboard", "function Decoder(payload) { return arguments[1]; }", True),
        ("thingsboard", "function Decoder(payload, met\\u0061data) { return metadata; }", True),
        ("thingsboard", "var Decoder = function (payload, metadata) { return null; }", True),
        ("thingsboard", "function Decoder(p) {} Decoder = function (p, m) { return m; }", True),
        ("thingsboard", "function Decoder(payload, {imei}) { return imei; }", True),
        ("thingsboard", "function Decoder(payload, m = {}) { return m; }", True),
        ("thingsboard-body", "return {deviceName: 'd'};", False),
        ("thingsboard-body", "return {deviceName: metadata.imei};", True),
        ("ts013", "function decodeUplink(input) { return {data: {}}; }", True),
    ],
)
def test_only_a_script_that_can_not_see_its_metadata_is_given_none(dialect, script, reads):
    assert reads_metadata(named(dialect, "UPLINK"), script) is reads


@BOTH
@ensureDeferred
async def test_a_time_arrives_to_the_millisecond(service, engine):
    script = "function Decoder(p, m) { return {deviceName: 'd', telemetry: {at: m.at}, attributes: {}}; }"
    at = 1763740123456
    made = await run(service, script, "thingsboard", engine, metadata={"at": 7}, at=at)
    assert only(made)["telemetry"] == [{"ts": at, "values": {"at": 7}}]
    script = "function decodeUplink(input) { return {data: {at: input.recvTime.getTime()}}; }"
    made = await run(service, script, "ts013", engine, at=at)
    assert only(made)["telemetry"][0]["values"] == {"at": at}
