"""Messages into a real Kafka cluster and out of it, by a client of the tests' own."""

import asyncio
import base64
import json

import aiokafka
from aiokafka.record.util import calc_crc32c
from twisted.internet import reactor

from iotgw.connect.asyncio_thread import AsyncioThread
from iotgw.datasources.kafka.datasource import KafkaSourceType
from iotgw.integrations.kafka import KafkaType

from .reading import Reading, a_target

THREAD = AsyncioThread(reactor)


def run(coroutine):
    """In a thread with its own loop; a Deferred."""
    return THREAD.run(coroutine)


async def make_topic(broker, *names, partitions=4):
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        await client.create_topics([NewTopic(name, partitions, 1) for name in names])
    finally:
        await client.close()


async def add_partitions(broker, topic, count):
    """A topic gets so many in all."""
    from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        await client.create_partitions({topic: NewPartitions(count)})
    finally:
        await client.close()


async def forget_before(broker, topic, partition, offset):
    """The broker deletes what is older, as a topic's retention has it."""
    from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        await client.delete_records(
            {aiokafka.TopicPartition(topic, partition): RecordsToDelete(before_offset=offset)}
        )
    finally:
        await client.close()


async def produce(broker, topic, messages, partition=None):
    """Messages are ``(key, value)`` or ``(key, value, headers)``."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address, enable_idempotence=True)
    await producer.start()
    try:
        for key, value, *headers in messages:
            more = headers[0] if headers else []
            await producer.send(topic, value, key=key and key.encode(), headers=more, partition=partition)
        await producer.flush()
    finally:
        await producer.stop()


async def produce_unreadable(broker, topic, partition):
    """A message with a header whose name is no text. Its checksum is right, so the broker takes it."""
    producer = aiokafka.AIOKafkaProducer(bootstrap_servers=broker.address)
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(timestamp=None, key=b"a", value=b"odd", headers=[("NAME", b"value")])
        written = batch._build()
        place = written.index(b"NAME")
        written[place : place + 4] = b"\xff\xfe\xff\xfe"
        written[17:21] = calc_crc32c(bytes(written[21:])).to_bytes(4, "big")
        await (await producer.send_batch(batch, topic, partition=partition))
    finally:
        await producer.stop()


def readings(count, first=0, devices=10):
    """``count`` numbered messages of some devices."""
    return [
        (f"meter-{n % devices}", json.dumps({"deviceName": f"meter-{n % devices}", "n": n}).encode())
        for n in range(first, first + count)
    ]


async def consume(broker, topic, enough, group=None):
    """Records from the beginning, until ``enough(records)``."""
    consumer = aiokafka.AIOKafkaConsumer(
        topic, bootstrap_servers=broker.address, auto_offset_reset="earliest", group_id=group
    )
    await consumer.start()
    found = []
    try:
        while not enough(found):
            batch = await consumer.getmany(timeout_ms=200)
            for records in batch.values():
                found += records
    finally:
        await consumer.stop()
    return found


async def committed(broker, group, topic, partitions=4):
    """What a group has committed, for each partition."""
    from aiokafka.admin import AIOKafkaAdminClient

    client = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await client.start()
    try:
        found = await client.list_consumer_group_offsets(group)
    finally:
        await client.close()
    return {place.partition: said.offset for place, said in found.items() if place.topic == topic}


class Steady:
    """Numbered messages, a hundred a second, from now until `finish`."""

    def __init__(self, broker, topic, devices=10):
        self._ends = False
        self._sent = run(self._send(broker, topic, devices))

    def finish(self):
        """Send no more; a Deferred of how many the broker has."""
        self._ends = True
        return self._sent

    async def _send(self, broker, topic, devices):
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=broker.address, enable_idempotence=True, request_timeout_ms=300_000
        )
        await producer.start()
        reported, number = [], 0
        try:
            while not self._ends:
                ((key, value),) = readings(1, number, devices)
                reported.append(await producer.send(topic, value, key=key.encode()))
                number += 1
                await asyncio.sleep(0.01)
            await asyncio.gather(*reported)
        finally:
            await producer.stop()
        return number


class Source(Reading):
    def __init__(self, broker, connector=None, checkpoints=None, **settings):
        settings = {"brokers": [broker.address], **settings}
        super().__init__(KafkaSourceType, settings, connector, checkpoints=checkpoints)


def target(broker, connector=None, **settings):
    return a_target(KafkaType, {"brokers": [broker.address], **settings}, connector)


def token(claims):
    """A token that nobody signed, which the broker takes for the tests."""
    parts = [{"alg": "none"}, claims]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*coded, ""])


def secured(broker, sasl, **tls):
    return {
        "brokers": [f"127.0.0.1:{broker.sasl}"], "sasl": sasl, "tls": {"ca": broker.ca, **tls},
    }  # fmt: skip
