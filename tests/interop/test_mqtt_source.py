"""The mqtt datasource against a real mosquitto."""

from __future__ import annotations

import subprocess

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.core.model import Status
from iotgw.datasources.mqtt.settings import MqttSourceSettings
from iotgw.datasources.mqtt.source_type import MqttSourceType
from iotgw.testing import FakeIntake
from iotgw.testing import datasource_context as context
from tests.certificates import Authority
from tests.peers.mosquitto import Mosquitto
from tests.peers.patience import HANGS
from tests.peers.process import find

from .delivering import until


@pytest.fixture
def broker(tmp_path):
    with Mosquitto(tmp_path / "broker") as made:
        yield made


def publish(broker, topic, payload, *more):
    """In a thread: the reactor goes on."""
    command = [find("mosquitto_pub"), "-p", str(broker.port), "-t", topic, "-m", payload, *more]
    return deferToThread(subprocess.run, command, check=True, timeout=HANGS)


class Source:
    def __init__(self, broker, **settings):
        self.intake = FakeIntake()
        settings = {"host": "127.0.0.1", "port": broker.port, "topics": ["devices/+/up"], **settings}
        self.source = MqttSourceType(reactor, Connector(reactor)).build(
            msgspec.convert(settings, MqttSourceSettings), context(self.intake, reactor)
        )

    async def __aenter__(self):
        await self.source.start()
        await until(lambda: self.source.is_connected)
        return self

    async def __aexit__(self, *exc):
        await self.source.stop()

    @property
    def payloads(self):
        return [payload for payload, _ in self.intake.received]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest_twisted.ensureDeferred
async def test_messages_of_each_quality_of_service_arrive_once(broker, version, qos):
    async with Source(
        broker, version=version, qos=qos, identityLevel=2, downlinkTopic="devices/{identity}/down"
    ) as it:
        for number in range(3):
            await publish(broker, "devices/d1/up", f"m{number}", "-q", str(qos))
        await publish(broker, "devices/d1/other", "not for us")
        await until(lambda: len(it.payloads) >= 3)
        assert it.payloads == [b"m0", b"m1", b"m2"]
        facts = it.intake.received[0][1]
        assert (facts["topic"], facts["qos"], facts["identity"]) == ("devices/d1/up", qos, "d1")


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest.mark.parametrize("qos", [1, 2])
@pytest_twisted.ensureDeferred
async def test_what_was_not_stored_comes_again_with_the_next_connection(broker, version, qos):
    settings = {"cleanSession": False, "clientId": "iotgw-test", "version": version, "qos": qos}
    first = Source(broker, **settings)
    first.intake.auto = False
    async with first:
        await publish(broker, "devices/d1/up", "precious", "-q", str(qos))
        await until(lambda: first.payloads)
    await publish(broker, "devices/d1/up", "while away", "-q", str(qos))
    async with Source(broker, **settings) as second:
        await until(lambda: len(second.payloads) >= 2)
        assert second.payloads == [b"precious", b"while away"]
    # what was stored has been acknowledged, and comes no more
    async with Source(broker, **settings) as third:
        await publish(broker, "devices/d1/up", "last", "-q", str(qos))
        await until(lambda: third.payloads)
        assert third.payloads == [b"last"]


@pytest_twisted.ensureDeferred
async def test_nothing_is_read_or_lost_while_the_gateway_is_full(broker):
    async with Source(broker) as it:
        it.intake.fill()
        for number in range(5):
            await publish(broker, "devices/d1/up", str(number), "-q", "1")
        await until(lambda: it.source.counts["paused"])
        assert it.payloads == []
        it.intake.drain()
        await until(lambda: len(it.payloads) >= 5)
        assert it.payloads == [b"0", b"1", b"2", b"3", b"4"]


@pytest_twisted.ensureDeferred
async def test_a_message_that_the_journal_refused_is_handed_over_again(broker):
    async with Source(broker) as it:
        it.intake.auto = False
        await publish(broker, "devices/d1/up", "again", "-q", "1")
        await until(lambda: it.payloads)
        it.intake.answer(0, Status.BUSY)
        await until(lambda: len(it.payloads) == 2)
        assert it.payloads == [b"again", b"again"]


@pytest_twisted.ensureDeferred
async def test_a_downlink_goes_to_the_device_s_topic_and_is_delivered_when_the_broker_has_it(broker):
    settings = {"identityLevel": 2, "downlinkTopic": "devices/{identity}/down"}
    async with Source(broker, **settings) as it:
        with await deferToThread(broker.subscribe, "devices/+/down") as device:
            it.intake.put("d1", b"now", b"later")
            await publish(broker, "devices/d1/up", "x", "-q", "1")
            await until(lambda: device.messages)
            it.source.push(it.intake.received[0][1], it.intake.take("d1", 1))
            await until(lambda: len(device.messages) == 2)
            assert device.messages == [("devices/d1/down", "now"), ("devices/d1/down", "later")]
        await until(lambda: len(it.intake.outcomes) == 4)
        assert sorted(state for _, state in it.intake.outcomes) == ["delivered", "delivered", "sent", "sent"]


@pytest_twisted.ensureDeferred
async def test_lobaro_s_topics(broker):
    async with Source(broker, topics=[], preset="lobaro") as it:
        text = '{"i":"70b3d5e050020901","n":2,"q":"config","d":{"WAN":"lte"}}'
        await publish(broker, "LOB/70b3d5e050020901/up/config", text)
        await publish(broker, "LOB/urn:dev:mac:70b3d5e050020901/up/status", "raw")
        await until(lambda: len(it.payloads) == 2)
        first, second = (facts for _, facts in it.intake.received)
        assert first["device"] == second["device"] == "70b3d5e050020901"
        assert (first["messageName"], first["input"]["d"]) == ("config", {"WAN": "lte"})
        assert second["encoding"] == "raw"


@pytest_twisted.ensureDeferred
async def test_a_broker_that_goes_away_is_found_again(broker):
    async with Source(broker, cleanSession=False, clientId="iotgw-test") as it:
        await deferToThread(broker.stop)
        await until(lambda: not it.source.is_connected)
        assert it.source.status()["state"] == "connecting"
        await deferToThread(broker.start)
        await until(lambda: it.source.is_connected)
        await publish(broker, "devices/d1/up", "back", "-q", "1")
        await until(lambda: it.payloads)
    assert [type_ for type_, _ in it.intake.events][:4] == [
        "connected",
        "failed",
        "session-lost",
        "connected",
    ]


@pytest_twisted.ensureDeferred
async def test_a_wrong_password_is_told_and_tried_again(tmp_path):
    password_file = tmp_path / "passwords"
    subprocess.run([find("mosquitto_passwd"), "-b", "-c", password_file, "gateway", "right"], check=True)
    config = f"allow_anonymous false\npassword_file {password_file}\n"
    with Mosquitto(tmp_path / "broker", config=config) as broker:
        wrong = Source(broker, username="gateway", password="wrong")
        await wrong.source.start()
        try:
            await until(lambda: wrong.intake.events)
        finally:
            await wrong.source.stop()
        assert "the broker refused: not authorized" in wrong.intake.events[0][1]
        async with Source(broker, username="gateway", password="right") as right:
            assert right.source.status()["state"] == "connected"


@pytest_twisted.ensureDeferred
async def test_tls_with_a_client_certificate(tmp_path):
    ca = Authority()
    (tmp_path / "ca.pem").write_bytes(ca.pem())
    certificate, key = ca.issue("broker", hosts=["127.0.0.1"]).write(tmp_path, "broker")
    config = (
        f"cafile {tmp_path / 'ca.pem'}\ncertfile {certificate}\nkeyfile {key}\n"
        "require_certificate true\nuse_identity_as_username true\n"
    )
    own = ca.issue("gateway")
    tls = {"ca": ca.pem().decode(), "certificate": own.pem().decode(), "key": own.key_pem().decode()}
    with Mosquitto(tmp_path / "broker", config=config) as broker:
        async with Source(broker, tls=tls) as it:
            options = ("--cafile", str(tmp_path / "ca.pem"), "--cert", certificate, "--key", key)
            await publish(broker, "devices/d1/up", "secret", *options, "-h", "127.0.0.1")
            await until(lambda: it.payloads)
        stranger = Source(broker, tls={"ca": Authority().pem().decode()})
        await stranger.source.start()
        try:
            await until(lambda: stranger.intake.events)
        finally:
            await stranger.source.stop()
        assert stranger.intake.events[0][0] == "failed"


# --- the session that stays


class Kept(Source):
    """A source with a data directory: what it remembers outlives it."""

    def __init__(self, broker, folder, kind=None, **settings):
        super().__init__(broker, **settings)
        self.settings = msgspec.convert(
            {"host": "127.0.0.1", "port": broker.port, "topics": ["devices/+/up"], **settings},
            MqttSourceSettings,
        )
        self.context = msgspec.structs.replace(context(self.intake, reactor), data_dir=str(folder))
        self.type = kind or MqttSourceType(reactor, Connector(reactor))
        self.source = self.type.build(self.settings, self.context)

    @property
    def kinds(self):
        return [type_ for type_, _ in self.intake.events]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest_twisted.ensureDeferred
async def test_by_default_what_is_published_while_the_gateway_is_away_comes_afterwards(
    broker, tmp_path, version
):
    async with Kept(broker, tmp_path, version=version) as first:
        assert first.source.status()["session"] == "kept"
        assert first.source.status()["clientId"] == "iotgw-ds"
    for number in range(5):
        await publish(broker, "devices/d1/up", str(number), "-q", "1")
    async with Kept(broker, tmp_path, version=version) as second:
        await until(lambda: len(second.payloads) >= 5)
        assert second.payloads == [b"0", b"1", b"2", b"3", b"4"]
        assert second.kinds == ["connected"]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest_twisted.ensureDeferred
async def test_topics_that_the_settings_no_longer_name_are_unsubscribed(broker, tmp_path, version):
    both = {"topics": ["devices/+/up", "old/#"], "version": version}
    async with Kept(broker, tmp_path, **both):
        pass
    async with Kept(broker, tmp_path, version=version) as it:
        await until(lambda: it.source.memory.kept.filters == ("devices/+/up",))
        await publish(broker, "old/d1", "no", "-q", "1")
        await publish(broker, "devices/d1/up", "yes", "-q", "1")
        await until(lambda: it.payloads)
        assert it.payloads == [b"yes"]
    await publish(broker, "old/d1", "no", "-q", "1")
    async with Kept(broker, tmp_path, version=version) as again:
        await publish(broker, "devices/d1/up", "yes", "-q", "1")
        await until(lambda: again.payloads)
        assert again.payloads == [b"yes"]


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest_twisted.ensureDeferred
async def test_a_broker_that_lost_the_session_is_told_of(broker, tmp_path, version):
    async with Kept(broker, tmp_path, version=version):
        pass
    await deferToThread(broker.stop)  # it keeps nothing on disk
    await deferToThread(broker.start)
    async with Kept(broker, tmp_path, version=version) as it:
        assert it.kinds == ["session-lost", "connected"]
        assert (
            "messages that were sent while the gateway was offline may be missing" in it.intake.events[0][1]
        )


@pytest_twisted.ensureDeferred
async def test_a_broker_that_takes_no_client_id_is_told_of_with_what_to_do(tmp_path):
    """Its plug-in or its ACL refuses: here a broker of four bytes, since mosquitto takes all that are not empty."""

    class Refusing(Protocol):
        def dataReceived(self, data):
            self.transport.write(b"\x20\x02\x00\x02")

    factory = Factory.forProtocol(Refusing)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    it = Kept(type("There", (), {"port": port.getHost().port}), tmp_path)
    await it.source.start()
    try:
        await until(lambda: it.intake.events)
    finally:
        await it.source.stop()
        await port.stopListening()
    assert "client identifier rejected" in it.source.status()["lastError"]
    assert "set a clientId that it takes, or cleanSession = true" in it.intake.events[0][1]


@pytest_twisted.ensureDeferred
async def test_a_broker_that_keeps_no_session_is_told_of(tmp_path):
    class Forgetful(Protocol):
        def dataReceived(self, data):
            if data[:1] == b"\x10":
                self.transport.write(b"\x20\x08\x00\x00\x05\x11\x00\x00\x00\x00")
            elif data[:1] == b"\x82":
                self.transport.write(b"\x90\x04" + data[2:4] + b"\x00\x01")

    factory = Factory.forProtocol(Forgetful)
    factory.noisy = False
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    try:
        async with Kept(type("There", (), {"port": port.getHost().port}), tmp_path, version="5") as it:
            assert it.kinds == ["session-refused", "connected"]
            assert it.source.status()["session"] == "clean"
    finally:
        await port.stopListening()


@pytest.mark.parametrize("version", ["3.1.1", "5"])
@pytest_twisted.ensureDeferred
async def test_the_session_of_a_deleted_datasource_ends(broker, tmp_path, version):
    async with Kept(broker, tmp_path, version=version) as it:
        pass
    await it.type.forget(it.settings, it.context, None)
    await publish(broker, "devices/d1/up", "too late", "-q", "1")
    async with Kept(broker, tmp_path, version=version) as new:
        await publish(broker, "devices/d1/up", "new", "-q", "1")
        await until(lambda: new.payloads)
        assert new.payloads == [b"new"]
        assert new.kinds == ["connected"]


@pytest_twisted.ensureDeferred
async def test_the_session_of_another_client_id_ends_and_the_same_one_goes_on(broker, tmp_path):
    async with Kept(broker, tmp_path) as it:
        pass
    same = msgspec.structs.replace(it.settings, topics=["other/#"])
    assert it.type.forget(it.settings, it.context, same) is None
    other = msgspec.structs.replace(it.settings, client_id="another")
    await it.type.forget(it.settings, it.context, other)
    await publish(broker, "devices/d1/up", "too late", "-q", "1")
    async with Kept(broker, tmp_path) as back:
        await publish(broker, "devices/d1/up", "new", "-q", "1")
        await until(lambda: back.payloads)
        assert back.payloads == [b"new"]
        assert back.kinds == ["connected"]


@pytest_twisted.ensureDeferred
async def test_a_session_that_can_not_be_ended_is_told_of(broker, tmp_path):
    async with Kept(broker, tmp_path) as it:
        pass
    await deferToThread(broker.stop)
    await it.type.forget(it.settings, it.context, None)
    assert it.kinds[-1] == "session-left"


@pytest_twisted.ensureDeferred
async def test_who_takes_the_client_id_of_a_deleted_one_waits_until_its_session_has_ended(broker, tmp_path):
    async with Kept(broker, tmp_path, clientId="one") as old:
        pass
    ending = old.type.forget(old.settings, old.context, None)
    async with Kept(broker, tmp_path, kind=old.type, clientId="one") as new:
        assert not old.type._ending
        await publish(broker, "devices/d1/up", "new", "-q", "1")
        await until(lambda: new.payloads)
        assert new.kinds == ["connected"]
    await ending
