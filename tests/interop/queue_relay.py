"""Queue → gateway → queue, with the real brokers of the tests: messages of some devices, and whether all of them come out, in order."""

from __future__ import annotations

import asyncio
import json
import threading
from itertools import pairwise

import aiokafka

from tests.peers.aws import KEYS, REGION, Kinesalite, Moto
from tests.peers.kafka import Kafka
from tests.peers.process import wait_until
from tests.peers.pubsub import Pubsub
from tests.peers.rabbitmq import RabbitMq

from .kafka_field import consume, make_topic

DEVICES = 10
LOOPBACK = "127.0.0.1"


class Queue:
    """A broker with a queue to read and one to write. ``source`` and ``target`` are a type and its configuration each; ``put(device, body,
    number)`` sends a message, ``taken(enough)`` gives what came out, once it is enough. ``keeps`` says whether a killed one has all on
    disk."""

    keeps = False
    keeps_order = True
    """Whether what wasn't acknowledged in time comes again in its order."""
    notices = False
    """Whether its client notices within 20 seconds that nothing comes any more; a request that waits for messages may take longer."""

    def prepare(self):
        """Make the queues; the broker runs."""

    def close(self):
        """No more is put or taken."""


class Sqs(Queue):
    """A FIFO queue; moto holds it in memory. Where several messages of a group were lent and their time is over, moto gives out the last of them first,
    and a request that waited longer than another may get a group's next message. SQS does neither, so the order isn't judged here."""

    keeps = keeps_order = False

    def __init__(self, folder, host=LOOPBACK):
        self.service = Moto(folder, host)

    def prepare(self):
        self._in, self._out = (self.service.queue(f"{name}.fifo") for name in ("in", "out"))

    @property
    def source(self):
        return "aws-sqs", {
            **KEYS,
            "queueUrl": self._in,
            "region": REGION,
            "wait": 2,
            "visibility": 10,
        }

    @property
    def target(self):
        return "aws-sqs", {**KEYS, "queueUrl": self._out, "region": REGION, "timeout": 3}

    def put(self, device, body, number):
        self.service.send(self._in, body.decode(), MessageGroupId=device, MessageDeduplicationId=str(number))

    def taken(self, enough):
        return [each["Body"] for each in self.service.receive(self._out, lambda found: enough([each["Body"] for each in found]))]  # fmt: skip


class Kinesis(Queue):
    """A stream with two shards, on disk."""

    keeps = True

    def __init__(self, folder, host=LOOPBACK):
        self.service = Kinesalite(folder, host)

    def prepare(self):
        for name in ("in", "out"):
            self.service.stream(name)

    @property
    def _place(self):
        return {**KEYS, "region": REGION, "endpoint": self.service.url}

    @property
    def source(self):
        return "aws-kinesis", {**self._place, "stream": "in", "interval": 0.2}

    @property
    def target(self):
        return "aws-kinesis", {**self._place, "stream": "out", "timeout": 3}

    def put(self, device, body, number):
        self.service.put("in", (device, body))

    def taken(self, enough):
        def look():
            found = [data for some in self.service.records("out").values() for _, data in some]
            return found if enough(found) else None

        return wait_until(look, 60, "all records")


class PubsubTopic(Queue):
    """A subscription with message ordering, in memory."""

    keeps = False

    def __init__(self, folder, host=LOOPBACK):
        self.service = Pubsub(folder, host)

    def prepare(self):
        for name in ("read", "written"):
            self.service.subscribe(name, ordered=True)

    @property
    def source(self):
        return "google-pubsub", {**self.service.place, "subscription": "read"}

    @property
    def target(self):
        return "google-pubsub", {**self.service.place, "topic": "written", "timeout": 3}

    def put(self, device, body, number):
        self.service.publish("read", body, orderingKey=device)

    def taken(self, enough):
        found = self.service.receive("written", lambda found: enough([each["data"] for each in found]))
        return [each["data"] for each in found]


class KafkaTopic(Queue):
    """A topic with four partitions; a device's messages are in one."""

    keeps = notices = True

    def __init__(self, folder, host=LOOPBACK):
        self.service = Kafka(folder, host)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def prepare(self):
        self._thread.start()
        self._run(make_topic(self.service, "in", "out"))
        self._producer = self._run(self._open())

    async def _open(self):
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=self.service.address, enable_idempotence=True)
        await producer.start()
        return producer

    def _run(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self):
        self._run(self._producer.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def source(self):
        place = {"brokers": [self.service.address], "sessionTimeout": 6}
        return "kafka", {**place, "topics": ["in"], "group": "in"}

    @property
    def target(self):
        return "kafka", {"brokers": [self.service.address], "topic": "out"}

    def put(self, device, body, number):
        self._run(self._producer.send_and_wait("in", body, key=device.encode()))

    def taken(self, enough):
        def are_enough(records):
            return enough([record.value for record in records])

        return [record.value for record in self._run(consume(self.service, "out", are_enough))]


class RabbitQueue(Queue):
    """A durable queue."""

    keeps = notices = True

    def __init__(self, folder, host=LOOPBACK):
        self.service = RabbitMq(folder, host)

    def prepare(self):
        self.service.declare("in", "out")

    @property
    def _place(self):
        return {"host": self.service.host, "port": self.service.port, "password": "guest", "heartbeat": 5}

    @property
    def source(self):
        return "rabbitmq", {**self._place, "queue": "in", "prefetch": 200}

    @property
    def target(self):
        return "rabbitmq", {**self._place, "routingKey": "out"}

    def put(self, device, body, number):
        self.service.publish("in", body, message_id=str(number))

    def taken(self, enough):
        found = []
        while not enough(found):
            found += [body for body, _ in self.service.take("out", 1)]
        return found


class Relay:
    """What a gateway reads of one queue and writes to another under a name of its own, and messages of some devices, one after another, until all are to
    have arrived."""

    def __init__(self, gateway, cloud, name="relay"):
        self.cloud = cloud
        self.gateway = gateway
        kind, configuration = cloud.source
        self._source = self.gateway.create(
            "datasources", name=f"{name}-in", type=kind, converter="json", configuration=configuration
        )["id"]
        kind, configuration = cloud.target
        self._target = self.gateway.create(
            "integrations",
            name=f"{name}-out",
            type=kind,
            retry={"cap": 2},
            configuration=configuration,
            route={"datasources": [f"{name}-in"]},
        )["id"]
        wait_until(lambda: self.status["state"] == "connected", 60, "the source")
        self.count = 0
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._send, daemon=True)
        self._thread.start()

    def _send(self):
        while not self._ends.wait(0.02):
            device = f"meter-{self.count % DEVICES}"
            body = json.dumps({"deviceName": device, "n": self.count}).encode()
            try:
                self.cloud.put(device, body, self.count)
            except (OSError, AssertionError):
                continue  # the service is away; the same one is sent again
            self.count += 1

    @property
    def status(self):
        return self.gateway.api("GET", f"/datasources/{self._source}").json["status"]

    def passed(self, more):
        """Wait until so many more messages were taken."""
        first = self.count
        wait_until(lambda: self.count >= first + more, 60, "messages")

    def all_arrived(self):
        """All numbers arrive, each device's in order, and the accounts balance."""
        self._ends.set()
        self._thread.join()
        wanted = set(range(self.count))

        def numbers(found):
            return [json.loads(each)["telemetry"][0]["values"]["n"] for each in found]

        found = numbers(self.cloud.taken(lambda found: wanted <= set(numbers(found))))
        first = list(dict.fromkeys(found))
        for device in range(DEVICES) if self.cloud.keeps_order else ():
            mine = [number for number in first if number % DEVICES == device]
            assert all(a < b for a, b in pairwise(mine)), (device, mine)

        def is_balanced():
            stats = self.gateway.api("GET", f"/integrations/{self._target}/stats").json
            return stats["balanced"] and not stats["waiting"] and not stats["inflight"]

        wait_until(is_balanced, 60, "the accounts")
        counts = self.status["counts"]
        assert counts["received"] == counts["converted"]
        return counts["received"]

    def fails_one(self):
        """One more message that can't be converted: it is failed, acknowledged all the same, and what was received is what became of it."""
        self.cloud.put("meter-0", b"rubbish", self.count)

        def is_failed():
            counts = self.status["counts"]
            return counts.get("failed") == 1 and counts

        counts = wait_until(is_failed, 60, "the failed message")
        assert counts["received"] == counts["converted"] + counts["failed"] == self.count + 1
