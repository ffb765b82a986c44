"""A decoder of bytes that is handed a network server's JSON fails, and says what opens it."""

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.converters.enveloped import network_of
from tests.unit.converters.conftest import convert, job, version

UPLINKS = {
    "the-things-stack": {
        "end_device_ids": {"device_id": "probe-7", "dev_eui": "70B3D57ED0000017"},
        "received_at": "2023-05-19T05:33:35.848446463Z",
        "uplink_message": {"f_port": 2, "frm_payload": "AOc="},
    },
    "chirpstack": {"deviceInfo": {"devEui": "0102030405060708"}, "fCnt": 1, "fPort": 2, "data": "AOc="},
    "chirpstack-v3": {"applicationID": "1", "devEUI": "AQIDBAUGBwg=", "fPort": 2, "data": "AOc="},
    "loriot": {"cmd": "rx", "EUI": "0102030405060708", "data": "00e7", "port": 2, "ts": 1700000000000},
    "thingpark": {"DevEUI_uplink": {"DevEUI": "0102030405060708", "payload_hex": "00e7", "FPort": "2"}},
    "helium": {
        "dev_eui": "0102030405060708",
        "payload": "AOc=",
        "port": 2,
        "fcnt": 1,
        "reported_at": 1700000000000,
    },
    "everynet": {
        "meta": {"device": "0102030405060708"},
        "params": {"payload": "AOc=", "port": 2},
        "type": "uplink",
    },
    "netmore": [{"devEui": "0102030405060708", "fPort": "2", "payload": "00e7", "fCntUp": 1}],
    "kpn-things": [{"bn": "urn:dev:DEVEUI:0102030405060708:", "bt": 1.7e9, "n": "payload", "vs": "00e7"}],
}
BYTES = "function decodeUplink(input) { return {data: {t: (input.bytes[0] << 8 | input.bytes[1]) / 10}}; }"


@pytest.mark.parametrize("preset", UPLINKS)
@ensureDeferred
async def test_the_preset_of_each_network_is_named(service, preset):
    payload = json.dumps(UPLINKS[preset]).encode()
    converter = version(BYTES, dialect="ts013")
    (made,) = await convert(service, job(converter, payload, b'{"devEui": "A1"}'))
    assert made.error.name == "EnvelopeError"
    assert f"set `preset` to {preset} " in made.error.message


@pytest.mark.parametrize(
    "script, dialect",
    [
        ("function Decode(fPort, bytes) { return {t: bytes[0]}; }", "chirpstack-v3"),
        ("function Decoder(bytes, port) { return {t: bytes[0]}; }", "ttn-v2"),
        ("return {t: bytes[0]};", "tektelic"),
        ("function consume(e) { emit('sample', {data: {t: parseInt(e.data.payloadHex, 16)}}); }", "akenza"),
    ],
)
@ensureDeferred
async def test_every_dialect_of_bytes_is_kept_from_it(service, script, dialect):
    converter = version(script, dialect=dialect)
    payload = json.dumps(UPLINKS["chirpstack"]).encode()
    (made,) = await convert(service, job(converter, payload, b'{"devEui": "A1"}'))
    assert made.error.name == "EnvelopeError"


@ensureDeferred
async def test_a_script_that_opens_it_by_itself_may(service):
    script = """
    function decodeUplink(input) {
      var uplink = JSON.parse(String.fromCharCode.apply(null, input.bytes));
      return {data: {port: uplink.fPort}};
    }"""
    payload = json.dumps(UPLINKS["chirpstack"]).encode()
    (made,) = await convert(service, job(version(script, dialect="ts013"), payload, b'{"devEui": "A1"}'))
    assert made.error is None


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"[1]", b'{"data": "AOc="}', b"[" * 100_000, b'{"a":' * 99_999, b"{\xff"]
)
def test_bytes_of_a_device_are_no_envelope(payload):
    assert network_of(payload) is None
