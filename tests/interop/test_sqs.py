"""The types ``aws-sqs``, in and out, with moto's queues."""

from __future__ import annotations

import json
from functools import cached_property

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.core.model import Status
from iotgw.core.verdict import Delivered, Unavailable
from iotgw.datasources.sqs.datasource import SqsSourceType
from iotgw.integrations.sqs import SqsType
from iotgw.testing import Verdicts, telemetry
from iotgw.testing.contracts import IntegrationContract
from tests.peers.aws import KEYS, REGION, Moto
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor

from .delivering import until
from .reading import Reading, a_target, name_of, quick

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def moto(tmp_path_factory):
    with Moto(tmp_path_factory.mktemp("moto")) as made:
        yield made


@pytest.fixture
def name(request):
    return name_of(request)


class Source(Reading):
    def __init__(self, queue, connector=None, **settings):
        place = {"queueUrl": queue, "region": REGION, "wait": 1, **KEYS}
        super().__init__(SqsSourceType, {**place, **settings}, connector)


def target(queue, connector=None, **settings):
    return a_target(SqsType, {"queueUrl": queue, "region": REGION, **KEYS, **settings}, connector)


# --- in ---


@ensureDeferred
async def test_messages_come_with_what_the_queue_says_of_them_and_are_deleted(moto, name):
    queue = await deferToThread(moto.queue, name)
    attributes = {
        "unit": {"DataType": "String", "StringValue": "C"},
        "serial": {"DataType": "Number", "StringValue": "7"},
        "api-key": {"DataType": "String", "StringValue": "secret"},
    }
    async with Source(queue, deviceAttribute="serial") as it:
        await deferToThread(moto.send, queue, "17.5 °C", MessageAttributes=attributes)
        await until(lambda: it.payloads)
        assert it.payloads == ["17.5 °C".encode()]
        facts = it.intake.received[0][1]
        assert (facts["queue"], facts["device"], facts["Header:unit"]) == (name, "7", "C")
        assert facts["uplinkKey"] == facts["messageId"]
        assert facts["receiveCount"] == 1
        assert "Header:api-key" not in facts
        await until(lambda: moto.counted(queue) == (0, 0))


@ensureDeferred
async def test_what_is_not_durable_when_the_datasource_stops_is_shown_to_others_at_once(moto, name):
    queue = await deferToThread(moto.queue, name)
    await deferToThread(moto.send, queue, *"abcde")
    async with Source(queue, visibility=3600) as first:
        first.intake.auto = False
        await until(lambda: len(first.payloads) == 5)
        for number in (0, 1, 3):
            first.intake.answer(number)
    left = {first.payloads[number] for number in (2, 4)}
    async with Source(queue) as second:
        await until(lambda: len(second.payloads) == 2)
        assert set(second.payloads) == left
        assert second.intake.received[0][1]["receiveCount"] == 2


@ensureDeferred
async def test_the_messages_of_a_group_come_in_order_and_its_name_is_the_device(moto, name):
    queue = await deferToThread(moto.queue, f"{name}.fifo", ContentBasedDeduplication="true")
    for number in range(30):
        group = f"meter-{number % 3}"
        await deferToThread(moto.send, queue, f"{group} {number}", MessageGroupId=group)
    async with Source(queue) as it:
        await until(lambda: len(it.payloads) == 30)
        found = {}
        for payload, facts in it.intake.received:
            found.setdefault(facts["device"], []).append(int(payload.split()[1]))
        assert found == {f"meter-{n}": list(range(n, 30, 3)) for n in range(3)}
        await until(lambda: moto.counted(queue) == (0, 0))


@ensureDeferred
async def test_of_a_group_no_message_is_deleted_before_those_ahead_of_it(moto, name):
    queue = await deferToThread(moto.queue, f"{name}.fifo", ContentBasedDeduplication="true")
    await deferToThread(moto.send, queue, *"abc", MessageGroupId="g")
    async with Source(queue, visibility=3600) as it:
        it.intake.auto = False
        await until(lambda: len(it.payloads) == 3)
        it.intake.answer(1)
        it.intake.answer(2)
        assert it.source.status()["unsettled"] == 3
        it.intake.answer(0)
        assert it.source.status()["unsettled"] == 0
        await until(lambda: moto.counted(queue) == (0, 0))


@ensureDeferred
async def test_a_full_gateway_asks_for_no_more_than_its_window(moto, name):
    queue = await deferToThread(moto.queue, name)
    await deferToThread(moto.send, queue, *map(str, range(40)))
    async with Source(queue, window=10, requests=1) as it:
        it.intake.fill()
        await until(lambda: it.source.status().get("waitsForRoom"))
        assert sum(await deferToThread(moto.counted, queue)) == 40
        it.intake.drain()
        await until(lambda: len(set(it.payloads)) == 40)
        await until(lambda: moto.counted(queue) == (0, 0))


@ensureDeferred
async def test_a_message_that_the_journal_refused_is_handed_over_again(moto, name):
    queue = await deferToThread(moto.queue, name)
    await deferToThread(moto.send, queue, "again")
    async with Source(queue, visibility=3600) as it:
        it.intake.auto = False
        await until(lambda: it.payloads)
        it.intake.answer(0, Status.BUSY)
        await until(lambda: len(it.payloads) == 2)


@ensureDeferred
async def test_bodies_may_be_base64(moto, name):
    queue = await deferToThread(moto.queue, name)
    await deferToThread(moto.send, queue, "AP8=", "no base64!")
    async with Source(queue, body="base64") as it:
        await until(lambda: len(it.payloads) == 2)
        assert set(it.payloads) == {b"\x00\xff", b"no base64!"}
        assert it.source.status()["faults"] == 1


@ensureDeferred
async def test_a_queue_that_is_not_there_is_said_and_waited_for(moto, name):
    async with Source(f"{moto.url}/123456789012/{name}") as it:
        said = await it.error()
        assert "QueueDoesNotExist" in said
        assert "not so secret" not in said
        queue = await deferToThread(moto.queue, name)
        await deferToThread(moto.send, queue, "x")
        await until(lambda: it.payloads)


# --- out ---


@beside_the_reactor(IntegrationContract)
class TestSqsTarget(BesideTheReactor, IntegrationContract):
    @pytest.fixture(autouse=True)
    def _queue(self, moto):
        self.queue = moto.queue("contract")
        yield
        self.teardown_method()

    @cached_property
    def context(self):
        return quick("aws-sqs")

    def open(self):
        made = target(self.queue)
        self.wait(made.start())
        return made


@ensureDeferred
async def test_records_are_messages_with_their_keys(moto, name):
    queue = await deferToThread(moto.queue, name)
    it, verdicts = target(queue), Verdicts()
    it.send([telemetry(seq, f"a{seq}", received_ms=1) for seq in range(1, 26)], verdicts)
    await until(lambda: len(verdicts.of) == 25)
    assert set(verdicts.of.values()) == {Delivered()}
    found = await deferToThread(moto.receive, queue, lambda found: len(found) == 25)
    for each in found:
        document, attributes = json.loads(each["Body"]), each["MessageAttributes"]
        assert attributes["iotgw-key"]["StringValue"] == document["key"]
        assert attributes["device"]["StringValue"] == document["deviceName"]
    await it.stop()


@ensureDeferred
async def test_the_messages_of_a_fifo_queue_have_groups_and_a_repeated_delivery_is_one_message(moto, name):
    queue = await deferToThread(moto.queue, f"{name}.fifo")
    it = target(queue)
    for _ in range(2):
        verdicts = Verdicts()
        it.send([telemetry(seq, f"a {seq % 2}", received_ms=1) for seq in range(1, 9)], verdicts)
        await until(lambda: len(verdicts.of) == 8)  # noqa: B023
        assert set(verdicts.of.values()) == {Delivered()}
    found = await deferToThread(moto.receive, queue, lambda found: len(found) >= 8)
    assert len(found) == 8
    assert {each["Attributes"]["MessageGroupId"] for each in found} == {"a_0", "a_1"}
    await it.stop()


@ensureDeferred
async def test_a_queue_that_is_not_there_charges_no_message(moto, name):
    it, verdicts = target(f"{moto.url}/123456789012/{name}"), Verdicts()
    it.send([telemetry(1, "a", received_ms=1)], verdicts)
    await until(lambda: verdicts.of)
    assert isinstance(verdicts.of[1], Unavailable)
    checked = await it.check()
    assert (checked["ok"], "QueueDoesNotExist" in checked["detail"]) == (False, True)
    await it.stop()


@ensureDeferred
async def test_a_check_finds_the_queue(moto, name):
    queue = await deferToThread(moto.queue, name)
    it = target(queue)
    assert (await it.check())["ok"] is True
    await it.stop()


@ensureDeferred
async def test_nothing_is_connected_to_where_the_operator_forbids_it(moto, name):
    forbidding = Connector(reactor, ["loopback"])
    queue = f"{moto.url}/123456789012/{name}"
    async with Source(queue, forbidding) as it:
        assert "forbidden" in await it.error()
    it = target(queue, forbidding)
    assert "forbidden" in (await it.check())["detail"]
    await it.stop()
