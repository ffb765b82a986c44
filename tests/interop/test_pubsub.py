"""The types ``google-pubsub``, in and out, with Google's own fake of Pub/Sub."""

from __future__ import annotations

import json
from functools import cached_property

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.core.verdict import Delivered, Unavailable
from iotgw.datasources.pubsub.datasource import PubsubSourceType
from iotgw.integrations.pubsub import PubsubType
from iotgw.testing import Verdicts, telemetry
from iotgw.testing.contracts import IntegrationContract
from tests.peers.pubsub import Pubsub
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor

from .delivering import until
from .reading import Reading, a_target, name_of, quick

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def pubsub(tmp_path_factory):
    with Pubsub(tmp_path_factory.mktemp("pubsub")) as made:
        yield made


@pytest.fixture
def name(request):
    return name_of(request)


class Source(Reading):
    def __init__(self, pubsub, subscription, connector=None, **settings):
        place = {**pubsub.place, "subscription": subscription}
        super().__init__(PubsubSourceType, {**place, **settings}, connector)

    async def settled(self):
        await until(lambda: not self.source.status()["unsettled"])


def target(pubsub, topic, connector=None, **settings):
    return a_target(PubsubType, {**pubsub.place, "topic": topic, **settings}, connector)


# --- in ---


@ensureDeferred
async def test_messages_come_with_what_pubsub_says_of_them_and_are_acknowledged(pubsub, name):
    await deferToThread(pubsub.subscribe, name)
    async with Source(pubsub, name, deviceAttribute="serial") as it:
        attributes = {"serial": "7", "unit": "C", "api-key": "secret"}
        (id,) = await deferToThread(pubsub.publish, name, b"\x00\xff", attributes=attributes)
        await until(lambda: it.payloads)
        assert it.payloads == [b"\x00\xff"]
        facts = it.intake.received[0][1]
        assert (facts["device"], facts["Header:unit"], facts["uplinkKey"]) == ("7", "C", id)
        assert "Header:api-key" not in facts
        assert facts["publishTime"].endswith("Z")
        await it.settled()
    async with Source(pubsub, name) as again:
        await deferToThread(pubsub.publish, name, b"next")
        await until(lambda: again.payloads)
        assert again.payloads == [b"next"]


@ensureDeferred
async def test_what_is_not_durable_when_the_datasource_stops_goes_to_others_at_once(pubsub, name):
    await deferToThread(pubsub.subscribe, name)
    await deferToThread(pubsub.publish, name, b"a", b"b", b"c")
    async with Source(pubsub, name) as first:
        first.intake.auto = False
        await until(lambda: len(first.payloads) == 3)
        first.intake.answer(1)
    left = {first.payloads[number] for number in (0, 2)}
    async with Source(pubsub, name) as second:
        await until(lambda: len(second.payloads) == 2)
        assert set(second.payloads) == left


@ensureDeferred
async def test_the_messages_of_an_ordering_key_come_in_order_and_it_is_the_device(pubsub, name):
    await deferToThread(pubsub.subscribe, name, ordered=True)
    for number in range(30):
        await deferToThread(pubsub.publish, name, b"%d" % number, orderingKey=f"meter-{number % 3}")
    async with Source(pubsub, name) as it:
        await until(lambda: len(set(it.payloads)) == 30)
        found = {}
        for payload, facts in it.intake.received:
            found.setdefault(facts["device"], []).append(int(payload))
        assert found == {f"meter-{n}": list(range(n, 30, 3)) for n in range(3)}
        await it.settled()


@ensureDeferred
async def test_a_full_gateway_asks_for_no_more_than_its_window(pubsub, name):
    await deferToThread(pubsub.subscribe, name)
    await deferToThread(pubsub.publish, name, *(b"%d" % number for number in range(40)))
    async with Source(pubsub, name, window=10, batch=10, requests=1) as it:
        it.intake.fill()
        await until(lambda: it.source.status().get("waitsForRoom"))
        it.intake.drain()
        await until(lambda: len(set(it.payloads)) == 40)
        await it.settled()


@ensureDeferred
async def test_a_subscription_that_is_not_there_is_said_and_waited_for(pubsub, name):
    async with Source(pubsub, name) as it:
        assert "NOT_FOUND" in await it.error()
        await deferToThread(pubsub.subscribe, name)
        await deferToThread(pubsub.publish, name, b"x")
        await until(lambda: it.payloads)


# --- out ---


@beside_the_reactor(IntegrationContract)
class TestPubsubTarget(BesideTheReactor, IntegrationContract):
    @pytest.fixture(autouse=True)
    def _topic(self, pubsub, name):
        self.place = pubsub, pubsub.subscribe(name)
        yield
        self.teardown_method()

    @cached_property
    def context(self):
        return quick("google-pubsub")

    def open(self):
        made = target(*self.place)
        self.wait(made.start())
        return made


@ensureDeferred
async def test_records_are_messages_with_their_keys(pubsub, name):
    await deferToThread(pubsub.subscribe, name)
    it, verdicts = target(pubsub, name), Verdicts()
    it.send([telemetry(seq, f"a{seq}", received_ms=1) for seq in range(1, 31)], verdicts)
    await until(lambda: len(verdicts.of) == 30)
    assert set(verdicts.of.values()) == {Delivered()}
    for each in await deferToThread(pubsub.receive, name, lambda found: len(found) == 30):
        document, attributes = json.loads(each["data"]), each["attributes"]
        assert attributes == {"iotgw-key": document["key"], "device": document["deviceName"]}
        assert each["orderingKey"] == document["deviceName"]
    await it.stop()


@ensureDeferred
async def test_a_topic_that_is_not_there_charges_no_message(pubsub, name):
    it, verdicts = target(pubsub, name), Verdicts()
    it.send([telemetry(1, "a", received_ms=1)], verdicts)
    await until(lambda: verdicts.of)
    assert isinstance(verdicts.of[1], Unavailable)
    checked = await it.check()
    assert (checked["ok"], "NOT_FOUND" in checked["detail"]) == (False, True)
    await deferToThread(pubsub.subscribe, name)
    assert (await it.check())["ok"] is True
    await it.stop()


@ensureDeferred
async def test_nothing_is_connected_to_where_the_operator_forbids_it(pubsub, name):
    forbidding = Connector(reactor, ["loopback"])
    async with Source(pubsub, name, forbidding) as it:
        assert "forbidden" in await it.error()
    it = target(pubsub, name, forbidding)
    assert "forbidden" in (await it.check())["detail"]
    await it.stop()
