"""Who is turned away over CoAP leaves a trace: by its listener if it named nobody's key, else at the datasource."""

from __future__ import annotations

import pytest
import pytest_twisted
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.defer import Deferred

from iotgw.core.key_guesses import MOST
from iotgw.core.model import Downlink
from iotgw.core.shared import SharedResources
from iotgw.datasources.coap.ports import CoapPorts
from iotgw.envelopes.envelope import Envelope, Reading
from iotgw.wire.coap import numbers as n
from tests.unit.datasources.coap.test_datasource import House


class Door(House):
    """A house that keeps what it is told of refusals."""

    def __init__(self):
        super().__init__()
        self.told = []
        away = {"later"}.__contains__
        self.shares = SharedResources(
            CoapPorts(reactor, away, refused=lambda *about: self.told.append(about))
        )


@pytest.fixture
def house():
    made = Door()
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


@ensureDeferred
async def test_a_key_that_is_nobody_s_is_told_with_its_sender_and_its_beginning_only(house):
    datasource, intake = await house.datasource("k1")
    device = house.device(datasource)
    assert (await device.post("i/not-the-right-key")).code == n.NOT_FOUND
    assert (await device.post("i/later", mid=2)).code == n.SERVICE_UNAVAILABLE
    assert (await device.post("something/else", mid=3)).code == n.NOT_FOUND
    assert (await device.post("i/k1", mid=4)).code == n.CHANGED
    ((listener, reason, peer, message),) = house.told
    assert (listener, reason, peer) == ("coap 127.0.0.1:0", "key", "127.0.0.1")
    assert "'not'" in message and "not-the" not in message
    assert intake.refusals == []


@ensureDeferred
async def test_one_that_is_sent_again_is_told_once(house):
    datasource, _ = await house.datasource("k1")
    device = house.device(datasource)
    for _ in range(2):
        assert (await device.post("i/k2", mid=7)).code == n.NOT_FOUND
    assert len(house.told) == 1


@ensureDeferred
async def test_who_asks_for_the_items_of_a_device_that_it_may_not_speak_for_is_refused_and_told_why(house):
    datasource, intake = await house.datasource("k1")
    intake.forbidden = {"meter"}
    device = house.device(datasource)
    assert (await device.post("i/k1/downlink/meter", code=n.GET, mid=2)).code == n.UNAUTHORIZED
    assert intake.refusals == [("identity", "127.0.0.1", "device 'meter' must prove it")]


@ensureDeferred
async def test_who_goes_by_the_identity_of_a_device_with_credentials_is_told_and_what_it_sent_is_stored(
    house,
):
    class Naming(Envelope):
        def read(self, data, facts, now_ms):
            return [Reading(data, {}, "meter")]

    datasource, intake = await house.datasource("k1")
    for resource in datasource._shares[0].resources.values():
        resource.envelope = Naming()
    intake.forbidden = {"meter"}
    intake.queue["meter"] = [Downlink("dl1", "meter", b"secret")]
    answer = await house.device(datasource).post("i/k1")
    assert answer.code == n.UNAUTHORIZED and b"device 'meter' must prove it".startswith(answer.payload)
    assert [metadata["identity"] for _, metadata in intake.received] == ["meter"]
    assert intake.queue["meter"], "its item waits for the device"


@ensureDeferred
async def test_who_guesses_keys_is_not_told_any_more_which_are_wrong(house):
    datasource, _ = await house.datasource("k1")
    device = house.device(datasource)
    for number in range(MOST - 1):
        assert (await device.post(f"i/wrong-{number}", mid=number)).code == n.NOT_FOUND
    device.send(n.CON, n.POST, 1000, "i/wrong-again")
    answer = await device.post("i/k1", mid=1001)
    assert (answer.mid, answer.code) == (1001, n.CHANGED), "a forged address shuts nobody out"
    assert "tried so many keys" in house.told[-1][3]
