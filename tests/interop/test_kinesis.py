"""The types ``aws-kinesis``, in and out, with kinesalite's streams."""

from __future__ import annotations

import json
from functools import cached_property

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from iotgw.connect.endpoint import Connector
from iotgw.core.verdict import Delivered, Unavailable
from iotgw.datasources.kinesis.datasource import KinesisSourceType
from iotgw.integrations.kinesis import KinesisType
from iotgw.testing import (
    MemoryCheckpoints,
    Verdicts,
    telemetry,
)
from iotgw.testing.contracts import IntegrationContract
from tests.peers.aws import KEYS, REGION, Kinesalite, Moto
from tests.unit.greenlets import BesideTheReactor, beside_the_reactor

from .delivering import until
from .reading import Reading, a_target, name_of, quick

pytestmark = pytest.mark.interop


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with Kinesalite(tmp_path_factory.mktemp("kinesalite")) as made:
        yield made


@pytest.fixture
def stream(request, aws):
    return aws.stream(name_of(request))


class Source(Reading):
    def __init__(self, aws, stream, checkpoints=None, connector=None, **settings):
        place = {"stream": stream, "region": REGION, "endpoint": aws.url, "interval": 0.2, **KEYS}
        self.checkpoints = checkpoints or MemoryCheckpoints()
        super().__init__(KinesisSourceType, {**place, **settings}, connector, checkpoints=self.checkpoints)


def target(aws, stream, connector=None, **settings):
    place = {"stream": stream, "region": REGION, "endpoint": aws.url, **KEYS}
    return a_target(KinesisType, {**place, **settings}, connector)


def readings(first, count, devices=5):
    return [(f"meter-{n % devices}", b"%d" % n) for n in range(first, first + count)]


def in_order(received):
    """The numbers of each device, in the order in which they came."""
    found = {}
    for payload, facts in received:
        found.setdefault(facts["device"], []).append(int(payload))
    return all(numbers == sorted(numbers) for numbers in found.values())


# --- in ---


@ensureDeferred
async def test_the_records_of_a_device_come_in_order(aws, stream):
    await deferToThread(aws.put, stream, *readings(0, 60))
    async with Source(aws, stream) as it:
        await until(lambda: len(it.payloads) == 60)
        assert in_order(it.intake.received)
        facts = it.intake.received[0][1]
        assert facts["uplinkKey"] == f"{stream}/{facts['shard']}/{facts['sequenceNumber']}"
        assert it.source.status()["shards"] == 2


@ensureDeferred
async def test_a_restart_reads_on_after_the_durable_prefix(aws, stream):
    await deferToThread(aws.put, stream, *[("one", b"%d" % n) for n in range(6)])
    async with Source(aws, stream) as first:
        first.intake.auto = False
        await until(lambda: len(first.payloads) == 6)
        for number in (0, 1, 3):
            first.intake.answer(number)
    async with Source(aws, stream, first.checkpoints) as second:
        await until(lambda: len(second.payloads) == 4)
        assert second.payloads == [b"2", b"3", b"4", b"5"]


@ensureDeferred
async def test_a_stream_that_is_split_and_merged_keeps_each_device_s_order(aws, stream):
    async with Source(aws, stream) as it:
        await deferToThread(aws.put, stream, *readings(0, 40))
        await until(lambda: len(it.payloads) == 40)
        first, *_ = await deferToThread(aws.shards, stream)
        middle = int(first["HashKeyRange"]["EndingHashKey"]) // 2
        await deferToThread(
            aws.kinesis, "SplitShard", StreamName=stream, ShardToSplit=first["ShardId"],
            NewStartingHashKey=str(middle),
        )  # fmt: skip
        await deferToThread(aws.wait_until_active, stream)
        await deferToThread(aws.put, stream, *readings(40, 40))
        await until(lambda: len(it.payloads) == 80)
        open_ = [
            each
            for each in await deferToThread(aws.shards, stream)
            if "EndingSequenceNumber" not in each["SequenceNumberRange"]
        ]
        open_.sort(key=lambda each: int(each["HashKeyRange"]["StartingHashKey"]))
        await deferToThread(
            aws.kinesis, "MergeShards", StreamName=stream, ShardToMerge=open_[0]["ShardId"],
            AdjacentShardToMerge=open_[1]["ShardId"],
        )  # fmt: skip
        await deferToThread(aws.wait_until_active, stream)
        await deferToThread(aws.put, stream, *readings(80, 40))
        await until(lambda: len(it.payloads) == 120)
        assert in_order(it.intake.received)
        assert it.source.status()["endedShards"] == 3
    async with Source(aws, stream, it.checkpoints) as again:
        await deferToThread(aws.put, stream, ("meter-0", b"1000"))
        await until(lambda: again.payloads)
        assert again.payloads == [b"1000"]


@ensureDeferred
async def test_a_full_gateway_reads_no_more(aws, stream):
    await deferToThread(aws.put, stream, *readings(0, 30))
    async with Source(aws, stream) as it:
        it.intake.fill()
        await until(lambda: it.source.status().get("pausedShards"))
        it.intake.drain()
        await until(lambda: len(it.payloads) == 30)
        assert in_order(it.intake.received)


@ensureDeferred
async def test_the_latest_are_those_after_the_first_start(tmp_path):
    # kinesalite never answers a request for a time after which nothing came
    with Moto(tmp_path / "moto") as moto:
        await deferToThread(moto.kinesis, "CreateStream", StreamName="s", ShardCount=1)
        await deferToThread(moto.put, "s", ("a", b"old"))
        async with Source(moto, "s", **{"from": "latest"}) as it:
            await until(lambda: it.source.status()["shards"] == 1)
            await deferToThread(moto.put, "s", ("a", b"new"))
            await until(lambda: it.payloads)
            assert it.payloads == [b"new"]


@ensureDeferred
async def test_a_stream_that_is_not_there_is_said_and_waited_for(aws):
    async with Source(aws, "nowhere") as it:
        said = await it.error()
        assert "ResourceNotFoundException" in said
        assert "not so secret" not in said
        await deferToThread(aws.stream, "nowhere", 1)
        await deferToThread(aws.put, "nowhere", ("a", b"x"))
        await until(lambda: it.payloads)


# --- out ---


@beside_the_reactor(IntegrationContract)
class TestKinesisTarget(BesideTheReactor, IntegrationContract):
    @pytest.fixture(autouse=True)
    def _stream(self, aws, stream):
        self.place = aws, stream
        yield
        self.teardown_method()

    @cached_property
    def context(self):
        return quick("aws-kinesis")

    def open(self):
        made = target(*self.place)
        self.wait(made.start())
        return made


@ensureDeferred
async def test_records_are_records_of_the_shard_that_their_key_says(aws, stream):
    it, verdicts = target(aws, stream), Verdicts()
    it.send([telemetry(seq, f"a{seq}", received_ms=1) for seq in range(1, 31)], verdicts)
    await until(lambda: len(verdicts.of) == 30)
    assert set(verdicts.of.values()) == {Delivered()}
    found = await deferToThread(aws.records, stream)
    records = [each for some in found.values() for each in some]
    assert {key for key, _ in records} == {f"a{seq}" for seq in range(1, 31)}
    assert all(json.loads(data)["deviceName"] == key for key, data in records)
    assert len([some for some in found.values() if some]) == 2
    await it.stop()


@ensureDeferred
async def test_a_stream_that_is_not_there_charges_no_message(aws):
    it, verdicts = target(aws, "absent"), Verdicts()
    it.send([telemetry(1, "a", received_ms=1)], verdicts)
    await until(lambda: verdicts.of)
    assert isinstance(verdicts.of[1], Unavailable)
    checked = await it.check()
    assert (checked["ok"], "ResourceNotFoundException" in checked["detail"]) == (False, True)
    await it.stop()


@ensureDeferred
async def test_a_check_finds_the_stream(aws, stream):
    it = target(aws, stream)
    assert (await it.check())["ok"] is True
    await it.stop()


@ensureDeferred
async def test_nothing_is_connected_to_where_the_operator_forbids_it(aws, stream):
    forbidding = Connector(reactor, ["loopback"])
    async with Source(aws, stream, connector=forbidding) as it:
        assert "forbidden" in await it.error()
    it = target(aws, stream, forbidding)
    assert "forbidden" in (await it.check())["detail"]
    await it.stop()
