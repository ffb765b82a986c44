"""What users in the field wanted to convert, case by case: an input that somebody has, and what has to come of it."""

from __future__ import annotations

import json

import pytest

from iotgw.converters.bench import compile_
from iotgw.converters.engines import available
from iotgw.converters.library import catalogue
from iotgw.converters.script import load
from iotgw.wire import dragino
from tests.unit.converters.conftest import version

ENGINES = available()
AT = 1_700_000_000_000
BODY = "var d = decodeToJson(payload); return {deviceName: d.id || 'x', deviceType: 'y', telemetry: %s};"
PROTOBUF = """
function Decoder(payload, metadata) {
  var names = {}, values = {}, at = 0;
  function varint(b, p) { var n = 0, f = 1; do { n += (b[p.i] & 127) * f; f *= 128; } while (b[p.i++] & 128); return n; }
  var p = {i: 0};
  while (p.i < payload.length) {
    var tag = varint(payload, p);
    if ((tag & 7) === 0) { varint(payload, p); continue; }
    var end = varint(payload, p) + p.i, name = '', value = null;
    while (p.i < end) {
      var key = varint(payload, p), field = key >> 3, kind = key & 7;
      if (kind === 2) { var n = varint(payload, p); name = decodeToString(payload.slice(p.i, p.i + n)); p.i += n; }
      else if (kind === 5) { value = new DataView(new Uint8Array(payload.slice(p.i, p.i + 4)).buffer).getFloat32(0, true); p.i += 4; }
      else { var v = varint(payload, p); if (field === 14) value = v === 1; if (field === 10) value = v; }
    }
    values[name] = value;
  }
  return {deviceName: 'x', deviceType: 'y', telemetry: values};
}"""


def converted(script, payload, metadata=None, **options):
    """The outputs of a script as it is saved, in each engine, and its warnings."""
    payload = payload.encode() if isinstance(payload, str) else payload
    spec = {"name": "x", "script": script, "options": options}
    found = compile_({"spec": spec, "timeLimit": 10.0}, ENGINES, lambda _s: None)
    assert "dialect" in found, found
    made = load(version(script, dialect=found["dialect"], engine=found["engine"], options=options), ENGINES)
    conversion, _ = made.convert(payload, json.dumps(metadata or {}).encode(), AT)
    return [json.loads(output.body) for output in conversion.outputs], conversion


def telemetry(script, payload, metadata=None, **options):
    outputs, conversion = converted(script, payload, metadata, **options)
    assert conversion.error is None, conversion.error
    return [entry for output in outputs for entry in output["telemetry"]]


def test_a_list_as_a_value_is_kept_as_json_or_the_place_and_the_option_are_said():
    script = BODY % "{kwh: d.kwh, days: d.days}"
    payload = '{"kwh": 0.46, "days": [10, 101.7, 126.2]}'
    _, refused = converted(script, payload)
    assert "telemetry.days" in refused.error.message and "nested" in refused.error.message
    (entry,) = telemetry(script, payload, nested="json")
    assert entry["values"] == {"kwh": 0.46, "days": "[10,101.7,126.2]"}


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        ('"2021-09-14T06:32:07.507569+00:00"', 1631601127507),
        ('"2021-09-14T06:32:07.507569123Z"', 1631601127507),
        ('"2021-09-14T08:32:07.507569+02:00"', 1631601127507),
        ("1631601127507", 1631601127507),
        ('"1631601127507"', 1631601127507),
    ],
)
def test_a_reading_has_the_device_s_own_time(ts, expected):
    script = BODY % "[{ts: d.ts, values: {value: d.value, other: 1}}]"
    (entry,) = telemetry(script, f'{{"ts": {ts}, "value": null}}')
    assert entry == {"ts": expected, "values": {"other": 1}}


def test_a_time_may_be_a_date():
    (entry,) = telemetry(BODY % "[{ts: new Date(d.ts * 1000), values: {v: 1}}]", '{"ts": 1648731311}')
    assert entry["ts"] == 1648731311000


def test_a_time_in_seconds_is_a_warning():
    _, conversion = converted(BODY % "[{ts: d.ts, values: {v: 1}}]", '{"ts": 1648731311}')
    assert "is it seconds?" in conversion.warnings[0]


def test_two_records_of_one_time_are_a_warning():
    payload = '[{"tag": 1001, "rssi": -50}, {"tag": 1002, "rssi": -60}]'
    _, conversion = converted(
        "return {deviceName: 'x', deviceType: 'y', telemetry: decodeToJson(payload)};", payload
    )
    assert "a further entry with the device, the time and a key of another" in conversion.warnings[0]


def test_a_payload_that_is_hexadecimal_text():
    script = BODY.partition("return")[0].replace("decodeToJson", "decodeToString") + (
        "var b = Buffer.from(d, 'hex'); return {deviceName: 'x', deviceType: 'y', telemetry: {v: b.readUInt16BE(0) / 10}};"
    )
    (entry,) = telemetry(script, "00e7")
    assert entry["values"] == {"v": 23.1}


def test_a_vendor_s_cellular_decoder_is_pasted_as_it_is():
    script = "function decodePayload(bytes){return {v:bytes[0]}}"
    (entry,) = telemetry(script, b"\x01", {"imei": "860000000000017"})
    assert entry["values"] == {"v": 1}


def test_the_vendor_s_gateway_object_is_there():
    script = "function Decode(fPort, bytes){ return {eui: LoRaObject.devEUI} }"
    (entry,) = telemetry(script, b"\x01", {"devEui": "24E124136B000017", "fPort": 85})
    assert entry["values"] == {"eui": "24E124136B000017"}


def test_protobuf_can_be_read_by_hand():
    payload = bytes.fromhex(
        "08fbd095ffbc31120b0a0474656d70650000ac4112070a0372756e7001120a0a05636f756e7450ac02"
    )
    (entry,) = telemetry(PROTOBUF, payload)
    assert entry["values"] == {"temp": 21.5, "run": True, "count": 300}


def test_cbor_is_a_module():
    script = "const cbor = require('cbor'); function decodeUplink(i) { return {data: cbor.decode(i.bytes)}; }"
    (entry,) = telemetry(script, bytes.fromhex("a16174fb4035800000000000"), {"devEui": "e"})
    assert entry["values"] == {"t": 21.5}


def test_a_normalized_measurement_has_its_own_time():
    script = (
        "function decodeUplink(i){return {data:{temp:21.5}}} "
        "function normalizeUplink(i){return {data:[{time:'2023-05-19T05:33:35Z',air:{temperature:20}}]}}"
    )
    (entry,) = telemetry(script, b"\x01", {"devEui": "e"}, normalized=True)
    assert entry == {"ts": 1684474415000, "values": {"air.temperature": 20}}


def test_nothing_to_say_is_filtered():
    outputs, conversion = converted("return null;", b"")
    assert (outputs, conversion.error) == ([], None)


def test_nested_json_with_seconds_and_a_list_of_probes():
    script = """
var d = decodeToJson(payload), values = {battery: d.Telemetry.bat, temperature: d.Telemetry.temp, rsrp: d.CellStatus.RSRP / 10};
d.Telemetry.onewire.forEach(function (t, i) { values['onewire' + (i + 1)] = t; });
return {deviceName: d.Message.IMEI, deviceType: 'NB-14', telemetry: [{ts: d.Telemetry.UTC * 1000, values: values}]};"""
    payload = {
        "Message": {"dev": "NB-14 v0.1", "IMEI": "860000000000017", "UTC": 1571227504},
        "CellStatus": {"RSRP": -822},
        "Telemetry": {"UTC": 1571227500, "bat": 99, "temp": 28, "onewire": [21.6, 20.6]},
    }
    (entry,) = telemetry(script, json.dumps(payload))
    assert entry["ts"] == 1571227500000
    assert (entry["values"]["onewire1"], entry["values"]["rsrp"]) == (21.6, -82.2)


def dragino_s(data, model=""):
    """What the library makes of a Dragino frame, by the model that the listener tells, or that is set by hand."""
    facts = dragino.metadata(dragino.parse(data), model)
    name = f"dragino/{facts.get('deviceModel', 'generic').lower()}"
    name = name if name in catalogue() else "dragino/generic"
    conversion, _ = load(catalogue()[name].version, ENGINES).convert(data, json.dumps(facts).encode(), AT)
    assert conversion.error is None, conversion.error
    (output,) = conversion.outputs
    return facts, json.loads(output.body), conversion


def test_an_sn50v3_cb_is_told_by_its_code_and_read():
    facts, made, _ = dragino_s(
        bytes.fromhex(
            "f860000000000017f0010100000000174c6e0cba16010104000000000100fe01fd6756bb09000000000000000000000000"
        )
    )
    values = made["telemetry"][0]["values"]
    assert facts["deviceModel"] == "SN50v3-CB" and made["telemetry"][0]["ts"] == 1733737225000
    assert (values["temperatureProbe"], values["temperature"], values["humidity"]) == (26.0, 25.4, 50.9)
    assert (values["batteryVolts"], values["csq"]) == (3.258, 22)
    assert not {"latitude", "longitude"} & values.keys()


def test_a_model_that_is_named_by_hand_is_read_with_its_place():
    facts, made, _ = dragino_s(
        bytes.fromhex(
            "f860000000000017f0010100000000174c6e0cba16010104000000000100fe01fd6756bb09015a775a06cf35d66682595d"
        ),
        "SN50v3-CB",
    )
    (entry,) = made["telemetry"]
    values = entry["values"]
    assert "deviceModelSource" not in facts and entry["ts"] == 1733737225000
    assert (values["latitude"], values["longitude"]) == (22.70601, 114.24303)
    assert (values["temperatureProbe"], values["temperature"], values["humidity"]) == (26.0, 25.4, 50.9)


def test_an_unknown_code_is_no_other_model():
    facts, made, _ = dragino_s(
        bytes.fromhex(
            "f860000000000033f001010000000033506e0cba16010104000000000100fe01fd6756bb09015a775a06cf35d66682595d"
        )
    )
    assert facts["modelCode"] == 0x50 and "deviceModel" not in facts
    assert "PS-NB" not in json.dumps(made)


def test_the_dated_records_of_json_arrive_at_their_times():
    text = (
        '{"IMEI":"860000000000017","IMSI":"001010000000017","Model":"SN50V3-CB","mod":1,"battery":3.21,"signal":20,'
        '"time":"2024-12-09T09:35:21Z","latitude":0.000000,"longitude":0.000000,"gps_time":"1970-01-01T00:00:00Z",'
        '"DS18B20_Temp":25.6,"temperature":25.5,"humidity":51.8,"1":[24.4,52.3,0,25.0,"2024-12-09T09:17:50Z"],'
        '"2":[24.0,52.5,0,25.5,"2024-12-09T09:02:50Z"]}'
    )
    _, made, _ = dragino_s(text.encode())
    assert {entry["ts"] for entry in made["telemetry"]} == {1733736921000, 1733735870000, 1733734970000}
