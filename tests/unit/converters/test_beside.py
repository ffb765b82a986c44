"""What converters say to the senders of messages: replies, and facts of their connections."""

import base64
import json
import re
from pathlib import Path

import msgspec
import pytest
import pytest_twisted
from hypothesis import given
from hypothesis import strategies as st

from iotgw.converters.beside import MAX_REPLY, AsideRefused, facts_of, names, reply_of
from iotgw.converters.foreign import interpret
from iotgw.converters.options import DeviceTemplate
from iotgw.converters.output import OutputRefused, check
from iotgw.core.model import Conversion, DeviceReply
from tests.unit.converters.conftest import convert, job, version

BOTH = frozenset(("reply", "session"))
NAMED = {"deviceName": "d"}


@pytest.mark.parametrize(
    ("value", "reply"),
    [
        ({"data": "ok"}, DeviceReply(b"ok", "TEXT")),
        ({"data": [120, 1, -1, 255]}, DeviceReply(b"\x78\x01\xff\xff", "BINARY")),
        ({"data": {"0": 1, "1": 2}}, DeviceReply(b"\x01\x02", "BINARY")),
        ({"data": {"type": "Buffer", "data": [7]}}, DeviceReply(b"\x07", "BINARY")),
        ({"data": {"interval": 60}}, DeviceReply(b'{"interval":60}', "JSON")),
        ({"contentType": "BINARY", "data": "AQI="}, DeviceReply(b"\x01\x02", "BINARY")),
        ({"contentType": "JSON", "data": [1, 2]}, DeviceReply(b"[1,2]", "JSON")),
        ({"contentType": "JSON", "data": '{"a": 1}'}, DeviceReply(b'{"a": 1}', "JSON")),
        ({"contentType": "TEXT", "data": "é", "topic": "a/b"}, DeviceReply("é".encode(), "TEXT", "a/b")),
        ({"data": ""}, DeviceReply(b"", "TEXT")),
        ({"data": []}, DeviceReply(b"", "BINARY")),
    ],
)
def test_a_reply_is_bytes_a_text_or_json(value, reply):
    assert reply_of(value, "reply") == reply


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("ok", "reply: expected an object {contentType, data}"),
        ({}, "reply.data: expected a text, bytes, or a JSON value, it is missing"),
        ({"data": None}, "reply.data: expected a text, bytes, or a JSON value, it is missing"),
        ({"data": "a", "contentType": "image/png"}, "reply.contentType: expected one of JSON, TEXT, BINARY, got 'image/png'"),
        ({"data": "a", "contentType": 5}, "reply.contentType: expected one of JSON, TEXT, BINARY, got '5'"),
        ({"data": "a", "contentType": ["TEXT"]}, "reply.contentType: expected one of JSON, TEXT, BINARY, got \"['TEXT']\""),
        ({"data": "?", "contentType": "BINARY"}, "reply.data: expected base64 for BINARY"),
        ({"data": 5, "contentType": "BINARY"}, "reply.data: expected a list of bytes, or base64"),
        ({"data": 5, "contentType": "TEXT"}, "reply.data: expected a text"),
        ({"data": [256]}, "reply.data[0]: expected a byte, got '256'"),
        ({"data": [0, 1.5]}, "reply.data[1]: expected a byte, got '1.5'"),
        ({"data": [True]}, "reply.data[0]: expected a byte, got 'True'"),
        ({"data": "x" * (MAX_REPLY + 1)}, f"reply.data: expected at most {MAX_REPLY} bytes, got {MAX_REPLY + 1}"),
        ({"data": "x", "body": 1}, "reply.body: expected contentType, data or topic"),
        ({"data": "x", "topic": "a\x00"}, "reply.topic: expected a text of at most 255 characters"),
        ({"data": "x", "topic": 1}, "reply.topic: expected a text of at most 255 characters"),
    ],
)  # fmt: skip
def test_a_reply_that_breaks_a_rule_names_the_place(value, says):
    with pytest.raises(AsideRefused) as refused:
        reply_of(value, "reply")
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([], "session: expected an object of facts"),
        ({"a": {}}, "session.a: expected a number, text or boolean"),
        ({"": 1}, "session: expected another name for a fact than ''"),
        ({"rejected": "no"}, "session: expected another name for a fact than 'rejected'"),
        ({"identityType": "psk"}, "session: expected another name for a fact than 'identityType'"),
        ({"simulated": True}, "session: expected another name for a fact than 'simulated'"),
        ({"identity": ""}, "session.identity: expected 1 to 255 characters"),
        ({"identity": "a\n"}, "session.identity: expected 1 to 255 characters"),
        ({"identity": True}, "session.identity: expected 1 to 255 characters"),
        ({str(n): 1 for n in range(33)}, "session: expected at most 32 facts of a connection, got 33"),
        ({"a": "x" * 5000}, "session: expected at most 4096 bytes of facts, got 5008"),
    ],
)
def test_facts_that_break_a_rule_name_the_place(value, says):
    with pytest.raises(OutputRefused) as refused:
        check({"session": value}, 0, says=BOTH)
    assert str(refused.value) == says


def test_facts_are_scalars_and_an_identity_is_a_text():
    given_ = {"identity": 860000000000017, "fw": "1.2", "n": 10**30, "old": None}
    assert facts_of(given_, "session") == {"identity": "860000000000017", "fw": "1.2", "n": 1e30, "old": None}


def test_what_is_said_stands_beside_a_device_or_alone():
    beside = check({**NAMED, "telemetry": {"t": 1}, "reply": {"data": "ok"}}, 0, says=BOTH)
    assert len(beside.outputs) == 1 and beside.aside.reply == DeviceReply(b"ok", "TEXT")
    alone = check({"reply": {"data": "ok"}, "session": {"identity": "x"}}, 0, says=BOTH)
    assert (alone.outputs, alone.aside.facts) == ([], {"identity": "x"})
    with_receipt = check({"reply": {"data": "ok"}, "downlinkAck": {"id": "1"}}, 0, says=BOTH)
    assert (with_receipt.outputs, len(with_receipt.acks)) == ([], 1)
    nothing = check({"reply": None, "session": None}, 0, says=BOTH)
    assert (nothing.outputs, nothing.aside) == ([], None)


def test_with_telemetry_there_must_be_a_name():
    with pytest.raises(OutputRefused, match="deviceName: expected a text, it is missing"):
        check({"reply": {"data": "ok"}, "telemetry": {"t": 1}}, 0, says=BOTH)


def test_a_message_has_one_reply_and_the_facts_of_all_its_objects():
    made = check(
        [{**NAMED, "session": {"a": 1}}, {"session": {"b": 2}, "reply": {"data": "x"}}], 0, says=BOTH
    )
    assert (made.aside.facts, made.aside.reply.payload) == ({"a": 1, "b": 2}, b"x")
    with pytest.raises(
        OutputRefused, match=r"\[1\].reply: expected one reply to a message, got a second one"
    ):
        check([{"reply": {"data": "x"}}, {"reply": {"data": "y"}}], 0, says=BOTH)


def test_a_script_that_does_not_name_it_says_nothing():
    made = check({**NAMED, "reply": {"data": "x"}, "session": {"identity": "somebody else"}}, 0)
    assert made.aside is None
    assert made.warnings == ["reply, session: not part of a converter's output, ignored"]


@pytest.mark.parametrize(
    ("dialect", "script", "said"),
    [
        ("thingsboard-body", "return {reply: {data: 'ok'}}", {"reply"}),
        ("thingsboard", "function Decoder(p, m) { var r = {}; r['session'] = {}; return r; }", {"session"}),
        ("thingsboard", "function Decoder(p, m) { return decodeToJson(p); }", set()),
        ("thingsboard", "function Decoder(p, m) { var replyTo = sessions = 1; }", set()),
        ("ts013", "function decodeUplink(i) { return {data: {}, reply: {data: [1]}} }", {"reply"}),
        ("ttn-v2", "function Decoder(bytes, port) { return {reply: 1} }", set()),
        ("lobaro", "function Parse(input) { return {session: 1} }", set()),
    ],
)
def test_a_script_s_text_tells_what_it_may_say(dialect, script, said):
    assert names(version(script, dialect=dialect)) == said
    assert names(version(script, dialect=dialect, direction="DOWNLINK")) == set()


def test_in_ts013_what_is_said_stands_beside_the_data():
    result = {"data": {"t": 1}, "reply": {"data": [1]}, "session": {"identity": "7"}}
    made, warnings = interpret("ts013", result, {"devEui": "e"}, DeviceTemplate())
    checked = check(made, 0, "flatten", says=BOTH)
    assert warnings == [] and len(checked.outputs) == 1
    assert (checked.aside.reply.payload, checked.aside.facts) == (b"\x01", {"identity": "7"})
    alone, _ = interpret("ts013", {"reply": {"data": [1]}}, {}, DeviceTemplate())
    assert check(alone, 0, says=BOTH).outputs == []


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["reply", "session", "data", "contentType", "topic", "identity", "0", "type"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_is_said_is_bounded_or_refused(value):
    try:
        made = check(value, 0, "flatten", says=BOTH)
    except OutputRefused:
        return
    conversion = Conversion(aside=made.aside)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(conversion), type=Conversion) == conversion
    if made.aside is not None and made.aside.reply is not None:
        assert len(made.aside.reply.payload) <= MAX_REPLY


@pytest.mark.parametrize("engine", ["duktape", "quickjs"])
@pytest.mark.parametrize(
    ("dialect", "script"),
    [
        ("thingsboard-body", "return {reply: {data: [payload[0], 2]}, session: {identity: metadata.who}}"),
        ("thingsboard", "function Decoder(p, m) { return {reply: {data: new Uint8Array([p[0], 2])}, session: {identity: m.who}}; }"),
        ("thingsboard", "function Decoder(p, m) { return {reply: {data: Buffer.from([p[0], 2])}, session: {identity: m.who}}; }"),
        ("ts013", "function decodeUplink(i) { return {data: null, reply: {data: [i.bytes[0], 2]}, session: {identity: 'w'}}; }"),
    ],
)  # fmt: skip
@pytest_twisted.ensureDeferred
async def test_every_dialect_with_a_place_for_it_says_it(service, engine, dialect, script):
    made = version(script, dialect=dialect, engine=engine)
    (conversion,) = await convert(service, job(made, b"\x01", b'{"who":"w"}'))
    assert conversion.error is None and conversion.outputs == ()
    assert conversion.aside.reply == DeviceReply(b"\x01\x02", "BINARY")
    assert conversion.aside.facts == {"identity": "w"}


@pytest_twisted.ensureDeferred
async def test_a_trial_shows_what_would_be_said(service):
    script = "return {reply: {contentType: 'BINARY', data: 'AQI=', topic: 't'}, session: {identity: 'w'}}"
    told = msgspec.to_builtins(await service.test(version(script), b"", {}, 0))
    assert told["reply"] == {"contentType": "BINARY", "hex": base64.b64decode("AQI=").hex(), "topic": "t"}
    assert told["session"] == {"identity": "w"} and told["error"] is None
    assert json.dumps(told)


@pytest_twisted.ensureDeferred
async def test_the_example_of_the_page_answers_what_it_says(service):
    page = (Path(__file__).parents[3] / "docs" / "replies.md").read_text()
    script = re.search("```js\n(.*?)```", page, re.DOTALL)[1]
    payload, metadata, answer = re.search("Payload `(.*?)`, metadata `(.*?)`: .* `(.*?)`", page).groups()
    made = version(script, dialect="thingsboard")
    (conversion,) = await convert(service, job(made, bytes.fromhex(payload), metadata.encode()))
    assert conversion.aside.reply.payload.hex() == answer


@pytest_twisted.ensureDeferred
async def test_the_page_s_login_names_what_follows(service):
    page = (Path(__file__).parents[3] / "docs" / "replies.md").read_text()
    script = re.findall("```js\n(.*?)```", page, re.DOTALL)[1]
    made = version(script, dialect="thingsboard")
    login, level = await convert(service, job(made, b"LOGIN 867"), job(made, b"L 5", b'{"identity":"867"}'))
    assert (login.aside.facts, login.aside.reply.payload) == ({"identity": "867"}, b"OK\n")
    assert [output.device_name for output in level.outputs] == ["867"]
