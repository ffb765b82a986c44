"""The types ``rabbitmq``, in and out, with a real RabbitMQ broker."""

from __future__ import annotations

import json
import struct
from functools import cached_property

import pika
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.core.model import Status
from iotgw.core.verdict import Delivered, Rejected, Retry, Unavailable
from iotgw.datasources.rabbitmq.datasource import RabbitSourceType
from iotgw.integrations.rabbitmq import RabbitType
from iotgw.testing import Verdicts, telemetry
from iotgw.testing.contracts import IntegrationContract
from tests.peers.proxies import Tinyproxy
from tests.peers.rabbitmq import RabbitMq
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor

from .delivering import until
from .reading import Reading, a_target, quick

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with RabbitMq(tmp_path_factory.mktemp("rabbitmq")) as made:
        yield made


@pytest.fixture
def queue(request):
    return request.node.name[:80]


class Source(Reading):
    def __init__(self, broker, queue, connector=None, **settings):
        place = {
            "host": "127.0.0.1",
            "port": broker.port,
            "password": "guest",
            "queue": queue,
            "declare": True,
        }
        super().__init__(RabbitSourceType, {**place, **settings}, connector)


def target(broker, connector=None, **settings):
    place = {"host": "127.0.0.1", "port": broker.port, "password": "guest"}
    return a_target(RabbitType, {**place, **settings}, connector)


async def started(it):
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    return it


# --- in ---


@ensureDeferred
async def test_messages_come_in_order_with_what_the_broker_says_of_them(broker, queue):
    async with Source(broker, queue) as it:
        await until(it.is_up)
        await deferToThread(
            broker.publish,
            queue,
            b"1",
            b"2",
            b"3",
            message_id="m",
            headers={"unit": "C", "token": "secret", "n": 7, "long": 1 << 40},
        )
        await until(lambda: len(it.payloads) == 3)
        assert it.payloads == [b"1", b"2", b"3"]
        facts = it.intake.received[0][1]
        assert (facts["routingKey"], facts["redelivered"], facts["messageId"]) == (queue, False, "m")
        assert (facts["Header:unit"], facts["Header:n"]) == ("C", 7)
        assert type(facts["Header:long"]) is int
        assert "Header:token" not in facts
        assert facts["uplinkKey"].startswith("m@0/")
    assert await deferToThread(broker.waiting, queue) == 0


class Raw(pika.BasicProperties):
    """Properties with a table of headers as it is on the wire; pika makes fewer kinds than RabbitMQ takes."""

    def __init__(self, table):
        super().__init__()
        self._table = table

    def encode(self):
        return [struct.pack(">HI", self.FLAG_HEADERS, len(self._table)), self._table]


@pytest.mark.parametrize(
    ("table", "headers"),
    [
        (b"\x01ad" + struct.pack(">d", 2.5), {"Header:a": 2.5}),
        (b"\x01aT" + struct.pack(">Q", 1 << 62), {"Header:a": 1000 << 62}),
        (b"\x02\xe4\xf6t\x01", {"Header:e4f6": True}),
    ],
)
@ensureDeferred
async def test_no_header_keeps_what_comes_behind_its_message(broker, table, headers):
    queue = f"headers-{table.hex()}"
    async with Source(broker, queue) as it:
        await until(it.is_up)
        await deferToThread(broker.publish_with, Raw(table), queue, b"odd")
        await deferToThread(broker.publish, queue, b"behind")
        await until(lambda: len(it.payloads) == 2)
        assert it.payloads == [b"odd", b"behind"]
        facts = it.intake.received[0][1]
        assert {name: value for name, value in facts.items() if name.startswith("Header:")} == headers


@ensureDeferred
async def test_a_pasted_url_says_where_the_broker_is_and_who_we_are(broker, queue):
    url = f"amqps://guest:guest@127.0.0.1:{broker.secure}/%2F"
    async with Source(broker, queue, host=url, port=None, password="", tls={"ca": broker.ca}) as it:
        await until(it.is_up)
        assert it.source.status()["address"] == f"amqps://127.0.0.1:{broker.secure}"
        await deferToThread(broker.publish, queue, b"21.5")
        await until(lambda: it.payloads == [b"21.5"])


@ensureDeferred
async def test_only_the_durable_prefix_is_acknowledged_and_the_rest_comes_again(broker, queue):
    await deferToThread(broker.declare, queue)
    await deferToThread(broker.publish, queue, *(b"%d" % number for number in range(5)))
    async with Source(broker, queue) as first:
        first.intake.auto = False
        await until(lambda: len(first.payloads) == 5)
        for number in (0, 1, 3):
            first.intake.answer(number)
    async with Source(broker, queue) as second:
        await until(lambda: len(second.payloads) == 3)
        assert second.payloads == [b"2", b"3", b"4"]
        assert second.intake.received[0][1]["redelivered"] is True


@ensureDeferred
async def test_a_full_gateway_gets_no_more_than_the_prefetch(broker, queue):
    await deferToThread(broker.declare, queue)
    await deferToThread(broker.publish, queue, *(b"%d" % number for number in range(50)))
    async with Source(broker, queue, prefetch=10) as it:
        it.intake.fill()
        await until(lambda: it.source.status().get("messages") == 10)
        assert it.source.status()["waitsForRoom"] is True
        assert await deferToThread(broker.waiting, queue) == 40
        it.intake.drain()
        await until(lambda: len(it.payloads) == 50)
        assert it.payloads == [b"%d" % number for number in range(50)]


@ensureDeferred
async def test_a_message_that_the_journal_refused_is_handed_over_again(broker, queue):
    async with Source(broker, queue) as it:
        it.intake.auto = False
        await until(it.is_up)
        await deferToThread(broker.publish, queue, b"again")
        await until(lambda: it.payloads)
        it.intake.answer(0, Status.BUSY)
        await until(lambda: len(it.payloads) == 2)


@ensureDeferred
async def test_a_queue_is_bound_and_the_routing_key_names_the_device(broker, queue):
    bindings = [{"exchange": "amq.topic", "routingKey": f"{queue}.*.up"}]
    async with Source(broker, queue, bindings=bindings, deviceLevel=2) as it:
        await until(it.is_up)
        await deferToThread(broker.publish, f"{queue}.SN-1.up", b"x", exchange="amq.topic")
        await until(lambda: it.payloads)
        assert it.intake.received[0][1]["device"] == "SN-1"


@ensureDeferred
async def test_a_platform_s_messages_are_read_by_its_preset(broker, queue):
    uplink = {
        "deviceInfo": {"devEui": "0102030405060708"},
        "fPort": 2,
        "data": "AQI=",
        "deduplicationId": "3ac7",
    }
    bindings = [{"exchange": "amq.topic", "routingKey": "application.*.device.*.event.*"}]
    async with Source(broker, queue, bindings=bindings, preset="chirpstack") as it:
        await until(it.is_up)
        key = "application.7.device.0102030405060708.event.up"
        await deferToThread(broker.publish, key, json.dumps(uplink).encode(), exchange="amq.topic")
        await until(lambda: it.payloads)
        facts = it.intake.received[0][1]
        assert (facts["frame"], facts["uplinkKey"], facts["device"]) == ("0102", "3ac7", "0102030405060708")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"declare": False}, "no queue"),
        ({"bindings": [{"exchange": "nowhere"}]}, "no exchange"),
        ({"password": "not so secret"}, "ACCESS_REFUSED"),
        ({"virtualHost": "elsewhere"}, "elsewhere"),
    ],
)
@ensureDeferred
async def test_what_is_wrong_is_said(broker, queue, settings, words):
    async with Source(broker, queue, **settings) as it:
        said = await it.error()
        assert words in said
        assert "not so secret" not in said


@ensureDeferred
async def test_a_queue_that_is_deleted_is_told_and_waited_for(broker, queue):
    async with Source(broker, queue) as it:
        await until(it.is_up)

        def delete():
            with broker.channel() as channel:
                channel.queue_delete(queue)

        await deferToThread(delete)
        assert "deleted" in await it.error()
        await until(it.is_up)
        await deferToThread(broker.publish, queue, b"x")
        await until(lambda: it.payloads)


@ensureDeferred
async def test_two_gateways_share_a_queue_and_one_takes_over_what_the_other_leaves(broker, queue):
    await deferToThread(broker.declare, queue)
    async with Source(broker, queue, prefetch=20) as first:
        first.intake.auto = False
        async with Source(broker, queue, prefetch=20) as second:
            await until(lambda: first.is_up() and second.is_up())
            await deferToThread(broker.publish, queue, *(b"%d" % number for number in range(100)))
            await until(lambda: len(first.payloads) + len(second.payloads) == 100)
            assert not set(first.payloads) & set(second.payloads)
            assert len(first.payloads) == 20
            held = first.payloads
            for number in range(5):
                first.intake.answer(number)
            await first.source.stop()
            await until(lambda: len(second.payloads) == 95)
            assert second.payloads[-15:] == held[5:]


@pytest.mark.parametrize(("user", "words"), [("guest", ""), ("nobody", "ACCESS_REFUSED")])
@ensureDeferred
async def test_a_client_certificate_says_who_the_gateway_is(broker, queue, user, words):
    tls = broker.certified(user)
    async with Source(broker, queue, port=broker.secure, username="", password="", tls=tls) as it:
        if words:
            assert words in await it.error()
        else:
            await until(it.is_up)
    checked = await target(broker, port=broker.secure, username="", password="", tls=tls).check()
    assert checked["ok"] is not bool(words)


@ensureDeferred
async def test_a_broker_is_reached_by_a_proxy(broker, queue, tmp_path):
    with Tinyproxy(tmp_path / "proxy", "me", "hush-hush") as proxy:
        async with Source(broker, queue, proxy=proxy.url) as it:
            await until(it.is_up)
        assert (await target(broker, proxy=proxy.url).check())["ok"] is True
        assert proxy.asked == [f"127.0.0.1:{broker.port}"] * 2


# --- out ---


@beside_the_reactor(IntegrationContract)
class TestRabbitTarget(BesideTheReactor, IntegrationContract):
    @pytest.fixture(autouse=True)
    def _broker(self, broker):
        broker.declare("contract")
        self.broker = broker
        yield
        self.teardown_method()

    @cached_property
    def context(self):
        return quick("rabbitmq")

    def open(self):
        made = target(self.broker, routingKey="contract")
        self.wait(made.start())
        self.until(lambda: made.status()["state"] == "connected")
        return made


@ensureDeferred
async def test_a_record_is_a_persistent_message_with_its_key_as_id(broker, queue):
    await deferToThread(broker.declare, f"{queue}.a_b")
    it = await started(target(broker, routingKey=f"{queue}.{{{{ deviceName }}}}"))
    verdicts = Verdicts()
    it.send([telemetry(1, "a.b", received_ms=1_700_000_000_000)], verdicts)
    await until(lambda: verdicts.of)
    assert verdicts.of == {1: Delivered()}
    ((body, properties),) = await deferToThread(broker.take, f"{queue}.a_b", 1)
    assert json.loads(body)["key"] == properties.message_id
    assert (properties.delivery_mode, properties.timestamp) == (2, 1_700_000_000)
    await it.stop()


@ensureDeferred
async def test_only_the_messages_that_no_queue_takes_are_refused(broker, queue):
    await deferToThread(broker.declare, f"{queue}.good")
    it = await started(target(broker, routingKey=f"{queue}.{{{{ deviceName }}}}"))
    verdicts = Verdicts()
    it.send(
        [telemetry(seq, "bad" if seq % 3 == 0 else "good", received_ms=1) for seq in range(1, 301)], verdicts
    )
    await until(lambda: len(verdicts.of) == 300)
    refused = {seq for seq, verdict in verdicts.of.items() if isinstance(verdict, Retry)}
    assert refused == {seq for seq in range(1, 301) if seq % 3 == 0}
    assert "NO_ROUTE" in verdicts.of[3].reason
    assert await deferToThread(broker.waiting, f"{queue}.good") == 200
    await it.stop()


@ensureDeferred
async def test_a_full_queue_refuses_a_message(broker, queue):
    limits = {"x-max-length": 1, "x-overflow": "reject-publish"}
    await deferToThread(broker.declare, queue, arguments=limits)
    await deferToThread(broker.publish, queue, b"full")
    it = await started(target(broker, routingKey=queue))
    verdicts = Verdicts()
    for seq in range(1, 20):
        it.send([telemetry(seq, "a", received_ms=1)], verdicts)
    await until(lambda: len(verdicts.of) == 19)
    assert any("Nack" in verdict.reason for verdict in verdicts.of.values() if isinstance(verdict, Retry))
    await it.stop()


@ensureDeferred
async def test_a_routing_key_that_is_too_long_is_refused_by_itself(broker, queue):
    await deferToThread(broker.declare, "short")
    it = await started(target(broker, routingKey="{{ deviceName }}"))
    verdicts = Verdicts()
    it.send([telemetry(1, "x" * 300, received_ms=1), telemetry(2, "short", received_ms=1)], verdicts)
    await until(lambda: len(verdicts.of) == 2)
    assert isinstance(verdicts.of[1], Rejected)
    assert isinstance(verdicts.of[2], Delivered)
    await it.stop()


@ensureDeferred
async def test_nothing_is_sent_before_there_is_a_connection_or_an_exchange(broker):
    it = target(broker, exchange="nowhere")
    verdicts = Verdicts()
    it.send([telemetry(1, "a", received_ms=1)], verdicts)
    assert isinstance(verdicts.of[1], Unavailable)
    await it.start()
    await until(lambda: "no exchange" in (it.status()["lastError"] or ""))
    checked = await it.check()
    assert checked["ok"] is False
    assert "no exchange" in checked["detail"]
    await it.stop()


@pytest.mark.parametrize(("ca", "ok"), [("broker's", True), ("none", False)])
@ensureDeferred
async def test_a_broker_s_certificate_is_checked(broker, ca, ok):
    tls = {"ca": broker.ca} if ca == "broker's" else {}
    checked = await target(broker, port=broker.secure, tls=tls).check()
    assert checked["ok"] is ok
    assert ok or "certificate" in checked["detail"]


@ensureDeferred
async def test_nothing_is_connected_to_where_the_operator_forbids_it(broker, queue):
    forbidding = Connector(reactor, ["loopback"])
    async with Source(broker, queue, forbidding) as it:
        assert "forbidden" in await it.error()
    assert "forbidden" in (await target(broker, forbidding).check())["detail"]
