import json

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from tests.peers.mosquitto import Mosquitto
from tests.peers.patience import HANGS

from .brokers import StrictBroker
from .delivering import Delivering, numbers, per_device, until


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "mosquitto") as broker:
        yield broker


@pytest.fixture(params=["iotgw", "paho"])
def settings(request):
    """What follows holds for both engines: it is the contract of an engine on a connection."""
    return lambda broker, **more: {"host": "127.0.0.1", "port": broker.port, "engine": request.param, **more}


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
@ensureDeferred
async def test_messages_arrive_once_and_in_order(broker, settings, version, qos):
    subscriber = await deferToThread(broker.subscribe, "iotgw/#", 2)
    configuration = settings(broker, version=version, qos=qos)
    async with Delivering("mqtt", configuration=configuration) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        world.store(*["a", "b", "c"] * 20)
        stats = await world.settled()
        assert stats["delivered"] == 60
        await until(lambda: len(subscriber.messages) >= 60)
        topics = {topic for topic, _ in subscriber.messages}
        assert topics == {f"iotgw/{name}/telemetry" for name in "abc"}
        arrived = numbers(subscriber.documents)
        assert len(arrived) == 60
        assert all(line == sorted(line) for line in per_device(arrived).values())
        first = subscriber.documents[0]
        assert (first["id"], first["datasource"], first["deviceType"]) == ("E-1", "my-source", "default")
    subscriber.close()


@ensureDeferred
async def test_a_broker_that_is_killed_and_comes_back_gets_everything(broker, settings):
    async with Delivering("mqtt", configuration=settings(broker)) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        broker.kill()
        await until(lambda: world.stats()["target"]["state"] == "connecting")
        world.store(*["a", "b"] * 100)
        await until(lambda: world.stats()["state"] == "unavailable")
        broker.start()
        subscriber = await deferToThread(broker.subscribe, "iotgw/#")
        world.store(*["a", "b"] * 5)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (210, 0)
        # the subscription may have come after the first ones; nothing that came is out of order
        await until(lambda: len(subscriber.messages) >= 10)
        assert all(line == sorted(line) for line in per_device(numbers(subscriber.documents)).values())
        subscriber.close()


@ensureDeferred
async def test_a_wrong_password_is_said_and_costs_no_message(tmp_path, settings):
    passwords = tmp_path / "passwords"
    passwords.write_text("")
    passwords.chmod(0o600)
    config = f"password_file {passwords}\nallow_anonymous false\n"
    with Mosquitto(tmp_path / "mosquitto", config=config) as broker:
        configuration = settings(broker, username="u", password="p")
        async with Delivering("mqtt", configuration=configuration) as world:
            world.store("a")
            await until(lambda: "not authorized" in (world.stats()["lastError"] or ""))
            assert world.stats()["waiting"] == 1
            result = await world.service.check("i1")
            assert not result["ok"]
            assert "not authorized" in result["detail"]


@ensureDeferred
async def test_check_connects_and_delivers_nothing(broker, settings):
    async with Delivering("mqtt", configuration=settings(broker)) as world:
        assert (await world.service.check("i1"))["ok"]


@ensureDeferred
async def test_commands_from_a_topic_reach_the_downlink_queue(broker, settings):
    configuration = settings(broker, commandTopic="iotgw/+/command")
    async with Delivering("mqtt", configuration=configuration) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        async with Delivering(
            "mqtt",
            configuration=settings(broker, topic="iotgw/{{ deviceName }}/command"),
            format="template",
            template='{"msg":{"n":{{ values.n }}}}',
        ) as sender:
            sender.store("sn/1")
            await until(lambda: world.downlinks)
        ((tenant, device, item),) = world.downlinks
        assert (tenant, device, item.msg) == ("default", "sn_1", {"n": 1})


@ensureDeferred
async def test_a_broker_that_freezes_is_given_up_on_and_nothing_is_lost(broker, settings, monkeypatch):
    monkeypatch.setattr("iotgw.connect.mqtt_connection.SILENCE", 1.0)
    async with Delivering("mqtt", configuration=settings(broker)) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        broker.freeze()
        world.store(*"abc")
        await until(lambda: "acknowledged nothing" in (world.stats()["lastError"] or ""))
        broker.thaw()
        assert (await world.settled())["delivered"] == 3


@ensureDeferred
async def test_a_will_is_published_when_the_gateway_dies(broker, settings):
    subscriber = await deferToThread(broker.subscribe, "gone")
    configuration = settings(broker, will={"topic": "gone", "payload": '{"gone":true}', "qos": 1})
    async with Delivering("mqtt", configuration=configuration) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        world.service.entry("i1").target._client.up.transport.abortConnection()
        await until(lambda: subscriber.messages)
    subscriber.close()


@ensureDeferred
async def test_an_idempotency_key_goes_with_a_message_of_mqtt_5(broker, settings):
    import subprocess

    child = subprocess.Popen(
        ["stdbuf", "-oL", "mosquitto_sub", "-V", "5", "-p", str(broker.port), "-t", "#", "-C", "1", "-F", "%P|%t"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    async with Delivering("mqtt", configuration=settings(broker, version="5", retain=True)) as world:
        world.store("a")
        await world.settled()
        out, _ = await deferToThread(child.communicate, timeout=HANGS)
        assert out.strip() == "idempotency-key:E-1.1|iotgw/a/telemetry"


class Forgetful(Protocol):
    """A broker that takes messages and breaks the first connection instead of acknowledging them."""

    def connectionMade(self):
        self.factory.connections.append([])
        self._buffer = b""

    def dataReceived(self, data):
        self._buffer += data
        while len(self._buffer) > 1 and len(self._buffer) >= 2 + self._buffer[1]:  # packets under 128 bytes
            size = 2 + self._buffer[1]
            self._packet(self._buffer[0], self._buffer[2:size])
            self._buffer = self._buffer[size:]

    def _packet(self, first, body):
        if first == 0x10:
            self.transport.write(b"\x20\x02\x00\x00")
        elif first >> 4 == 3:
            topic = 2 + int.from_bytes(body[:2], "big")
            received = self.factory.connections[-1]
            received.append(body[topic + 2 :])
            if len(self.factory.connections) > 1:
                self.transport.write(b"\x40\x02" + body[topic : topic + 2])
            elif len(received) == 3:
                self.transport.abortConnection()


@ensureDeferred
async def test_what_was_not_acknowledged_is_sent_again(settings):
    factory = Factory.forProtocol(Forgetful)
    factory.connections = []
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    port.port = port.getHost().port
    more = {"format": "template", "template": "{{ deviceName }}"}
    try:
        async with Delivering("mqtt", configuration=settings(port), **more) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            world.store("a", "b", "c")
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (3, 0)
            assert [sorted(received) for received in factory.connections] == [[b"a", b"b", b"c"]] * 2
    finally:
        await port.stopListening()


@ensureDeferred
async def test_a_broker_that_takes_one_at_a_time_gets_one_at_a_time(settings):
    async with StrictBroker(receive_maximum=1) as broker:
        async with Delivering("mqtt", configuration=settings(broker, version="5")) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            world.store(*"abcd" * 10)
            beside = world.service.test("i1")
            stats = await world.settled()
            assert "no more unacknowledged" in (await beside)["detail"]
            assert (stats["delivered"], stats["dead"]) == (40, 0)
        assert (len(broker.received), broker.overstepped) == (40, [])


@ensureDeferred
async def test_what_is_larger_than_the_broker_takes_is_dead_and_what_just_fits_is_not(settings):
    async with StrictBroker(largest=300) as broker:
        how = {"format": "template", "template": "{{ values.text }}"}
        async with Delivering("mqtt", configuration=settings(broker, version="5"), **how) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            for size in range(200, 300, 4):
                body = '{"deviceName":"a","deviceType":"t","attributes":{},"telemetry":[{"ts":1,"values":{"text":"%s"}}]}'
                world.store("a", body=(body % ("x" * size)).encode())
            stats = await world.settled()
            assert stats["dead"] > 5
            assert stats["delivered"] + stats["dead"] == 25
        assert broker.overstepped == []
        assert max(size for _, _, size in broker.received) > 290


@ensureDeferred
async def test_a_broker_that_keeps_nothing_is_not_asked_to(settings):
    async with StrictBroker(retain=False) as broker:
        async with Delivering("mqtt", configuration=settings(broker, version="5", retain=True)) as world:
            world.store(*"ab")
            assert (await world.settled())["delivered"] == 2
        assert broker.overstepped == []


@ensureDeferred
async def test_a_refusal_for_one_device_costs_only_that_one(settings):
    """0x99, payload format invalid, is the message's fault."""
    async with StrictBroker(refuse=lambda topic: 0x99 if "/bad/" in topic else 0) as broker:
        async with Delivering("mqtt", configuration=settings(broker, version="5")) as world:
            world.store(*["good", "bad", "fine"] * 10)
            stats = await world.settled()
            assert (stats["delivered"], stats["dead"]) == (20, 10)
            letters = await world.service.dead_letters("i1")
            assert {letter.record.device_name for letter in letters} == {"bad"}
            assert letters[0].error == "payload format invalid"
        assert len(broker.received) == 20


@ensureDeferred
async def test_a_broker_that_is_over_its_quota_is_waited_for(settings):
    """0x97 is nobody's fault: as a 503 is."""
    codes = [0x97] * 8
    async with (
        StrictBroker(refuse=lambda topic: codes.pop() if codes else 0) as broker,
        Delivering("mqtt", configuration=settings(broker, version="5")) as world,
    ):
        world.store(*"abcd" * 10)
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (40, 0)
        assert stats["lastError"] == "quota exceeded"
        lines = per_device(numbers(json.loads(payload) for _, payload, _ in broker.received))
        assert all(line == sorted(line) for line in lines.values())


class Scribbler(Protocol):
    """Says yes to CONNECT; what it says to the first message is not MQTT, or not for what was sent."""

    def dataReceived(self, data):
        if data[:1] == b"\x10":
            self.transport.write(b"\x20\x03\x00\x00\x00")
        elif data[0] >> 4 == 3:
            scribbles = self.factory.scribbles
            if scribbles:
                self.transport.write(scribbles.pop(0))
                return
            # one QoS 1 PUBLISH with short lengths: its identifier stands behind the topic
            size = data[2 if data[1] < 128 else 3 :]
            place = 2 + int.from_bytes(size[:2], "big")
            self.transport.write(b"\x40\x02" + size[place : place + 2])


@pytest.mark.parametrize(
    "scribble",
    [
        b"\x40\x00", b"\x40\x01\x00", b"\x40\xff\xff\xff\xff\x01", b"\xff" * 50, b"\x20\x00", b"\x90\x00", b"\x62\x02\xff\xff",
        b"\x30\x04\x00\x01\xff\x00", b"\x40\x04\x00\x01\x87\xff", b"\xe0\x02\x8b\xff", b"\x30\x00", b"\x40\x03\x00\x01\xb2",
    ],
    ids=bytes.hex,
)  # fmt: skip
@ensureDeferred
async def test_nothing_that_a_broker_says_wedges_the_messages_behind_it(settings, scribble, monkeypatch):
    monkeypatch.setattr(
        "iotgw.connect.mqtt_connection.SILENCE", 0.5
    )  # some of it is MQTT, and acknowledges nothing
    factory = Factory.forProtocol(Scribbler)
    factory.noisy = False
    factory.scribbles = [scribble] * 3
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    there = type("There", (), {"port": port.getHost().port})
    try:
        async with Delivering("mqtt", configuration=settings(there, version="5", window=1)) as world:
            await until(lambda: world.stats()["target"]["state"] == "connected")
            world.store(*"abcd")
            await until(lambda: not factory.scribbles)
            world.store(*"ef")
            stats = await world.settled()
            assert (stats["delivered"] + stats["dead"], stats["inflight"]) == (6, 0)
    finally:
        await port.stopListening()


@ensureDeferred
async def test_a_name_that_would_end_the_connection_is_dead_and_costs_the_others_nothing(broker, settings):
    async with Delivering("mqtt", configuration=settings(broker)) as world:
        await until(lambda: world.stats()["target"]["state"] == "connected")
        world.store("a", "b\x01", "c\x7f", "d\ufffe", "e")
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"]) == (2, 3)
        letters = await world.service.dead_letters("i1")
        assert [letter.error[-6:] for letter in letters] == ["U+0001", "U+007F", "U+FFFE"]
