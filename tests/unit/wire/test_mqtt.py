"""Bytes by hand (MQTT 3.1.1 §2-3, MQTT 5.0 §2-3), and paho as the other end of the codec."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.errors import ProtocolError
from iotgw.wire import mqtt

CONNACK = b"\x20\x02\x00\x00"


def connected(version=mqtt.V311, connack=None):
    session = mqtt.MqttSession(version)
    session.receive(connack or (CONNACK if version == mqtt.V311 else b"\x20\x03\x00\x00\x00"))
    return session


def test_connect_of_3_1_1():
    will = mqtt.Will("w", b"gone", 1, True)
    data = mqtt.MqttSession().connect("id", 60, "u", "p", will)
    assert data == (b"\x10\x1d\x00\x04MQTT\x04\xee\x00\x3c\x00\x02id\x00\x01w\x00\x04gone\x00\x01u\x00\x01p")


def test_connect_of_5_carries_its_limits():
    data = mqtt.MqttSession(mqtt.V5).connect("id", 0, receive_maximum=20)
    assert data == b"\x10\x17\x00\x04MQTT\x05\x02\x00\x00\x08\x21\x00\x14\x27\x00\x10\x00\x00\x00\x02id"


def test_publish_qos_1_and_its_acknowledgement():
    session = connected()
    id_, data = session.publish(b"a/b", b"hi")
    assert (id_, data) == (1, b"\x32\x09\x00\x03a/b\x00\x01hi")
    assert session.receive(b"\x40\x02\x00\x01") == [mqtt.Acknowledged([1])]


def test_acknowledgements_come_in_groups_however_they_are_cut():
    session = connected()
    ids = [session.publish(b"t", b"")[0] for _ in range(5)]
    data = b"".join(b"\x40\x02" + id_.to_bytes(2, "big") for id_ in ids)
    assert session.receive(data[:7]) == [mqtt.Acknowledged([1])]
    assert session.receive(data[7:]) == [mqtt.Acknowledged([2, 3, 4, 5])]


def test_an_acknowledgement_of_nothing_is_not_passed_on():
    session = connected()
    assert session.receive(b"\x40\x02\x00\x09") == []


def test_publish_qos_2_takes_two_rounds():
    session = connected()
    id_, _ = session.publish(b"t", b"x", 2)
    assert session.receive(b"\x50\x02\x00\x01") == []
    assert session.to_send() == b"\x62\x02\x00\x01"
    assert session.receive(b"\x70\x02\x00\x01") == [mqtt.Acknowledged([id_])]


def test_publish_of_5_with_properties():
    session = connected(mqtt.V5)
    _, data = session.publish(b"t", b"x", 1, True, mqtt.user_property("k", "v"))
    assert data == b"\x33\x0e\x00\x01t\x00\x01\x07\x26\x00\x01k\x00\x01vx"


def test_a_negative_acknowledgement_of_5():
    session = connected(mqtt.V5)
    session.publish(b"t", b"x")
    assert session.receive(b"\x40\x03\x00\x01\x97") == [mqtt.NotTaken(1, 0x97, "quota exceeded")]


def test_no_matching_subscribers_is_a_success():
    session = connected(mqtt.V5)
    session.publish(b"t", b"x")
    assert session.receive(b"\x40\x03\x00\x01\x10") == [mqtt.Acknowledged([1])]


def test_limits_of_a_server():
    connack = b"\x20\x0f\x00\x00\x0c\x21\x00\x0a\x24\x01\x27\x00\x00\x10\x00\x25\x00"
    (event,) = mqtt.MqttSession(mqtt.V5).receive(connack)
    assert event == mqtt.Connected(
        receive_maximum=10, maximum_qos=1, maximum_packet=4096, retain_available=False
    )


@pytest.mark.parametrize(
    ("version", "data", "reason"),
    [
        (mqtt.V311, b"\x20\x02\x00\x05", "not authorized"),
        (mqtt.V311, b"\x20\x02\x00\x04", "bad user name or password"),
        (mqtt.V5, b"\x20\x03\x00\x86\x00", "bad user name or password"),
    ],
)
def test_refused(version, data, reason):
    (event,) = mqtt.MqttSession(version).receive(data)
    assert isinstance(event, mqtt.Refused)
    assert event.reason == reason


def test_a_message_that_arrives_is_acknowledged():
    session = connected()
    assert session.receive(b"\x32\x07\x00\x01t\x00\x07hi") == [mqtt.Arrived("t", b"hi", 1, False, id=7)]
    assert session.to_send() == b"\x40\x02\x00\x07"


def test_packet_identifiers_in_use_are_passed_over():
    session = connected()
    first = session.publish(b"t", b"")[0]
    for _ in range(65534):
        id_ = session.publish(b"t", b"")[0]
        session.receive(b"\x40\x02" + id_.to_bytes(2, "big"))
    assert session.publish(b"t", b"")[0] != first


@pytest.mark.parametrize("version", [mqtt.V311, mqtt.V5])
def test_after_a_refusal_nothing_more_is_read(version):
    session = mqtt.MqttSession(version)
    refusal = b"\x20\x02\x00\x05"
    (event,) = session.receive(refusal)
    assert event.code == 5
    with pytest.raises(ProtocolError, match="unexpected or short CONNACK"):
        session.receive(refusal * 2)


@pytest.mark.parametrize(
    "data",
    [b"\x40\x02\x00\x01", b"\x20\x02\x00", b"\xff\xff\xff\xff\xff", b"\x20\xff\xff\xff\x7f", b"\x20\x01\x00"],
)
def test_what_is_no_connack_is_refused_or_waited_for(data):
    session = mqtt.MqttSession()
    try:
        assert session.receive(data) == []
    except ProtocolError:
        assert not session.connected


@given(st.binary(max_size=200), st.sampled_from([mqtt.V311, mqtt.V5]))
def test_any_bytes_give_events_or_an_error(data, version):
    try:
        connected(version).receive(data)
        mqtt.MqttSession(version).receive(data)
    except ProtocolError:
        pass


@given(st.integers(0, 268_435_455))
def test_variable_byte_integers_are_the_shortest(value):
    data = mqtt.varint(value)
    assert len(data) == (1 if value < 128 else 2 if value < 16384 else 3 if value < 2097152 else 4)
    assert sum((byte & 127) << 7 * place for place, byte in enumerate(data)) == value
