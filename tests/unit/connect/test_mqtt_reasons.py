"""What an operator is told about a broker that refuses or closes."""

from __future__ import annotations

import pytest
from OpenSSL import SSL
from twisted.internet.interfaces import ISSLTransport
from twisted.python.failure import Failure
from zope.interface import directlyProvides

from iotgw.connect.endpoint import in_words
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_engines import engine_maker
from iotgw.connect.mqtt_owner import Greeting, MqttOwner, Topics
from iotgw.connect.mqtt_reasons import LARGE, SOON
from iotgw.wire import mqtt
from tests.unit.connect.brokers import CONNACK, Broker

CONNACK_5 = b"\x20\x03\x00\x00\x00"
ID = "an id of its own"


class World(MqttOwner):
    def __init__(self, version=mqtt.V311, engine="iotgw", topics=()):
        self.topics = topics
        self.broker = Broker()
        greeting = Greeting("me", version=version)
        way = BrokerAccess(self.broker, greeting, engine_maker(engine, version, 100), lambda failures: 1.0)
        self.client = MqttClient(self.broker.clock, way, self)
        self.client.start()

    def on_greeted(self, limits, reader):
        return Topics(self.topics)

    @property
    def wire(self):
        return self.broker.wire

    @property
    def error(self):
        return self.client.last_error

    def publish(self, qos=1, retain=False, size=1):
        self.client.up.publish([(1, b"t", b"x" * size, b"")], qos, retain)


def property_(key: int, value: str) -> bytes:
    return bytes((key,)) + len(value).to_bytes(2, "big") + value.encode()


def connack(code: int, properties: bytes = b"") -> bytes:
    return bytes((0x20, 3 + len(properties), 0, code, len(properties))) + properties


def disconnect(code: int, properties: bytes = b"") -> bytes:
    return bytes((0xE0, 2 + len(properties), code, len(properties))) + properties


@pytest.mark.parametrize("engine", ["iotgw", "paho"])
@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (b"\x20\x02\x00\x01", 'set version = "5"'),
        (b"\x20\x02\x00\x02", "does not take the client id 'me'"),
        (b"\x20\x02\x00\x03", "It is starting, or overloaded"),
        (b"\x20\x02\x00\x04", "Check username and password"),
        (b"\x20\x02\x00\x05", "what the broker allows the client id 'me'"),
    ],
)
def test_a_refused_greeting_has_advice(engine, said, advice):
    world = World(engine=engine)
    world.wire.say(said)
    assert world.error.startswith("the broker refused: ") and advice in world.error


@pytest.mark.parametrize("engine", ["iotgw", "paho"])
@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (connack(0x84), 'set version = "3.1.1"'),
        (connack(0x86), "Check username and password"),
        (connack(0x87, property_(0x1F, "no such\nuser")), "not authorized (no such user). Check username"),
        (connack(0x9D, property_(0x1C, "b.example:1883")), "It says to use 'b.example:1883': set host"),
        (CONNACK_5 + disconnect(0x8E), f"Another client uses the client id 'me': give each client {ID}"),
        (CONNACK_5 + disconnect(0x8D), "set a shorter keepalive"),
        (
            CONNACK_5 + disconnect(0x95, property_(0x1F, "too big")),
            "packet too large (too big). A packet is larger",
        ),
        (CONNACK_5 + disconnect(0x9A), "switch retain off"),
        (CONNACK_5 + disconnect(0x9B), "set a lower one"),
        (CONNACK_5 + disconnect(0x9C, property_(0x1C, "b")), "It says to use 'b': set host"),
    ],
)
def test_what_an_mqtt_5_broker_says_has_advice(engine, said, advice):
    world = World(mqtt.V5, engine)
    world.wire.say(said)
    assert advice in world.error


@pytest.mark.parametrize(
    ("first", "advice"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "The port speaks TLS: use mqtts://"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "use ws:// or wss:// for MQTT over WebSockets"),
        (
            b"",
            "It closes without an answer to CONNECT: the port may want TLS (mqtts://) or a WebSocket (ws://)",
        ),
    ],
)
def test_a_port_that_is_another_one_than_thought_is_told_of(first, advice):
    world = World()
    if first:
        world.wire.say(first)
    world.wire.lose()
    assert advice in world.error


@pytest.mark.parametrize("engine", ["iotgw", "paho"])
@pytest.mark.parametrize(
    ("publish", "advice"),
    [
        ({"qos": 2}, "It closes after QoS 2 publishes: it may not take QoS 2"),
        ({"size": LARGE}, f"It closes after publishes of more than {LARGE} bytes"),
        ({"retain": True}, "It closes after retained publishes: it may keep no retained messages"),
        ({}, "It closes after publishes: it may not allow their topics"),
    ],
)
def test_a_broker_that_closes_after_a_publish_is_told_of(engine, publish, advice):
    world = World(engine=engine)
    world.wire.say(CONNACK)
    world.publish(**publish)
    world.wire.lose()
    assert world.error.startswith("the connection was lost: ") and advice in world.error


def test_what_was_acknowledged_is_not_blamed():
    world = World()
    world.wire.say(CONNACK)
    world.publish(size=LARGE)
    world.wire.say(b"\x40\x02\x00\x01")
    world.publish()
    world.wire.lose()
    assert "it may not allow their topics" in world.error


@pytest.mark.parametrize(
    ("topics", "advice"),
    [
        ([("a/#", 1), ("b", 1)], "It closes after the subscription to a/#, b: it may not allow it"),
        ([("a/#", 2)], "it may not allow it, or not take QoS 2"),
    ],
)
def test_a_broker_that_closes_instead_of_a_suback_is_told_of(topics, advice):
    world = World(topics=topics)
    world.wire.say(CONNACK)
    world.wire.lose()
    assert advice in world.error


def test_a_client_id_that_two_use_is_told_of_when_it_happened_twice():
    world = World()
    for _ in range(2):
        world.wire.say(CONNACK)
        assert ID not in world.error
        world.wire.lose()
        world.broker.wait(1)
    assert world.error.endswith(f"Another client may use the client id 'me': give each client {ID}")


def test_a_connection_that_lasted_is_nobody_else_s():
    world = World()
    for _ in range(3):
        world.wire.say(CONNACK)
        for _ in range(int(SOON) + 1):
            world.broker.wait(1)
            world.wire.say(b"\xd0\x00")
        world.wire.lose()
        world.broker.wait(1)
    assert ID not in world.error


@pytest.mark.parametrize(
    ("openssl", "advice"),
    [
        ("wrong version number", "The port speaks no TLS: use mqtt://"),
        ("tlsv13 alert certificate required", "set tls.certificate and tls.key"),
        ("sslv3 alert bad certificate", "refuses the client certificate"),
        ("tlsv1 alert unknown ca", "does not trust the client certificate's authority"),
        ("tlsv1 alert no application protocol", "set alpn to the broker's"),
    ],
)
def test_what_openssl_says_has_advice(openssl, advice):
    world = World()
    error = SSL.Error([("SSL routines", "", openssl)])
    assert in_words(Failure(error)) == f"TLS: {openssl}"
    world.wire.lose(error)
    assert world.error == f"the connection was lost: TLS: {openssl}. {world.error.partition('. ')[2]}"
    assert advice in world.error


def test_a_stop_is_no_fault_of_the_broker_s():
    world = World()
    world.client.stop()
    assert "CONNECT" not in world.error


@pytest.mark.parametrize(
    ("is_tls", "advice"), [(False, "may want TLS (mqtts://) or a WebSocket"), (True, "may speak no TLS")]
)
def test_a_port_that_says_nothing_is_told_of(is_tls, advice):
    """mosquitto, for one, waits when a port without TLS is greeted in TLS."""
    world = World()
    if is_tls:
        directlyProvides(world.wire, ISSLTransport)
        world.wire.getPeerCertificate = lambda: None
        world.wire.unregisterProducer()
        world.client._current.connectionMade()
    world.broker.wait(17)
    assert world.wire.disconnected or len(world.broker.wires) > 1
    assert (
        world.error.startswith("the broker accepted the connection but did not answer")
        and advice in world.error
    )
