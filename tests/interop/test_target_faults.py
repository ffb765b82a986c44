"""The fault table: what a server in the target's place does to its clients, for each type of target.

`test_delivery_fault_table.py` has what a network does. After each fault: nothing is missing, nothing is stuck, first
arrivals are in order, the accounts add up (`Delivering.stats` asserts it), no message was charged a try, and events,
`lastError` and state said what it was. `test_fault_table.py` holds the whole table.
"""

import contextlib
import os
import signal

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IHostnameResolver, IHostResolution
from twisted.internet.threads import deferToThread
from zope.interface import implementer

from iotgw.api.metrics import DOWN
from iotgw.integrations.http import HttpType
from iotgw.integrations.mqtt import MqttType
from iotgw.integrations.sftp import SftpType
from iotgw.integrations.thingsboard_http import ThingsBoardHttpType
from tests.peers.patience import descendants

from .delivering import Delivering, per_device, until
from .saboteur import Saboteur
from .targets import Http, Mqtt, Sftp, ThingsBoardHttp

pytestmark = pytest.mark.interop

DEVICES = "abc"
KINDS = [Http, Mqtt, ThingsBoardHttp, pytest.param(Sftp, marks=pytest.mark.root)]
NAME = "target.example"
TYPES = {"http": HttpType, "mqtt": MqttType, "sftp": SftpType, "thingsboard-http": ThingsBoardHttpType}

LASTING = {
    "closed at once": {
        "http": "connection was lost",
        "mqtt": "connection was lost",
        "sftp": "closed cleanly",
    },
    "another protocol": {
        "http": "no complete response",
        "mqtt": "did not answer",
        "sftp": "bad packet length",
    },
    "endless": {"http": "header", "mqtt": "packet", "sftp": "4KB"},
}
"""Faults that last until they are mended, and what `lastError` says of them."""
for said in LASTING.values():
    said["thingsboard-http"] = said["http"]

TRANSIENT = ("garbage", "cut off", "hung up", "byte by byte")
"""Faults of single answers."""

ONCE = {"closed at once", "another protocol", "byte by byte"}
"""Faults that leave no doubt whether a message arrived."""

STANDS_STILL = {
    "http": "no complete response within 3 s",
    "mqtt": "did not answer",
    "sftp": "not written within 3 s",
}

STANDS_STILL["thingsboard-http"] = STANDS_STILL["http"]

ENDLESS = {
    "http": b"HTTP/1.1 200 OK\r\nX-Endless: ",
    "mqtt": b"\x20\x02\x00\x00\x30\xff\xff\xff\x7f",
    "sftp": b"SSH-2.0-",
}
ENDLESS["thingsboard-http"] = ENDLESS["http"]
"""The begin of an answer that never ends: a header, a packet, a banner."""
MUCH = 64 << 20
"""Bytes of an endless answer that nobody needs to see."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """MQTT's silences are told within seconds."""
    monkeypatch.setattr("iotgw.connect.mqtt_connection.SILENCE", 1.0)
    monkeypatch.setattr("iotgw.connect.mqtt_connection.HANDSHAKE", 1.0)


async def told_down(world, delivered, said="", since=0):
    """The integration says that its target is down, and why, and charges no message for it. ``since`` counts events."""
    await until(lambda: "delivery.unavailable" in world.events.types[since:], what="the event")
    try:
        await until(lambda: said in (world.stats()["lastError"] or ""), 6)
    except AssertionError:
        raise AssertionError(f"expected {said!r}, it says {world.stats()['lastError']!r}") from None
    stats = world.stats()
    assert stats["state"] in DOWN, "what the metric iotgw_integration_up goes by"
    assert (stats["delivered"], stats["dead"], stats["retrying"]) == (delivered, 0, 0)
    assert stats["lastErrorAt"]
    assert world.service.holding_up() == []


async def all_arrived(world, target, total, once):
    stats = await world.settled()
    assert (stats["delivered"], stats["dead"], stats["retrying"]) == (total, 0, 0)
    assert stats["state"] == "running"
    await until(lambda: len(set(target.arrived())) == total, what="all to arrive")
    arrived = target.arrived()
    assert all(line == sorted(line) for line in per_device(arrived).values())
    if once:
        assert len(arrived) == total


@pytest.mark.parametrize("fault", LASTING)
@pytest.mark.parametrize("kind", KINDS)
@ensureDeferred
async def test_a_server_that_is_none_is_waited_for(tmp_path, kind, fault):
    target = kind(tmp_path)
    await deferToThread(target.start)
    try:
        async with (
            Saboteur(target.server.port, ENDLESS[kind.type]) as saboteur,
            Delivering(kind.type, configuration=target.configuration(saboteur.port)) as world,
        ):
            world.store(*DEVICES)
            await world.settled()
            since = len(world.events.types)
            await saboteur.begin(fault)
            world.store(*DEVICES * 5)
            await until(lambda: saboteur.struck, what="the fault")
            await told_down(world, len(DEVICES), LASTING[fault][kind.type], since)
            assert saboteur.poured < MUCH
            await saboteur.end()
            await all_arrived(world, target, 6 * len(DEVICES), fault in ONCE)
            assert "delivery.available" in world.events.types[since:]
    finally:
        await deferToThread(target.close)


@pytest.mark.parametrize("fault", TRANSIENT)
@pytest.mark.parametrize("kind", KINDS)
@ensureDeferred
async def test_a_server_whose_answers_are_broken_gets_everything(tmp_path, kind, fault):
    target = kind(tmp_path)
    await deferToThread(target.start)
    try:
        async with (
            Saboteur(target.server.port) as saboteur,
            Delivering(kind.type, configuration=target.configuration(saboteur.port)) as world,
        ):
            world.store(*DEVICES)
            await world.settled()
            await saboteur.begin(fault)
            world.store(*DEVICES * 5)
            await until(lambda: saboteur.struck >= 3, what="three broken answers")
            world.store(*DEVICES * 5)
            await all_arrived(world, target, 11 * len(DEVICES), fault in ONCE)
            if fault in ("garbage", "cut off"):
                assert world.stats()["lastError"]
    finally:
        await deferToThread(target.close)


@pytest.mark.parametrize("kind", KINDS)
@ensureDeferred
async def test_a_server_that_stands_still_is_waited_for(tmp_path, kind):
    """Its host takes connections; nobody reads them."""
    target = kind(tmp_path)
    await deferToThread(target.start)
    configuration = target.configuration(target.server.port)
    if "timeout" in configuration:
        configuration["timeout"] = 3.0
    try:
        async with Delivering(kind.type, configuration=configuration) as world:
            world.store(*DEVICES)
            await world.settled()
            since = len(world.events.types)
            _signal(target, signal.SIGSTOP)
            world.store(*DEVICES * 5)
            await told_down(world, len(DEVICES), STANDS_STILL[kind.type], since)
            _signal(target, signal.SIGCONT)
            await all_arrived(world, target, 6 * len(DEVICES), once=False)
    finally:
        _signal(target, signal.SIGCONT)
        await deferToThread(target.close)


def _signal(target, number):
    for pid in (target.server.pid, *descendants(target.server.pid)):
        with contextlib.suppress(ProcessLookupError):  # a session's process ends by itself
            os.kill(pid, number)


@implementer(IHostnameResolver)
class Names:
    """A name server that knows `NAME` while ``is_known``."""

    is_known = True

    def resolveHostName(
        self, resolutionReceiver, hostName, portNumber=0, addressTypes=None, transportSemantics="TCP"
    ):
        receiver = resolutionReceiver
        receiver.resolutionBegan(Resolution())
        if hostName == NAME and self.is_known:
            receiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        receiver.resolutionComplete()


@implementer(IHostResolution)
class Resolution:
    name = NAME


@pytest.fixture
def names():
    names = Names()
    before = reactor.installNameResolver(names)
    yield names
    reactor.installNameResolver(before)


def called(name, configuration):
    """The same target by its name."""
    if "url" in configuration:
        return {**configuration, "url": configuration["url"].replace("127.0.0.1", name)}
    return {**configuration, "host": name}


@pytest.mark.parametrize("kind", KINDS)
@ensureDeferred
async def test_a_name_that_is_unknown_for_a_while_is_looked_up_again(tmp_path, kind, names):
    target = kind(tmp_path)
    await deferToThread(target.start)
    configuration = called(NAME, target.configuration(target.server.port))
    names.is_known = False
    try:
        async with Delivering(kind.type, configuration=configuration) as world:
            world.store(*DEVICES * 5)
            await told_down(world, 0, NAME)
            names.is_known = True
            await all_arrived(world, target, 5 * len(DEVICES), once=True)
    finally:
        await deferToThread(target.close)


@pytest.mark.parametrize("kind", KINDS)
@ensureDeferred
async def test_an_address_that_the_operator_forbids_is_not_connected_to(tmp_path, kind, names):
    """Also where a name leads there."""
    target = kind(tmp_path)
    await deferToThread(target.start)
    type_ = TYPES[kind.type]
    configuration = called(NAME, target.configuration(target.server.port))
    try:
        async with (
            Saboteur(target.server.port) as saboteur,
            Delivering(
                kind.type,
                types=[lambda reactor: type_(reactor, ["loopback"])],
                configuration=called(NAME, target.configuration(saboteur.port)),
            ) as world,
        ):
            world.store(*DEVICES)
            await told_down(world, 0, "forbidden")
            assert not saboteur.sides
        async with Delivering(kind.type, configuration=configuration) as world:
            world.store(*DEVICES)
            await all_arrived(world, target, len(DEVICES), once=True)
    finally:
        await deferToThread(target.close)
