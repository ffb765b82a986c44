"""The kinds of queues that a gateway reads and writes, each at a real broker of the tests."""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue

import aiokafka
import paho.mqtt.client as paho

from tests.peers.aws import KEYS, REGION, ElasticMq, Kinesalite
from tests.peers.kafka import Kafka
from tests.peers.mosquitto import SavingMosquitto
from tests.peers.patience import HANGS
from tests.peers.process import wait_until
from tests.peers.pubsub import Pubsub
from tests.peers.rabbitmq import RabbitMq

from .kafka_field import consume, make_topic

LOOPBACK = "127.0.0.1"


class Queue:
    """A broker with a queue to read and one to write. ``source`` and ``target`` are a type and its configuration each; ``put(device, body,
    number)`` sends a message, ``taken(enough)`` gives what has come out since the beginning, once it is enough."""

    keeps_order = True
    """Whether a broker that was killed hands out what it held in the order in which it came."""
    names_messages = True
    """Whether a message that comes again can be told from another that says the same."""
    notices = False
    """Whether its client notices within 20 seconds that nothing comes any more; a request that waits for messages may take longer."""

    def __str__(self):
        return type(self).__name__

    def prepare(self):
        """Make the queues; the broker runs."""

    def close(self):
        """No more is put or taken."""


class Sqs(Queue):
    """A FIFO queue. ElasticMQ has all on disk, but gives out a group's messages in any order after a restart. What is sent again while the first
    request is still under way it takes for a duplicate, and acknowledges at once, before it is on disk. So the target waits for an answer."""

    keeps_order = False
    is_on_disk = True

    def __init__(self, folder, host=LOOPBACK):
        self.service = ElasticMq(folder, host, self.is_on_disk)
        self._out_so_far = []

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
        return "aws-sqs", {**KEYS, "queueUrl": self._out, "region": REGION, "timeout": HANGS}

    def put(self, device, body, number):
        self.service.send(self._in, body.decode(), MessageGroupId=device, MessageDeduplicationId=str(number))

    def taken(self, enough):
        found = self._out_so_far

        def are_enough(some):
            return enough(found + [each["Body"] for each in some])

        found += [each["Body"] for each in self.service.receive(self._out, are_enough)]
        return found


class Kinesis(Queue):
    """A stream with two shards, on disk."""

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
    """A subscription with message ordering, on disk."""

    def __init__(self, folder, host=LOOPBACK):
        self.service = Pubsub(folder, host)
        self._out_so_far = []

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
        found = self._out_so_far

        def are_enough(some):
            return enough(found + [each["data"] for each in some])

        found += [each["data"] for each in self.service.receive("written", are_enough)]
        return found


class KafkaTopic(Queue):
    """A topic with four partitions; a device's messages are in one."""

    notices = True

    def __init__(self, folder, host=LOOPBACK):
        self.service = Kafka(folder, host)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def prepare(self):
        self._thread.start()
        self._run(make_topic(self.service, "in", "out"))
        self._producer = self._run(self._open())

    async def _open(self):
        producer = aiokafka.AIOKafkaProducer(
            bootstrap_servers=self.service.address, enable_idempotence=True, request_timeout_ms=300_000
        )
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


class EventHub(KafkaTopic):
    """The same over TLS and with a password, as an Event Hub is reached."""

    def _place(self, topic):
        tls = {"ca": self.service.ca, "serverName": LOOPBACK}
        return {"connectionString": self.service.hub, "eventHub": topic, "tls": tls}

    @property
    def source(self):
        return "azure-event-hub", {**self._place("in"), "group": "in"}

    @property
    def target(self):
        return "azure-event-hub", self._place("out")


class RabbitQueue(Queue):
    """A durable queue."""

    notices = True

    def __init__(self, folder, host=LOOPBACK):
        self.service = RabbitMq(folder, host)
        self._out_so_far = []

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
        found = self._out_so_far
        while not enough(found):
            found += [body for body, _ in self.service.take("out", 0)]
            threading.Event().wait(0.1)
        return found


class MqttTopics(Queue):
    """A session with QoS 1 at a broker that has on disk what it acknowledged when it is killed. MQTT has no names for messages: who sends one again says so, but not which one it is."""

    notices = True
    names_messages = False

    def __init__(self, folder, host=LOOPBACK):
        self.service = SavingMosquitto(folder, host)
        self._out = []
        self._acknowledged = SimpleQueue()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, "reader", clean_session=False)
        self._client.on_message = lambda client, data, message: self._out.append(message.payload)
        self._client.on_publish = lambda client, data, number, *said: self._acknowledged.put(number)
        self._client.on_connect = lambda client, *said: client.subscribe("out/#", 1)

    def prepare(self):
        subscribed = threading.Event()
        self._client.on_subscribe = lambda *said: subscribed.set()
        self._client.reconnect_delay_set(1, 1)
        self._client.connect(self.service.host, self.service.port, keepalive=5)
        self._client.loop_start()
        assert subscribed.wait(HANGS)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def _place(self):
        return {"host": self.service.host, "port": self.service.port, "keepalive": 5}

    @property
    def source(self):
        return "mqtt", {**self._place, "topics": ["in/#"], "clientId": "in"}

    @property
    def target(self):
        return "mqtt", {**self._place, "topic": "out/{{ deviceName }}", "clientId": "out"}

    def put(self, device, body, number):
        sent = self._client.publish(f"in/{device}", body, 1)  # again after a reconnect, by itself
        while self._acknowledged.get(timeout=HANGS) != sent.mid:
            pass

    def taken(self, enough):
        wait_until(lambda: enough(self._out), 60, "all messages")
        return list(self._out)
