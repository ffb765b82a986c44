"""What scripts return and do beside the letter of their platform, and what is made of it."""

import json

import pytest
from pytest_twisted import ensureDeferred

from iotgw.converters.bench import compile_
from iotgw.converters.engines import available
from iotgw.converters.loading import HEAP, loading_time
from iotgw.converters.translation import MAX_SCRIPT
from iotgw.core.errors import ConversionFailed, SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

ENGINES = available()
BOTH = pytest.mark.parametrize("engine", ["duktape", "quickjs"])


@BOTH
@pytest.mark.parametrize(
    ("result", "warnings"),
    [
        ("{}", ()),
        ("{warnings: ['old firmware']}", ("old firmware",)),
        ("{warnings: [], errors: []}", ()),
        ("{data: null, warnings: ['x']}", ("x",)),
    ],
)
@ensureDeferred
async def test_a_ts013_result_without_data_is_filtered_and_its_warnings_are_kept(
    service, engine, result, warnings
):
    script = f"function decodeUplink() {{ return {result}; }}"
    (made,) = await convert(service, job(version(script, dialect="ts013", engine=engine)))
    assert (made.outputs, made.error, made.warnings) == ((), None, warnings)


@BOTH
@ensureDeferred
async def test_values_that_are_not_under_data_are_not_lost_in_silence(service, engine):
    script = "function decodeUplink() { return {temperature: 5, warnings: ['old']}; }"
    (made,) = await convert(
        service, job(version(script, dialect="ts013", engine=engine), metadata=b'{"devEui": "e"}')
    )
    assert json.loads(made.outputs[0].body)["telemetry"][0]["values"] == {"temperature": 5}
    assert made.warnings == ("old", "data: it is missing; temperature beside it taken for the values")
    script = "function decodeUplink() { return {error: 'too short'}; }"
    (made,) = await convert(service, job(version(script, dialect="ts013", engine=engine)))
    assert (made.error.name, made.error.message) == ("ReportedError", "too short")


@BOTH
@ensureDeferred
async def test_a_decode_downlink_that_throws_does_not_fail_the_downlink(service, engine):
    script = """
    function encodeDownlink(input) { return {bytes: [1, 2], warnings: ['first']}; }
    function decodeDownlink(input) { throw new Error('not mine'); }"""
    converter = version(script, dialect="ts013", engine=engine, direction="DOWNLINK")
    made = await service.encode(converter, {}, {}, "", {})
    assert (made["data"], made["decoded"]) == ("AQI=", None)
    assert made["warnings"] == ["first", "decodeDownlink: not mine"]


@BOTH
@pytest.mark.parametrize(
    "bytes_",
    ["[1, 255]", "new Uint8Array([1, 255])", "Buffer.from([1, 255])", "new Int8Array([1, -1])", "new Uint8Array([1, 255]).buffer",
     "new Uint8Array([0, 1, 255, 0]).subarray(1, 3)"],
)  # fmt: skip
@pytest.mark.parametrize(
    ("dialect", "script"),
    [
        ("ts013", "function encodeDownlink(input) {{ return {{bytes: {0}}}; }}"),
        ("chirpstack-v3", "function Encode(port, object) {{ return {0}; }}"),
        ("ttn-v2", "function Encoder(object, port) {{ return {0}; }}"),
        ("thingsboard", "function Encoder(msg) {{ return {{contentType: 'BINARY', data: {0}}}; }}"),
    ],
)
@ensureDeferred
async def test_an_encoder_may_return_its_bytes_in_any_form(service, engine, dialect, script, bytes_):
    converter = version(script.format(bytes_), dialect=dialect, engine=engine, direction="DOWNLINK")
    assert (await service.encode(converter, {}, {}, "", {}))["data"] == "Af8="


@ensureDeferred
async def test_a_script_may_be_long_and_a_longer_one_is_refused(service):
    line = "// a remark that makes a script longer than any decoder\n"
    body = "return {deviceName: 'd'};\n"
    fill = line * ((MAX_SCRIPT - len(body)) // len(line))
    assert await service.compile(ConverterSpec(name="x", script=body + fill)) == (
        "thingsboard-body",
        "duktape",
    )
    with pytest.raises(SettingsError, match="expected at most 1048576 characters"):
        await service.compile(ConverterSpec(name="x", script=body + fill + line))


@BOTH
@ensureDeferred
async def test_a_script_that_throws_while_it_loads_says_so_when_it_is_saved(service, engine):
    script = "throw new Error('\u00fcber 30 \u00b0C');\nfunction Decode() { return {}; }"
    with pytest.raises(SettingsError, match=r"line 1.*\u00fcber 30 \u00b0C"):
        await service.compile(ConverterSpec(name="x", script=script, engine=engine))
    with pytest.raises(ConversionFailed, match="\u00fcber 30 \u00b0C"):
        converter = version(script, dialect="chirpstack-v3", engine=engine, direction="DOWNLINK")
        await service.encode(converter, {}, {}, "", {})


@pytest.mark.parametrize("engine", ENGINES)
def test_the_time_to_read_a_script_goes_by_its_length(engine):
    """Each step of a save is given the time for the whole script, also where the engine counts by itself."""
    script = "".join(f"function f{i}(b) {{ return b[0] + {i}; }}\n" for i in range(900))
    script += "function Decode(p, b) { return {n: f7(b)}; }"
    given = []
    spec = {"name": "x", "script": script, "engine": engine}
    found = compile_({"spec": spec, "timeLimit": 0.001}, ENGINES, given.append)
    assert found == {"dialect": "chirpstack-v3", "engine": engine}
    assert given and min(given) >= loading_time(len(script))
    made = ENGINES[engine](0.001, HEAP, script)
    for entry in ("compile", "program"):
        assert made.call(entry, json.dumps(script)) in ("{}", '{"program":true}')


@BOTH
@ensureDeferred
async def test_half_a_character_is_no_end_of_a_worker(service, engine):
    script = "throw new Error('x\\udc00'); function Decode() { return {}; }"
    with pytest.raises(SettingsError, match=r"line 1.*Error: x\ufffd"):
        await service.compile(ConverterSpec(name="x", script=script, engine=engine))
    script = "function Decode() { console.log('\\ud800y'); throw new Error('x\\udc00'); }"
    converter = version(script, dialect="chirpstack-v3", engine=engine)
    (made,) = await convert(service, job(converter))
    assert (made.error.message, made.logs) == ("x\ufffd", ("\ufffdy",))


@BOTH
@ensureDeferred
async def test_a_first_line_for_a_shell_is_a_remark(service, engine):
    script = "#!/usr/bin/env node\nfunction Decode() { return {a: missing}; }"
    assert (await service.compile(ConverterSpec(name="x", script=script, engine=engine)))[1] == engine
    (made,) = await convert(service, job(version(script, dialect="chirpstack-v3", engine=engine)))
    assert made.error.line == 2


@BOTH
@ensureDeferred
async def test_a_script_may_say_what_it_likes_while_it_loads(service, engine):
    script = "console.log('30 \u00b0C');\nfunction Decode() { return {a: 1}; }"
    found = await service.compile(ConverterSpec(name="x", script=script, engine=engine))
    assert found == ("chirpstack-v3", engine)
    converter = version(script, dialect=found[0], engine=engine)
    (made,) = await convert(service, job(converter, metadata=b'{"imei":"1"}'))
    assert made.outputs and made.logs == ("30 \u00b0C",)


@pytest.mark.parametrize("engine", ["auto", "duktape", "quickjs"])
@pytest.mark.parametrize("before", ["", "count = 1;\n"])
@ensureDeferred
async def test_a_script_with_a_brace_too_many_is_refused(service, engine, before):
    script = f"{before}function Decoder(payload) {{ return {{deviceName: 'a', telemetry: {{x: 1}}}}; }}\n}}"
    (made,) = await convert(service, job(version(script, engine=engine)))
    assert made.error is not None and made.error.name == "SyntaxError"
