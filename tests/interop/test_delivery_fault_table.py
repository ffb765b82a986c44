"""The fault table: what a network does to a connection, for every type of target.

After each: nothing is missing, first arrivals are in order per device, what came twice came so by a fault
that makes it so, nobody was charged a try, and the accounts add up (`Delivering.stats` asserts it).
"""

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from .delivering import Delivering, per_device, until
from .saboteur import Saboteur
from .targets import Http, HttpBatches, Mqtt, Sftp, ThingsBoard, ThingsBoardHttp

pytestmark = pytest.mark.interop

DEVICES = "abc"
ONCE = {"refused", "black hole", "slow"}
"""Faults that leave no doubt whether a message arrived."""


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """MQTT's silences are told within seconds."""
    monkeypatch.setattr("iotgw.connect.mqtt_connection.SILENCE", 1.0)
    monkeypatch.setattr("iotgw.connect.mqtt_connection.HANDSHAKE", 1.0)


@pytest.mark.parametrize("fault", ["refused", "black hole", "slow", "reset", "answer lost"])
@pytest.mark.parametrize(
    "kind",
    [Http, HttpBatches, Mqtt, ThingsBoard, ThingsBoardHttp, pytest.param(Sftp, marks=pytest.mark.root)],
)
@ensureDeferred
async def test_a_network_fault_costs_nothing_but_time(tmp_path, kind, fault):
    times = 4 if fault == "slow" else 20
    target = kind(tmp_path)
    await deferToThread(target.start)
    try:
        async with (
            Saboteur(target.server.port) as saboteur,
            Delivering(kind.type, configuration=target.configuration(saboteur.port)) as world,
        ):
            world.store(*DEVICES)  # a connection is there, in use
            await world.settled()
            began = reactor.seconds() * 1000
            await saboteur.begin(fault)
            world.store(*DEVICES * times)
            if fault == "slow":
                await until(lambda: saboteur.struck)
            else:
                await until(lambda: (world.stats()["lastErrorAt"] or 0) > began)
            world.store(*DEVICES * times)
            if fault in ("refused", "black hole"):
                assert world.stats()["delivered"] == len(DEVICES)
                await saboteur.end()
            stats = await world.settled()
            total = len(DEVICES) * (1 + 2 * times)
            assert (stats["delivered"], stats["dead"], stats["retrying"]) == (total, 0, 0)
            assert saboteur.struck or fault == "refused"
            await until(lambda: len(set(target.arrived())) == total)
            arrived = target.arrived()
            assert all(line == sorted(line) for line in per_device(arrived).values())
            if fault in ONCE:
                assert len(arrived) == total
    finally:
        await deferToThread(target.close)
