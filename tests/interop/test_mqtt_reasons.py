"""What an operator reads when a real mosquitto refuses or closes: each fault is caused there."""

from __future__ import annotations

import subprocess

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.connect.mqtt_broker import BrokerSettings, endpoint
from iotgw.connect.mqtt_client import BrokerAccess, MqttClient
from iotgw.connect.mqtt_engines import engine_maker
from iotgw.connect.mqtt_owner import Greeting, MqttOwner, Topics
from iotgw.core.validate import convert
from iotgw.wire import mqtt
from tests.certificates import Authority
from tests.peers.mosquitto import Mosquitto
from tests.peers.process import find, free_port

from .delivering import until

VERSIONS = {"3.1.1": mqtt.V311, "5": mqtt.V5}


class Client(MqttOwner):
    """A client whose reasons are kept."""

    def __init__(self, host, version="3.1.1", topics=(), client_id="gateway", **settings):
        self.topics = topics
        self.reasons = []
        self.ups = 0
        made = convert({"host": host, **settings}, BrokerSettings)
        greeting = Greeting(client_id, 60, made.broker.username or None, made.broker.password or None,
                            version=VERSIONS[version])  # fmt: skip
        way = endpoint(made, Connector(reactor), reactor, 10.0)
        engine = engine_maker("iotgw", VERSIONS[version], 100)
        self.client = MqttClient(reactor, BrokerAccess(way, greeting, engine, lambda failures: 0.1), self)

    async def __aenter__(self):
        self.client.start()
        return self

    async def __aexit__(self, *exc):
        await self.client.stop()

    def on_greeted(self, limits, reader):
        return Topics(self.topics)

    def on_up(self, limits):
        self.ups += 1

    def on_lost(self, numbers, reason):
        self.reasons.append(reason)

    def on_refused(self, number, code, reason):
        self.reasons.append(reason)

    async def says(self, words):
        await until(lambda: any(words in reason for reason in self.reasons), what=f"{words}: {self.reasons}")


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """A mosquitto with a listener for each fault, and one that asks for a password."""
    folder = tmp_path_factory.mktemp("broker")
    ca = Authority()
    (folder / "ca.pem").write_bytes(ca.pem())
    certificate, key = ca.issue("broker", hosts=["127.0.0.1"]).write(folder, "broker")
    passwords = folder / "passwords"
    subprocess.run([find("mosquitto_passwd"), "-b", "-c", passwords, "gateway", "right"], check=True)
    tls, wants, few = (free_port() for _ in range(3))
    secure = f"cafile {folder / 'ca.pem'}\ncertfile {certificate}\nkeyfile {key}\n"
    config = (
        f"listener {tls} 127.0.0.1\n{secure}listener {wants} 127.0.0.1\n{secure}require_certificate true\n"
        f"listener {few} 127.0.0.1\nmax_qos 1\n"
    )
    text = ca.pem().decode()
    strict = f"allow_anonymous false\npassword_file {passwords}\n"
    with Mosquitto(folder, config=config) as broker, Mosquitto(folder / "login", config=strict) as login:
        yield {"plain": broker.port, "tls": tls, "wants": wants, "login": login.port, "few": few, "ca": text}


def url(houses, name, scheme="mqtt", who=""):
    return f"{scheme}://{who}127.0.0.1:{houses[name]}"


@ensureDeferred
async def test_a_port_with_tls(houses):
    async with Client(url(houses, "tls")) as it:
        await it.says("mqtts://")


@ensureDeferred
async def test_a_broker_that_wants_a_certificate(houses):
    async with Client(url(houses, "wants", "mqtts"), tls={"ca": houses["ca"]}) as it:
        await it.says("set tls.certificate and tls.key")


@ensureDeferred
async def test_a_broker_of_an_authority_that_is_not_trusted(houses):
    async with Client(url(houses, "tls", "mqtts")) as it:
        await it.says("the certificate comes from an authority that is not trusted")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("who", ["", "gateway:wrong@"])
@ensureDeferred
async def test_a_wrong_login(houses, version, who):
    async with Client(url(houses, "login", who=who), version) as it:
        await it.says("not authorized. Check username and password")


@pytest.mark.parametrize("version", VERSIONS)
@ensureDeferred
async def test_another_client_with_the_same_id(houses, version):
    command = [find("mosquitto_sub"), "-p", str(houses["plain"]), "-i", f"twin-{version}", "-t", "x",
               "-V", version.replace("3.1.1", "mqttv311").replace("5", "mqttv5")]  # fmt: skip
    async with Client(url(houses, "plain"), version, client_id=f"twin-{version}") as it:
        for turn in range(2):  # the twin comes, and is thrown out when the client returns
            await until(lambda turn=turn: it.ups > turn and it.client.up is not None)
            twin = await deferToThread(
                subprocess.Popen, command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                await until(lambda turn=turn: len(it.reasons) > turn)
            finally:
                twin.kill()
                await deferToThread(twin.wait)
        await it.says(f"the client id 'twin-{version}': give each client an id of its own")


@pytest.mark.parametrize("version", VERSIONS)
@ensureDeferred
async def test_a_broker_that_takes_no_qos_2(houses, version):
    async with Client(url(houses, "few"), version) as it:
        await until(lambda: it.client.up)
        it.client.up.publish([(1, b"t", b"x", b"")], 2, False)
        await it.says("QoS 2" if version == "3.1.1" else "It does not take this QoS")


@ensureDeferred
async def test_a_name_that_nobody_has():
    async with Client("mqtt://nobody.invalid") as it:
        await until(lambda: it.reasons)
        assert it.reasons[0]


@ensureDeferred
async def test_a_port_that_nobody_listens_at():
    async with Client(f"mqtt://127.0.0.1:{free_port()}") as it:
        await it.says("refused")
