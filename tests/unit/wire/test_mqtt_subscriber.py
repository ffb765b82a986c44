"""The MQTT engine in a subscriber's hands: it acknowledges what was taken, when it was taken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire import mqtt

YES = b"\x20\x02\x00\x00"
YES_AGAIN = b"\x20\x02\x01\x00"


def publish(qos: int, id_: int, payload: bytes = b"x", duplicate: bool = False) -> bytes:
    body = b"\x00\x01t" + (id_.to_bytes(2, "big") if qos else b"") + payload
    return bytes((0x30 | qos << 1 | duplicate << 3, len(body))) + body


def connected(received: set[int], hold: bool = True, greeting: bytes = YES) -> mqtt.MqttSession:
    session = mqtt.MqttSession(hold=hold, received=received)
    session.receive(greeting)
    return session


@pytest.mark.parametrize(("qos", "ack"), [(1, b"\x40\x02\x00\x07"), (2, b"\x50\x02\x00\x07")])
def test_nothing_is_acknowledged_before_it_is_taken(qos, ack):
    session = connected(set())
    (message,) = session.receive(publish(qos, 7))
    assert session.to_send() == b""
    assert session.acknowledge(message) == ack


def test_qos_0_needs_no_acknowledgement():
    session = connected(set())
    (message,) = session.receive(publish(0, 0))
    assert session.acknowledge(message) == b""


def test_without_hold_the_engine_acknowledges_by_itself():
    session = connected(set(), hold=False)
    session.receive(publish(1, 7))
    assert session.to_send() == b"\x40\x02\x00\x07"


def test_a_qos_2_message_that_was_taken_comes_once_even_over_a_new_connection():
    received: set[int] = set()
    first = connected(received)
    (message,) = first.receive(publish(2, 7))
    first.acknowledge(message)
    # the connection broke before PUBREC arrived: the broker sends it again
    second = connected(received, greeting=YES_AGAIN)
    assert second.receive(publish(2, 7, duplicate=True)) == []
    assert second.to_send() == b"\x50\x02\x00\x07"
    second.receive(b"\x62\x02\x00\x07")
    assert second.to_send() == b"\x70\x02\x00\x07"
    # the identifier is free again
    assert len(second.receive(publish(2, 7))) == 1


def test_a_broker_that_forgot_the_session_uses_identifiers_anew():
    received = {7}
    session = connected(received, greeting=YES)
    assert len(session.receive(publish(2, 7))) == 1


def test_a_kept_session_is_asked_for_with_its_expiry():
    data = mqtt.MqttSession(mqtt.V5).connect("c", clean=False, expiry=86400)
    assert data[9] & 0x02 == 0 and b"\x11\x00\x01\x51\x80" in data
    assert mqtt.MqttSession().connect("c")[9] & 0x02


@given(st.lists(st.binary(max_size=60), max_size=5), st.booleans(), st.sampled_from([mqtt.V311, mqtt.V5]))
def test_no_bytes_make_it_raise_anything_but_a_protocol_error(pieces, greeted, version):
    session = mqtt.MqttSession(version, hold=True)
    with contextlib.suppress(ProtocolError):
        if greeted:
            session.receive(YES + b"\x00" if version == mqtt.V5 else YES)
        for piece in pieces:
            for event in session.receive(piece):
                if isinstance(event, mqtt.Arrived):
                    session.acknowledge(event)


@pytest.mark.parametrize(
    ("version", "greeting", "sent", "answer", "codes"),
    [
        (mqtt.V311, YES, b"\xa2\x08\x00\x01\x00\x01a\x00\x01b", b"\xb0\x02\x00\x01", []),
        (
            mqtt.V5,
            b"\x20\x03\x00\x00\x00",
            b"\xa2\x09\x00\x01\x00\x00\x01a\x00\x01b",
            b"\xb0\x05\x00\x01\x00\x00\x87",
            [0, 0x87],
        ),
    ],
)
def test_filters_are_unsubscribed_and_the_answer_has_a_code_for_each(version, greeting, sent, answer, codes):
    session = mqtt.MqttSession(version)
    session.receive(greeting)
    assert session.unsubscribe(["a", "b"]) == (1, sent)
    assert session.receive(answer) == [mqtt.Unsubscribed(1, codes)]


def test_the_server_s_word_on_how_long_it_keeps_the_session_is_read():
    session = mqtt.MqttSession(mqtt.V5)
    (said,) = session.receive(b"\x20\x08\x01\x00\x05\x11\x00\x00\x00\x07")
    assert (said.session_present, said.session_expiry) == (True, 7)
