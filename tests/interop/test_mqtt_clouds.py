"""AWS IoT and IBM Watson IoT Platform as presets of ``mqtt``: a real mosquitto with their topics, and what AWS's services say there."""

from __future__ import annotations

import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.connect.mqtt_broker import BrokerSettings, endpoint
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_engines import engine_maker
from iotgw.connect.mqtt_owner import Greeting, MqttOwner, Topics
from iotgw.core.model import Downlink
from iotgw.wire import mqtt
from tests.certificates import Authority
from tests.peers.alpn_front import AlpnFront
from tests.peers.mosquitto import Mosquitto
from tests.peers.process import Process, accepts, find, free_port

from .delivering import until
from .test_mqtt_source import Source, publish

UPDATE = "$aws/things/pump-1/shadow/update"


def item(number, payload, **metadata):
    return Downlink(f"dl{number:016d}", "pump-1", payload, metadata=metadata)


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Mosquitto(tmp_path_factory.mktemp("broker")) as made:
        yield made


class ShadowService(MqttOwner):
    """Answers updates as AWS's Device Shadow service does: one thing's shadow is over its limit."""

    def __init__(self, port):
        self.up = False
        way = endpoint(BrokerSettings(host="127.0.0.1", port=port), Connector(reactor), reactor, 10.0)
        engine = engine_maker("iotgw", mqtt.V311, 100)
        self.client = MqttClient(
            reactor, BrokerAccess(way, Greeting("shadows"), engine, lambda failures: 1.0), self
        )

    async def __aenter__(self):
        self.client.start()
        await until(lambda: self.up)
        return self

    async def __aexit__(self, *exc):
        await self.client.stop()

    def on_greeted(self, limits, reader):
        return Topics([("$aws/things/+/shadow/update", 1), ("$aws/things/+/shadow/name/+/update", 1)])

    def on_up(self, limits):
        self.up = True

    def on_message(self, message):
        asked = json.loads(message.payload)
        if "full" in message.topic:
            answer, body = (
                "rejected",
                {"code": 413, "message": "The payload exceeds the maximum size allowed"},
            )
        else:
            answer, body = "accepted", {"state": asked["state"], "version": 2, "timestamp": 1795262400}
        body["clientToken"] = asked["clientToken"]
        self.client.up.say(f"{message.topic}/{answer}".encode(), json.dumps(body).encode())


AWS = {
    "topics": ["fleet/+/data", "$aws/things/+/shadow/update/accepted", "$aws/things/+/shadow/name/+/update/+",
               "$aws/events/presence/#"],
    "preset": "aws-iot", "identityLevel": 2, "downlinkTopic": "fleet/{identity}/in",
}  # fmt: skip


def plain(broker, **more):
    return {"host": f"mqtt://127.0.0.1:{broker.port}", "port": None, **more}


@ensureDeferred
async def test_aws_topics_are_readings_events_and_receipts(broker):
    async with ShadowService(broker.port), Source(broker, **plain(broker, **AWS, clientId="aws")) as it:
        await publish(broker, "fleet/pump-1/data", "900", "-q", "1")
        await publish(broker, f"{UPDATE}/accepted", '{"state": {"reported": {"rpm": 901}}}')
        await publish(broker, "$aws/events/presence/disconnected/pump-1", '{"clientId": "pump-1"}')
        await until(lambda: len(it.payloads) == 2 and it.intake.events[-1][0] == "network.disconnected")
        assert it.payloads == [b"900", b'{"rpm":901}']
        assert [facts["identity"] for _, facts in it.intake.received] == ["pump-1", "pump-1"]
        with await deferToThread(broker.subscribe, "fleet/+/in") as device:
            it.intake.known = {item(1, b"").id, item(2, b"").id}
            about = it.intake.received[0][1]
            it.source.push(
                about, (item(1, b'{"rpm": 1}', shadow=True), item(2, b"{}", shadow="full"), item(3, b"on"))
            )
            await until(lambda: len(it.intake.outcomes) == 6 and device.messages)
            assert device.messages == [("fleet/pump-1/in", "on")]
        said = dict(it.intake.outcomes)  # the last word on each
        assert said == {
            item(1, b"").id: "confirmed as sent",
            item(
                2, b""
            ).id: "refused by the network: AWS IoT: 413 The payload exceeds the maximum size allowed",
            item(3, b"").id: "delivered",
        }


@ensureDeferred
async def test_port_443_of_aws_is_reached_with_certificate_name_and_protocol(broker):
    ca = Authority()
    own = ca.issue("gateway")
    async with AlpnFront(broker.port, ca, "localhost") as front:
        tls = {"ca": ca.pem().decode(), "certificate": own.pem().decode(), "key": own.key_pem().decode()}
        settings = {"host": "localhost", "port": front.port, "tls": tls, "alpn": "x-amzn-mqtt-ca"}
        async with Source(broker, **{**AWS, **settings, "clientId": "aws443"}) as it:
            await publish(broker, "fleet/pump-1/data", "900", "-q", "1")
            await until(lambda: it.payloads)
        assert front.seen == [(b"x-amzn-mqtt-ca", b"localhost", "gateway")]


@ensureDeferred
async def test_a_port_that_serves_another_protocol_is_told_of(broker, tmp_path):
    ca = Authority()
    certificate, key = ca.issue("front", hosts=["127.0.0.1"]).write(tmp_path, "front")
    port = free_port()
    command = [find("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-cert", certificate, "-key", key,
               "-alpn", "x-amzn-mqtt-ca", "-quiet"]  # fmt: skip
    server = Process(command, tmp_path / "s_server.log")
    server.ready = lambda: accepts(port)
    with server:
        settings = {
            "host": f"mqtts://127.0.0.1:{port}",
            "port": None,
            "tls": {"ca": ca.pem().decode()},
            "alpn": "mqtt",
        }
        wrong = Source(broker, **{**AWS, **settings})
        await wrong.source.start()
        try:
            await until(lambda: wrong.intake.events)
        finally:
            await wrong.source.stop()
    assert "set alpn to the broker's" in wrong.intake.events[0][1]


@ensureDeferred
async def test_watson_s_topics_are_readings_events_and_commands(broker):
    settings = {"topics": [], "preset": "ibm-watson", "clientId": "a:org:gateway"}
    async with Source(broker, **plain(broker, **settings)) as it:
        await publish(broker, "iot-2/type/thermo/id/t-7/evt/status/fmt/json", '{"t": 20}', "-q", "1")
        await publish(broker, "iot-2/type/thermo/id/t-7/mon", '{"Action": "Disconnect"}')
        await until(lambda: it.payloads and it.intake.events[-1][0] == "network.disconnected")
        facts = it.intake.received[0][1]
        assert (facts["identity"], facts["deviceName"], facts["event"]) == ("thermo:t-7", "t-7", "status")
        with await deferToThread(broker.subscribe, "iot-2/type/+/id/+/cmd/#") as device:
            it.source.push(facts, (item(1, b"on", command="light"),))
            await until(
                lambda: device.messages and it.intake.outcomes[-1:] == [(item(1, b"").id, "delivered")]
            )
            assert device.messages == [("iot-2/type/thermo/id/t-7/cmd/light/fmt/bin", "on")]
