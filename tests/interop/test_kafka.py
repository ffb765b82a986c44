"""The types ``kafka``, in and out, with a real Kafka broker."""

from __future__ import annotations

import base64
import json
import time
from functools import cached_property

import msgspec
import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor

from iotgw.connect.endpoint import Connector
from iotgw.core.model import Status
from iotgw.core.verdict import Delivered, Rejected, Unavailable
from iotgw.datasources.vendors.azure import EventHubSourceType, IotHubSourceType
from iotgw.integrations.azure import EventHubType
from iotgw.testing import (
    FakeIntake,
    Verdicts,
    datasource_context,
    integration_context,
    telemetry,
)
from iotgw.testing.contracts import IntegrationContract
from tests.peers.http_sink import HttpSink
from tests.peers.kafka import PASSWORD, USER, Kafka
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor

from .delivering import until
from .kafka_field import (
    Source,
    committed,
    consume,
    make_topic,
    produce,
    readings,
    run,
    secured,
    target,
    token,
)

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    with Kafka(tmp_path_factory.mktemp("kafka")) as made:
        yield made


@pytest.fixture
def topic(request):
    return "".join(char if char.isalnum() else "-" for char in request.node.name)[-80:].strip("-")


# --- in ---


@ensureDeferred
async def test_a_message_is_an_uplink_of_the_device_that_its_key_names(broker, topic):
    await run(
        produce(
            broker,
            topic,
            [("SN-1", b"hello", [("unit", b"C"), ("Authorization", b"secret"), ("raw", b"\xff")])],
        )
    )
    async with Source(broker, topics=[topic]) as it:
        await until(lambda: it.payloads)
    ((payload, facts),) = it.intake.received
    assert payload == b"hello"
    assert (facts["device"], facts["key"], facts["topic"], facts["offset"]) == ("SN-1", "SN-1", topic, 0)
    assert (facts["Header:unit"], facts["Header:raw"]) == ("C", "ff")
    assert "Header:Authorization" not in facts
    assert facts["uplinkKey"] == f"{topic}/{facts['partition']}/0@{facts['timestamp']}"


@ensureDeferred
async def test_a_header_may_name_the_device_and_a_deletion_is_no_message(broker, topic):
    messages = [("a", None), ("a", b"x", [("id", b"SN-7")])]
    await run(produce(broker, topic, messages, partition=0))
    async with Source(broker, topics=[topic], deviceHeader="id") as it:
        await until(lambda: it.payloads)
        assert it.intake.received[0][1]["device"] == "SN-7"
        assert it.source.status()["tombstones"] == 1


@ensureDeferred
async def test_each_partition_s_messages_come_in_order_and_are_committed(broker, topic):
    await run(make_topic(broker, topic))
    await run(produce(broker, topic, readings(3000)))
    async with Source(broker, topics=[topic], group=topic) as it:
        await until(lambda: len(it.payloads) >= 3000)
        places = {}
        for _, facts in it.intake.received:
            places.setdefault(facts["partition"], []).append(facts["offset"])
        assert all(offsets == list(range(len(offsets))) for offsets in places.values())
    offsets = await run(committed(broker, topic, topic))
    assert {place: offsets[place] for place in places} == {
        place: len(found) for place, found in places.items()
    }


@ensureDeferred
async def test_only_the_durable_prefix_is_committed_and_the_rest_comes_again(broker, topic):
    await run(make_topic(broker, topic, partitions=1))
    await run(produce(broker, topic, readings(5)))
    async with Source(broker, topics=[topic], group=topic) as first:
        first.intake.auto = False
        await until(lambda: len(first.payloads) == 5)
        for number in (0, 1, 3, 4):
            first.intake.answer(number)
    assert await run(committed(broker, topic, topic)) == {0: 2}
    async with Source(broker, topics=[topic], group=topic) as second:
        await until(lambda: len(second.payloads) == 3)
        assert second.payloads == first.payloads[2:]
        assert [facts["uplinkKey"].partition("@")[0] for _, facts in second.intake.received] == [
            f"{topic}/0/{n}" for n in (2, 3, 4)
        ]


@ensureDeferred
async def test_nothing_is_fetched_without_end_while_the_gateway_is_full(broker, topic):
    await run(make_topic(broker, topic, partitions=2))
    async with Source(broker, topics=[topic]) as it:
        it.intake.fill()
        await run(produce(broker, topic, readings(5000)))
        await until(lambda: it.source.status().get("pausedPartitions") == 2)
        assert it.payloads == []
        it.intake.drain()
        await until(lambda: len(it.payloads) >= 5000)
        assert sorted(json.loads(payload)["n"] for payload in it.payloads) == list(range(5000))
        assert "pausedPartitions" not in it.source.status()


@ensureDeferred
async def test_a_message_that_the_journal_refused_is_handed_over_again(broker, topic):
    await run(produce(broker, topic, [("a", b"again")]))
    async with Source(broker, topics=[topic]) as it:
        it.intake.auto = False
        await until(lambda: it.payloads)
        it.intake.answer(0, Status.BUSY)
        await until(lambda: len(it.payloads) == 2)


@ensureDeferred
async def test_topics_that_appear_later_are_found_by_their_pattern(broker, topic):
    async with Source(broker, pattern=f"{topic}-.*", group=topic) as it:
        await until(lambda: it.source.status()["state"] == "connected")
        await run(make_topic(broker, f"{topic}-new", f"other-{topic}", partitions=1))
        await run(produce(broker, f"other-{topic}", [("a", b"not for us")]))
        await run(produce(broker, f"{topic}-new", [("a", b"for us")]))
        await until(lambda: it.payloads, 60)
        assert it.payloads == [b"for us"]


@ensureDeferred
async def test_a_new_group_may_begin_with_the_next_message(broker, topic):
    await run(make_topic(broker, topic, partitions=1))
    await run(produce(broker, topic, [("a", b"old")]))
    async with Source(broker, topics=[topic], **{"from": "latest"}) as it:
        await until(lambda: it.source.status().get("waiting") == 0)
        await run(produce(broker, topic, [("a", b"new")]))
        await until(lambda: it.payloads)
        assert it.payloads == [b"new"]


@ensureDeferred
async def test_a_platform_s_messages_are_read_by_its_preset(broker, topic):
    uplink = {
        "deviceInfo": {"devEui": "0102030405060708"}, "fPort": 2, "fCnt": 7, "data": base64.b64encode(b"\x01\x02").decode(),
        "deduplicationId": "3ac7e3c4-4401-4b8d-9386-a5c902f9202d",
    }  # fmt: skip
    await run(
        produce(
            broker, topic, [("application.1.device.0102030405060708.event.up", json.dumps(uplink).encode())]
        )
    )
    async with Source(broker, topics=[topic], preset="chirpstack", keyIsDevice=False) as it:
        await until(lambda: it.payloads)
        facts = it.intake.received[0][1]
        assert facts["frame"] == "0102"
        assert facts["uplinkKey"] == "3ac7e3c4-4401-4b8d-9386-a5c902f9202d"


# --- out ---


@beside_the_reactor(IntegrationContract)
class TestKafkaTarget(BesideTheReactor, IntegrationContract):
    @pytest.fixture(autouse=True)
    def _broker(self, broker):
        self.broker = broker
        yield
        self.teardown_method()

    @cached_property
    def context(self):
        return integration_context(reactor=reactor)

    def open(self):
        made = target(self.broker, topic="contract")
        self.wait(made.start())
        self.until(lambda: made.status()["state"] == "connected")
        return made


@ensureDeferred
async def test_a_record_has_its_topic_key_time_and_idempotency_key(broker, topic):
    it = target(broker, topic=f"{topic}.{{{{ deviceName }}}}")
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    verdicts = Verdicts()
    it.send([telemetry(1, "a/b", received_ms=1_700_000_000_000)], verdicts)
    await until(lambda: verdicts.of)
    assert verdicts.of == {1: Delivered()}
    (record,) = await run(consume(broker, f"{topic}.a_b", len))
    assert (record.key, record.timestamp) == (b"a/b", 1_700_000_000_000)
    assert json.loads(record.value)["key"] == dict(record.headers)["idempotency-key"].decode()
    await it.stop()


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
@ensureDeferred
async def test_batches_may_be_compressed(broker, topic, compression):
    it = target(broker, topic=topic, compression=compression)
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    verdicts = Verdicts()
    it.send([telemetry(seq, f"d{seq % 7}", received_ms=1) for seq in range(1, 501)], verdicts)
    await until(lambda: len(verdicts.of) == 500)
    await it.stop()
    records = await run(consume(broker, topic, lambda found: len(found) >= 500))
    assert len(records) == 500
    async with Source(broker, topics=[topic]) as source:
        await until(lambda: len(source.payloads) == 500)


@ensureDeferred
async def test_a_message_that_is_too_large_is_refused_by_itself(broker, topic):
    it = target(broker, topic=topic, key="", largest=3_000_000)
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    large = telemetry(2, "large", {"text": "x" * 2_000_000}, received_ms=1)
    verdicts = Verdicts()
    it.send([telemetry(1, "a", received_ms=1), large, telemetry(3, "b", received_ms=1)], verdicts)
    await until(lambda: isinstance(verdicts.of.get(2), Rejected))
    await until(lambda: it.status()["state"] == "connected")
    late = Verdicts()
    it.send([telemetry(4, "c", received_ms=1)], late)
    await until(lambda: late.of)
    assert late.of == {4: Delivered()}
    assert {1, 3} <= {seq for seq, verdict in verdicts.of.items() if not isinstance(verdict, Rejected)}
    await it.stop()


@ensureDeferred
async def test_nothing_is_sent_before_there_is_a_connection(broker):
    it = target(broker)
    verdicts = Verdicts()
    it.send([telemetry(1, "a", received_ms=1)], verdicts)
    assert isinstance(verdicts.of[1], Unavailable)


# --- who is there ---


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@ensureDeferred
async def test_the_brokers_take_a_user_and_say_when_they_don_t(broker, topic, mechanism):
    good = {"mechanism": mechanism, "username": USER, "password": PASSWORD}
    await run(produce(broker, topic, [("a", b"x")]))
    async with Source(broker, topics=[topic], **secured(broker, good)) as it:
        await until(lambda: it.payloads)
    assert (await target(broker, **secured(broker, good)).check())["ok"] is True
    bad = secured(broker, {**good, "password": "not so secret"})
    checked = await target(broker, **bad).check()
    assert checked["ok"] is False
    assert "uthentication" in checked["detail"]
    assert "not so secret" not in checked["detail"]
    async with Source(broker, topics=[topic], **bad) as it:
        assert "uthentication" in await it.error()


@ensureDeferred
async def test_a_token_comes_from_its_server_and_is_renewed(broker, topic, tmp_path):
    await run(produce(broker, topic, [("a", b"x")]))
    now = int(time.time())
    made = token({"sub": "gateway", "iat": now, "exp": now + 3600})
    with HttpSink(tmp_path / "sink") as server:
        server.always({"status": 200, "body": json.dumps({"access_token": made, "expires_in": 3600})})
        sasl = {
            "mechanism": "OAUTHBEARER",
            "oauth2": {"tokenUrl": server.url, "clientId": "me", "clientSecret": "hidden"},
        }
        async with Source(broker, topics=[topic], **secured(broker, sasl)) as it:
            await until(lambda: it.payloads)
        assert (await target(broker, **secured(broker, sasl)).check())["ok"] is True


@ensureDeferred
async def test_a_client_certificate_lets_in(broker, topic):
    await run(produce(broker, topic, [("a", b"x")]))
    mine = broker.authority.issue("gateway")
    tls = {"ca": broker.ca, "certificate": mine.pem().decode(), "key": mine.key_pem().decode()}
    where = {"brokers": [f"127.0.0.1:{broker.mutual}"]}
    async with Source(broker, topics=[topic], tls=tls, **where) as it:
        await until(lambda: it.payloads)
    assert (await target(broker, tls=tls, **where).check())["ok"] is True
    assert (await target(broker, tls={"ca": broker.ca}, **where).check())["ok"] is False


@pytest.mark.parametrize(
    ("tls", "words"),
    [
        ({}, "not trusted"),
        ({"serverName": "elsewhere.example"}, "another name"),
        ({"serverName": "broker.example"}, ""),
    ],
)
@ensureDeferred
async def test_a_broker_s_certificate_is_checked(broker, tls, words):
    sasl = {"mechanism": "PLAIN", "username": USER, "password": PASSWORD}
    settings = secured(broker, sasl, **tls)
    if not tls:
        del settings["tls"]["ca"]
    checked = await target(broker, **settings).check()
    assert checked["ok"] is (not words)
    assert words in checked["detail"]


@ensureDeferred
async def test_nothing_is_connected_to_where_the_operator_forbids_it(broker, topic):
    forbidding = Connector(reactor, ["loopback"])
    async with Source(broker, forbidding, topics=[topic]) as it:
        assert "forbidden" in await it.error()
    assert "forbidden" in (await target(broker, forbidding).check())["detail"]


# --- Azure ---


@ensureDeferred
async def test_an_event_hub_is_read_and_written_by_its_connection_string(broker, topic):
    settings = {"connectionString": broker.hub, "eventHub": topic, "tls": {"ca": broker.ca}}
    out = EventHubType(reactor, connector=Connector(reactor))
    it = out.build(msgspec.convert(settings, out.settings), integration_context(reactor=reactor))
    assert (await it.check())["ok"] is True
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    verdicts = Verdicts()
    it.send([telemetry(1, "SN-1", received_ms=1)], verdicts)
    await until(lambda: verdicts.of)
    await it.stop()
    type_, intake = EventHubSourceType(reactor, Connector(reactor)), FakeIntake()
    source = type_.build(msgspec.convert(settings, type_.settings), datasource_context(intake, reactor))
    await source.start()
    await until(lambda: intake.received)
    assert intake.received[0][1]["device"] == "SN-1"
    await source.stop()


@ensureDeferred
async def test_a_message_of_an_iot_hub_is_of_the_device_that_the_hub_authenticated(broker, topic):
    properties = [
        ("iothub-connection-device-id", b"\xa1\x04SN-7"),
        ("iothub-enqueuedtime", b"\x83\x00\x00\x01\x8b\xcf\xe5h\x00"),
    ]
    await run(produce(broker, topic, [("liar", b"{}", properties)]))
    type_, intake = IotHubSourceType(reactor, Connector(reactor)), FakeIntake()
    settings = {"connectionString": broker.emulated, "eventHub": topic}
    source = type_.build(msgspec.convert(settings, type_.settings), datasource_context(intake, reactor))
    await source.start()
    await until(lambda: intake.received)
    facts = intake.received[0][1]
    assert (facts["device"], facts["Header:iothub-enqueuedtime"]) == ("SN-7", 1_700_000_000_000)
    await source.stop()


@ensureDeferred
async def test_a_topic_s_name_that_kafka_takes_nowhere_is_refused(broker, topic):
    it = target(broker, topic=f"{'x' * 200}{{{{ deviceName }}}}")
    await it.start()
    await until(lambda: it.status()["state"] == "connected")
    verdicts = Verdicts()
    it.send([telemetry(1, "y" * 60, received_ms=1)], verdicts)
    assert isinstance(verdicts.of[1], Rejected)
    await it.stop()
