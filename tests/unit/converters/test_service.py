"""Jobs in, conversions out, through real workers."""

import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from iotgw.converters.service import ConverterService
from iotgw.core.errors import ConversionFailed, SettingsError
from iotgw.core.specs import ConverterSpec
from tests.unit.converters.conftest import convert, job, version

ECHO = """
return {deviceName: metadata.name, deviceType: "t",
        telemetry: {first: payload[0], size: payload.length, text: decodeToString(payload)}};
"""


def body(conversion):
    assert conversion.error is None, conversion.error
    return [json.loads(output.body) for output in conversion.outputs]


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_an_uplink_becomes_telemetry_at_its_time_of_reception(service, engine):
    (made,) = await convert(service, job(version(ECHO, engine=engine), b"hi", b'{"name":"d"}', 1234))
    assert body(made) == [
        {
            "deviceName": "d",
            "deviceType": "t",
            "attributes": {},
            "telemetry": [{"ts": 1234, "values": {"first": 104, "size": 2, "text": "hi"}}],
        }
    ]
    assert (made.outputs[0].device_name, made.outputs[0].device_type) == ("d", "t")


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_a_batch_of_several_converters_comes_back_in_its_order(service, engine):
    scripts = [
        version(f"return {{deviceName: 'd{i}-' + payload[0], deviceType: 't'}}", engine=engine)
        for i in range(7)
    ]
    jobs = [job(scripts[i % 7], bytes([i % 256])) for i in range(1000)]
    names = [made.outputs[0].device_name for made in await convert(service, *jobs)]
    assert names == [f"d{i % 7}-{i % 256}" for i in range(1000)]


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize("text", ["°C", "a\x00b", "\U0001f600", "é\u2028\U0010ffff"])
@ensureDeferred
async def test_every_character_survives_the_way_in_and_out(service, engine, text):
    metadata = json.dumps({"name": text}, ensure_ascii=False).encode()
    script = 'return {deviceName: "d", attributes: {name: metadata.name}, telemetry: {text: decodeToString(payload)}};'
    (made,) = await convert(service, job(version(script, engine=engine), text.encode(), metadata))
    assert body(made)[0]["attributes"]["name"] == text
    assert body(made)[0]["telemetry"][0]["values"]["text"] == text


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize("result", ["undefined", "null", "[]"])
@ensureDeferred
async def test_nothing_returned_is_a_filtered_message(service, engine, result):
    (made,) = await convert(service, job(version(f"return {result};", engine=engine)))
    assert made.outputs == () and made.error is None


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_an_error_names_line_and_column_of_the_script(service, engine):
    script = "var a = null;\n\nfunction f() {\n  return a.b;\n}\nreturn f();"
    (made,) = await convert(service, job(version(script, engine=engine)))
    assert made.error.name == "TypeError"
    assert (made.error.line, made.error.column) == (4, 10)
    assert "at f (4:10)" in made.error.stack
    assert made.outputs == ()


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize(
    ("script", "dialect", "place"),
    [
        ("// a comment\nfunction Decoder(p, m) {\n  return 5;\n}", "thingsboard", (2, 10)),
        ("if (!payload) return null;\nvar a = {};\n  return a;", "thingsboard-body", (3, 3)),
    ],
)
@ensureDeferred
async def test_a_result_that_is_refused_points_at_what_made_it(service, engine, script, dialect, place):
    (made,) = await convert(service, job(version(script, engine=engine, dialect=dialect)))
    assert made.error.name == "OutputError" and made.error.message.startswith(
        ("expected", "deviceName: expected")
    )
    assert (made.error.line, made.error.column) == place


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_console_lines_are_kept_with_the_conversion(service, engine):
    script = "console.log('a', {b: 1}); console.warn(7); return null;"
    (made,) = await convert(service, job(version(script, engine=engine)))
    assert made.logs == ('a {"b":1}', "7")


@ensureDeferred
async def test_an_answer_may_carry_a_downlink_acknowledgement(service):
    script = "return {deviceName: 'd', deviceType: 't', downlinkAck: {id: '5', success: true}};"
    (made,) = await convert(service, job(version(script)))
    assert [json.loads(ack) for ack in made.acks] == [{"id": "5", "success": True, "deviceName": "d"}]


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("return {deviceName: 'x'};", ("thingsboard-body", "duktape")),
        ("function Decoder(payload, metadata) { return {}; }", ("thingsboard", "duktape")),
        ("function Decoder(bytes, port) { return {}; }", ("ttn-v2", "duktape")),
        (
            "function decodeUplink(input) { return {}; } function Decoder(bytes, port) {}",
            ("ts013", "duktape"),
        ),
        ("function Decode(fPort, bytes, variables) { return {}; }", ("chirpstack-v3", "duktape")),
        ("function Parse(input) { return {}; }", ("lobaro", "duktape")),
        ("module.exports = function (payload, meta) { return {}; };", ("module", "duktape")),
        ("const f = (x) => x;\nreturn {deviceName: `${f(1)}`};", ("thingsboard-body", "quickjs")),
        ("function decodeUplink({bytes}) { return {data: {...bytes}}; }", ("ts013", "quickjs")),
    ],
)
@ensureDeferred
async def test_dialect_and_engine_are_found_when_a_script_is_saved(service, script, found):
    assert await service.compile(ConverterSpec(name="x", script=script)) == found


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("var a = 1;\nvar b = = 2;", "script: line 2, column 9: SyntaxError: "),
        (
            "var a = 1;",
            "script: expected one of the functions consume, decodeUplink, driver.decodeUplink, Decode, Parse, Decoder",
        ),
        (
            "foreach (k : m.keySet()) {\n  x.add(k;\n}",
            "line 2, column 10: SyntaxError: not TBEL: expected `,`, got `;`",
        ),
        ("function Decoder(a, b) { return JSON.parse(a); }", "set `dialect` to thingsboard or ttn-v2"),
        ("while (true) {}", "did not finish within 250 ms"),
        ("function Encoder(a) {}", "it defines Encoder"),
    ],
)
@ensureDeferred
async def test_a_script_that_can_not_be_used_is_refused_with_its_reason(service, script, says):
    with pytest.raises(SettingsError) as refused:
        await service.compile(ConverterSpec(name="x", script=script))
    assert says in str(refused.value)


@ensureDeferred
async def test_a_test_run_shows_result_telemetry_logs_and_time(service):
    script = "console.log('here'); return {deviceName: 'd', deviceType: 't', telemetry: {a: payload[1]}};"
    told = await service.test(version(script), b"\x01\x02", {}, 5)
    assert told["result"]["telemetry"] == {"a": 2}
    assert told["telemetry"][0]["telemetry"] == [{"ts": 5, "values": {"a": 2}}]
    assert told["logs"] == ["here"] and told["error"] is None and told["durationMs"] >= 0


@ensureDeferred
async def test_a_test_run_of_an_endless_script_says_where_it_hangs(service):
    told = await service.test(version("var x = 0;\nfor (;;) { x++; }", time_limit=0.05), b"", {}, 5)
    assert told["error"]["name"] == "TimeLimit" and told["error"]["line"] == 2


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@ensureDeferred
async def test_a_downlink_converter_makes_a_payload(service, engine):
    script = "return {contentType: 'TEXT', data: msg.a + msgType + metadata.b, metadata: {f: 1}};"
    converter = version(script, direction="DOWNLINK", engine=engine)
    made = await service.encode(converter, {"a": "x"}, {"b": "z"}, "T", {})
    assert (made["contentType"], made["data"], made["metadata"]) == ("TEXT", "xTz", {"f": 1})


@ensureDeferred
async def test_a_downlink_converter_that_throws_fails_with_its_error(service):
    converter = version("return msg.a.b;", direction="DOWNLINK")
    with pytest.raises(ConversionFailed) as failed:
        await service.encode(converter, {}, {}, "", {})
    assert failed.value.error.line == 1


@ensureDeferred
async def test_a_service_stops_with_its_workers_and_their_template():
    own = ConverterService(reactor)
    await own.start()
    await convert(own, job(version("return null;")))
    await own.stop()
    assert own.status()["waiting"] == 0


@pytest.mark.parametrize(
    ("options", "does"),
    [
        ({"state": True}, True),
        ({"updateOnlyKeys": ["t"]}, True),
        ({"state": False, "updateOnlyKeys": []}, False),
    ],
)
def test_a_script_with_state_or_last_values_remembers(service, options, does):
    assert service.remembers(version(ECHO, options=options)) is does
