"""The contract of an MQTT engine, by bytes, for each of them; and what paho's needs of paho."""

import importlib.metadata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from paho.mqtt import client as paho

from iotgw.connect import mqtt_paho
from iotgw.connect.mqtt_engine import NotSent
from iotgw.connect.mqtt_engines import engine_maker
from iotgw.core.errors import ProtocolError, SettingsError
from iotgw.wire import mqtt

ENGINES = ["iotgw", "paho"]
CONNACK = {mqtt.V311: b"\x20\x02\x00\x00", mqtt.V5: b"\x20\x03\x00\x00\x00"}


@pytest.fixture(params=ENGINES)
def name(request):
    return request.param


def connected(name, version=mqtt.V311, most=100, connack=None):
    engine = engine_maker(name, version, most)()
    engine.connect("id")
    (event,) = engine.receive(connack or CONNACK[version])
    assert type(event) is mqtt.Connected
    return engine


def sent(engine, *message):
    id_, data = engine.publish(*message)
    return id_, data + engine.to_send()


@pytest.mark.parametrize("version", [mqtt.V311, mqtt.V5])
def test_connect_says_all_it_was_given(name, version):
    will = mqtt.Will("w", b"gone", 1, True)
    data = engine_maker(name, version, 20)().connect("id", 60, "u", "p", will)
    assert data[0] == 0x10
    assert data[2:12] == b"\x00\x04MQTT" + bytes((version, 0xEE)) + b"\x00\x3c"
    assert data.endswith(b"\x00\x01w\x00\x04gone\x00\x01u\x00\x01p")
    if version == mqtt.V5:  # the limits that we set the server (§3.1.2.11)
        assert b"\x21\x00\x64" in data
        assert b"\x27\x00\x10\x00\x00" in data


def test_qos_0_is_bytes_and_nothing_else(name):
    engine = connected(name)
    assert sent(engine, b"a/b", b"hi", 0, True) == (0, b"\x31\x07\x00\x03a/bhi")
    assert engine.receive(b"\xd0\x00") in ([], [mqtt.Pong()])


def test_qos_1_takes_one_acknowledgement(name):
    engine = connected(name)
    id_, data = sent(engine, b"a/b", b"hi")
    assert data == b"\x32\x09\x00\x03a/b" + id_.to_bytes(2, "big") + b"hi"
    assert engine.receive(b"\x40\x02" + id_.to_bytes(2, "big")) == [mqtt.Acknowledged([id_])]


def test_qos_2_takes_two_rounds(name):
    engine = connected(name)
    id_, _ = sent(engine, b"t", b"x", 2)
    two = id_.to_bytes(2, "big")
    assert engine.receive(b"\x50\x02" + two) == []
    assert engine.to_send() == b"\x62\x02" + two
    assert engine.receive(b"\x70\x02" + two) == [mqtt.Acknowledged([id_])]


def test_acknowledgements_come_in_groups_however_they_are_cut(name):
    engine = connected(name)
    ids = [sent(engine, b"t", b"")[0] for _ in range(5)]
    data = b"".join(b"\x40\x02" + id_.to_bytes(2, "big") for id_ in ids)
    assert engine.receive(data[:7]) == [mqtt.Acknowledged(ids[:1])]
    assert engine.receive(data[7:]) == [mqtt.Acknowledged(ids[1:])]


def test_an_acknowledgement_of_nothing_is_not_passed_on(name):
    assert connected(name).receive(b"\x40\x02\x00\x63") == []


@pytest.mark.parametrize(("qos", "answer"), [(1, 0x40), (2, 0x50)])
def test_a_message_that_the_server_refuses_is_not_taken(name, qos, answer):
    engine = connected(name, mqtt.V5)
    id_, _ = sent(engine, b"t", b"x", qos)
    events = engine.receive(bytes((answer, 3)) + id_.to_bytes(2, "big") + b"\x87")
    assert events == [mqtt.NotTaken(id_, 0x87, "not authorized")]
    assert engine.to_send() == b""  # no PUBREL for what was refused (§4.3.3)


def test_properties_go_with_the_message(name):
    engine = connected(name, mqtt.V5)
    id_, data = sent(engine, b"t", b"x", 1, False, mqtt.user_property("k", "v"))
    assert data == b"\x32\x0e\x00\x01t" + id_.to_bytes(2, "big") + b"\x07\x26\x00\x01k\x00\x01vx"


def test_the_limits_of_the_server_are_heard(name):
    connack = b"\x20\x10\x00\x00\x0d\x21\x00\x05\x24\x01\x27\x00\x00\x04\x00\x13\x00\x1e"
    engine = engine_maker(name, mqtt.V5, 20)()
    engine.connect("id")
    (event,) = engine.receive(connack)
    assert (event.receive_maximum, event.maximum_qos, event.maximum_packet, event.keepalive) == (
        5,
        1,
        1024,
        30,
    )


@pytest.mark.parametrize(
    ("version", "connack", "said"),
    [
        (mqtt.V311, b"\x20\x02\x00\x04", "bad user name or password"),
        (mqtt.V311, b"\x20\x02\x00\x05", "not authorized"),
        (mqtt.V5, b"\x20\x03\x00\x89\x00", "server busy"),
    ],
)
def test_a_refused_connection_is_an_event(name, version, connack, said):
    engine = engine_maker(name, version, 20)()
    engine.connect("id")
    (event,) = engine.receive(connack)
    assert type(event) is mqtt.Refused
    assert event.reason == said


def test_a_server_that_takes_its_leave_says_why(name):
    (event,) = connected(name, mqtt.V5).receive(b"\xe0\x02\x8e\x00")
    assert event == mqtt.Refused(0x8E, "session taken over")


def test_a_subscription_and_what_arrives_for_it(name):
    engine = connected(name)
    id_, data = engine.subscribe([("c/+", 1)])
    two = id_.to_bytes(2, "big")
    assert data == b"\x82\x08" + two + b"\x00\x03c/+\x01"
    assert engine.receive(b"\x90\x03" + two + b"\x80") == [mqtt.Subscribed(id_, [0x80])]
    (event,) = engine.receive(b"\x32\x08\x00\x03c/a\x00\x09!")
    assert (event.topic, event.payload, event.qos) == ("c/a", b"!", 1)
    assert engine.to_send() == b"\x40\x02\x00\x09"


def test_a_message_of_qos_2_arrives_once(name):
    engine = connected(name)
    message = b"\x34\x06\x00\x01t\x00\x09!"
    events = engine.receive(message) + engine.receive(b"\x3c" + message[1:])
    assert engine.to_send() == b"\x50\x02\x00\x09" * 2
    events += engine.receive(b"\x62\x02\x00\x09")
    assert engine.to_send() == b"\x70\x02\x00\x09"
    assert [(event.topic, event.payload) for event in events] == [("t", b"!")]


def test_ping_and_goodbye(name):
    engine = connected(name)
    assert (engine.ping(), engine.goodbye()) == (b"\xc0\x00", b"\xe0\x00")


@pytest.mark.parametrize(
    "data",
    [
        b"\x30\x05\x00\x09abc",  # a topic longer than its packet
        b"\x32\xff\xff\xff\x7f",  # 256 MiB to come
        b"\x32\xff\xff\xff\xff\x01",  # a length of five bytes
        b"\x30\x04\x00\x02\xff\xff",  # a topic that is no UTF-8
        b"\x40\x01\x00",  # a short acknowledgement
        b"\x00\x00",
        b"\x20\x02\x00\x00",  # a second CONNACK
    ],
    ids=lambda data: data.hex(),
)
def test_malformed_packets_end_the_connection(name, data):
    with pytest.raises(ProtocolError):
        connected(name).receive(data)


def test_a_message_before_connack_ends_the_connection(name):
    engine = engine_maker(name, mqtt.V311, 20)()
    engine.connect("id")
    with pytest.raises(ProtocolError):
        engine.receive(b"\x30\x04\x00\x01t!")


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ENGINES), st.sampled_from([mqtt.V311, mqtt.V5]), st.binary(max_size=60))
def test_nothing_that_a_server_says_raises_anything_else(engine_name, version, data):
    engine = connected(engine_name, version)
    try:
        engine.receive(data)
        engine.to_send()
    except ProtocolError:
        pass


# --- paho's


def test_a_message_beyond_the_most_is_not_taken_until_one_is_done():
    engine = connected("paho", most=2)
    first, _ = (sent(engine, b"t", b"x")[0] for _ in range(2))
    with pytest.raises(NotSent) as raised:
        engine.publish(b"t", b"x")
    assert raised.value.code == 0x97
    assert engine.receive(b"\x40\x02" + first.to_bytes(2, "big")) == [mqtt.Acknowledged([first])]
    assert sent(engine, b"t", b"x")[1]


def test_unfinished_messages_of_a_server_are_bounded():
    engine = connected("paho")
    with pytest.raises(ProtocolError, match="unfinished"):
        for n in range(1, 1000):
            engine.receive(b"\x34\x06\x00\x01t" + n.to_bytes(2, "big") + b"!")
            engine.to_send()


def test_the_installed_paho_is_one_that_the_engine_fits():
    mqtt_paho.require()


@pytest.mark.parametrize("name", mqtt_paho.METHODS)
def test_a_paho_without_a_private_name_is_refused_by_that_name(monkeypatch, name):
    monkeypatch.delattr(paho.Client, name)
    with pytest.raises(SettingsError, match=f"configuration.engine.*Client.{name}"):
        engine_maker("paho", mqtt.V311, 20)


@pytest.mark.parametrize("version", ["2.0.0", "1.6.1", "3.0.0"])
def test_a_paho_of_another_version_is_refused(monkeypatch, version):
    monkeypatch.setattr(mqtt_paho, "version_of", lambda name: version)
    with pytest.raises(SettingsError, match=f">=2.1,<3.*{version}"):
        mqtt_paho.require()
    assert importlib.metadata.version("paho-mqtt")


def test_paho_opens_no_socket_and_starts_no_thread(monkeypatch):
    def never(*args, **more):
        raise AssertionError("paho went to the network")

    for place in (
        "socket.socket",
        "socket.create_connection",
        "socket.getaddrinfo",
        "threading.Thread.start",
    ):
        monkeypatch.setattr(place, never)
    engine = connected("paho", mqtt.V5)
    id_, _ = sent(engine, b"t", b"x")
    assert engine.receive(b"\x40\x02" + id_.to_bytes(2, "big")) == [mqtt.Acknowledged([id_])]
    engine.goodbye()


@pytest.mark.parametrize("version", [mqtt.V311, mqtt.V5])
def test_what_is_held_is_acknowledged_when_it_is_asked_for(name, version):
    engine = engine_maker(name, version, 20, hold=True)()
    engine.connect("id")
    engine.receive(CONNACK[version])
    properties = b"\x00" if version == mqtt.V5 else b""
    body = b"\x00\x01a\x00\x07" + properties + b"hi"
    (message,) = engine.receive(b"\x32" + bytes((len(body),)) + body)
    assert type(message) is mqtt.Arrived and engine.to_send() == b""
    assert engine.acknowledge(message) + engine.to_send() == b"\x40\x02\x00\x07"
