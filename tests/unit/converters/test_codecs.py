"""The host's codecs in scripts: the documents' own examples, there and back, and hostile input."""

import json

import msgspec
import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])


async def decode(service, engine, module, payloads, expression="codec.decode(input.bytes)"):
    """What a codec makes of payloads: the result, or the error's text."""
    script = f"""
    var codec = require('{module}');
    function show(value) {{
      return JSON.stringify(value === undefined ? 'undefined' : value, function (key, one) {{
        if (typeof one === 'bigint') return '' + one;
        return ArrayBuffer.isView(one) ? {{bytes: [].slice.call(one)}} : one !== one ? 'NaN' : one;
      }});
    }}
    function decodeUplink(input) {{ return {{data: {{v: show({expression})}}}}; }}"""
    dialect, _ = await service.compile(ConverterSpec(name="x", script=script, engine=engine))
    converter = version(script, dialect=dialect, engine=engine)
    made = await convert(service, *(job(converter, payload, b'{"devEui": "A1"}') for payload in payloads))
    return [
        one.error.message
        if one.error is not None
        else json.loads(json.loads(one.outputs[0].body)["telemetry"][0]["values"]["v"])
        for one in made
    ]


# RFC 8949 appendix A
CBOR = {
    "00": 0, "17": 23, "1818": 24, "190100": 256, "1a000f4240": 1000000, "1b000000e8d4a51000": 1000000000000, "20": -1,
    "3903e7": -1000, "f90000": 0.0, "f93c00": 1.0, "f97bff": 65504.0, "f90001": 5.960464477539063e-08, "f9c400": -4.0,
    "fa47c35000": 100000.0, "fb3ff199999999999a": 1.1, "f97e00": "NaN", "f4": False, "f5": True, "f6": None, "f7": "undefined",
    "c074323031332d30332d32315432303a30343a30305a": "2013-03-21T20:04:00.000Z", "c11a514b67b0": "2013-03-21T20:04:00.000Z",
    "4401020304": {"bytes": [1, 2, 3, 4]}, "6449455446": "IETF", "62c3bc": "ü", "64f0908591": "𐅑", "80": [],
    "83010203": [1, 2, 3], "8301820203820405": [1, [2, 3], [4, 5]], "a201020304": {"1": 2, "3": 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]}, "5f42010243030405ff": {"bytes": [1, 2, 3, 4, 5]},
    "7f657374726561646d696e67ff": "streaming", "9fff": [], "9f018202039f0405ffff": [1, [2, 3], [4, 5]],
    "bf61610161629f0203ffff": {"a": 1, "b": [2, 3]}, "d74401020304": {"bytes": [1, 2, 3, 4]}, "a16174fb4035800000000000": {"t": 21.5},
}  # fmt: skip


@BOTH
@ensureDeferred
async def test_cbor_reads_the_rfcs_examples(service, engine):
    made = await decode(service, engine, "cbor", [bytes.fromhex(text) for text in CBOR])
    assert dict(zip(CBOR, made, strict=True)) == CBOR


DOCUMENT = {
    "n": [0, 23, 24, 255, 256, 65535, 65536, 4294967295, 4294967296, 2**53 - 1],
    "m": [-1, -32, -33, -128, -129, -32768, -32769, -2147483648, -2147483649, -(2**53 - 1)],
    "f": [1.5, -0.1, 1e300],
    "t": ["", "ü𐅑", "x" * 40, "y" * 300],
    "o": {"a": None, "b": True, "__proto__": {"c": False}},
    "l": list(range(20)),
}


@BOTH
@ensureDeferred
async def test_msgpack_reads_what_others_write(service, engine):
    (made,) = await decode(service, engine, "msgpack", [msgspec.msgpack.encode(DOCUMENT)])
    assert made == DOCUMENT


@BOTH
@pytest.mark.parametrize("module", ["cbor", "msgpack"])
@ensureDeferred
async def test_what_is_written_is_read_again(service, engine, module):
    there = "codec.decode(codec.encode(JSON.parse(decodeToString(input.bytes))))"
    (made,) = await decode(service, engine, module, [json.dumps(DOCUMENT).encode()], there)
    assert made == DOCUMENT


@BOTH
@ensureDeferred
async def test_others_read_what_msgpack_writes(service, engine):
    written = "codec.encode(JSON.parse(decodeToString(input.bytes)))"
    (made,) = await decode(service, engine, "msgpack", [json.dumps(DOCUMENT).encode()], written)
    assert msgspec.msgpack.decode(bytes(made)) == DOCUMENT


LPP = {
    "03670110056700ff": {"temperature_3": 27.2, "temperature_5": 25.5},
    "0167ffd7067104d2fb2e0000": {"temperature_1": -4.1, "accelerometer_6": {"x": 1.234, "y": -1.234, "z": 0}},
    "018806765ff2960a0003e8": {"gps_1": {"latitude": 42.3519, "longitude": -87.9094, "altitude": 10}},
    "0000010101000268a0037300ff": {"digital_in_0": 1, "digital_out_1": 0, "relative_humidity_2": 80, "barometric_pressure_3": 25.5},
}  # fmt: skip


@BOTH
@ensureDeferred
async def test_cayenne_lpp_reads_its_documents_examples_and_writes_them(service, engine):
    payloads = [bytes.fromhex(text) for text in LPP]
    assert dict(zip(LPP, await decode(service, engine, "cayenne-lpp", payloads), strict=True)) == LPP
    written = await decode(
        service, engine, "cayenne-lpp", payloads, "codec.encode(codec.decode(input.bytes))"
    )
    assert [bytes(one).hex() for one in written] == list(LPP)


HOSTILE = {
    "cbor": ["", "81" * 100, "9bffffffffffffffff", "bb7fffffffffffffff", "5b0000ffffffffffff", "7affffffff", "9f", "bf6161", "1c",
             "ff", "d81c80", "d81d00", "d9010080", "0000", "fa00", "5f00ff", "c249" + "ff" * 8],
    "msgpack": ["", "91" * 100, "ddffffffff", "dfffffffff", "c6ffffffff", "dbffffffff", "c1", "d6ff00", "c704ff00", "0000", "92"],
    "cayenne-lpp": ["01", "01ff00", "016701", "0188060000"],
}  # fmt: skip


@BOTH
@pytest.mark.parametrize("module", HOSTILE)
@ensureDeferred
async def test_hostile_input_is_an_error_of_its_message(service, engine, module):
    made = await decode(service, engine, module, [bytes.fromhex(text) for text in HOSTILE[module]])
    assert all(isinstance(one, str) for one in made), dict(zip(HOSTILE[module], made, strict=True))


@ensureDeferred
async def test_a_script_cant_change_a_codec_for_others_nor_for_its_next_message(service):
    script = """
    var cbor = require('cbor');
    function decodeUplink(input) {
      try { cbor.decode = function () { return {hacked: 1}; }; cbor.decode.x = 1; } catch (e) {}
      return {data: cbor.decode(input.bytes)};
    }"""
    converter = version(script, dialect="ts013", engine="quickjs")
    for _ in range(2):
        (made,) = await convert(service, job(converter, b"\xa1\x61t\x05", b'{"devEui": "A1"}'))
        assert json.loads(made.outputs[0].body)["telemetry"][0]["values"] == {"t": 5}
