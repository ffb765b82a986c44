"""The brokers of the tests as the benchmark of queues has them: records of any bytes in, documents out."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import paho.mqtt.client as paho

from tests.interop import kafka_field, queues
from tests.peers.mosquitto import Mosquitto

Enough = Callable[[list[Any]], bool]
Side = tuple[str, dict[str, Any]]
"""A type and its configuration."""


def _key(body: bytes) -> str:
    """What keeps a device's messages in order: its number."""
    return str(int.from_bytes(body[:4]))


class QueueUnderTest(Protocol):
    """A broker with a queue to read and one to write. ``share`` is how many of the run's messages it gets: some are slow themselves."""

    share: float

    @property
    def source(self) -> Side:
        """What the gateway reads."""

    @property
    def target(self) -> Side:
        """What it writes."""

    def running(self) -> Any:
        """The broker runs within this context."""

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """Put messages."""

    def taken(self, enough: Enough) -> list[Any]:
        """What came out, once it is enough."""


class _OfTheTests:
    """A `queues.Queue`; a base."""

    service: Any
    share = 1.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """See `QueueUnderTest.running`."""
        with self.service:
            self.prepare()  # type: ignore[attr-defined]
            try:
                yield
            finally:
                self.close()  # type: ignore[attr-defined]


class KafkaUnderTest(_OfTheTests, queues.KafkaTopic):
    """Topics of a Kafka cluster."""

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """See `QueueUnderTest.put_many`."""
        self._run(kafka_field.produce(self.service, "in", [(_key(body), body) for body in bodies]))


class EventHubUnderTest(KafkaUnderTest, queues.EventHub):
    """The same over TLS and with a password."""


class RabbitUnderTest(_OfTheTests, queues.RabbitQueue):
    """Queues of a RabbitMQ broker."""

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """See `QueueUnderTest.put_many`."""
        with self.service.channel() as channel:
            for body in bodies:
                channel.basic_publish("", "in", body)


class KinesisUnderTest(_OfTheTests, queues.Kinesis):
    """Streams of kinesalite, which is slow itself."""

    share = 0.25

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """See `QueueUnderTest.put_many`."""
        self.service.put("in", *((_key(body), body) for body in bodies))


class SqsUnderTest(_OfTheTests, queues.Sqs):
    """FIFO queues of ElasticMQ in memory, which is slow itself."""

    share = 0.1
    is_on_disk = False

    @property
    def source(self) -> Side:
        """See `QueueUnderTest.source`."""
        kind, configuration = super().source
        return kind, {**configuration, "body": "base64", "visibility": 60}

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """See `QueueUnderTest.put_many`."""
        for start in range(0, len(bodies), 10):
            entries = [
                {
                    "Id": str(number), "MessageBody": base64.b64encode(body).decode(), "MessageGroupId": _key(body),
                    "MessageDeduplicationId": body.hex(),
                }
                for number, body in enumerate(bodies[start : start + 10])
            ]  # fmt: skip
            self.service.sqs("SendMessageBatch", QueueUrl=self._in, Entries=entries)


class PubsubUnderTest(_OfTheTests, queues.PubsubTopic):
    """Google's fake of Pub/Sub."""

    share = 0.25

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """See `QueueUnderTest.put_many`."""
        by_key: dict[str, list[bytes]] = {}
        for body in bodies:
            by_key.setdefault(_key(body), []).append(body)
        for key, mine in by_key.items():
            self.service.publish("read", *mine, orderingKey=key)


class MqttUnderTest:
    """A subscription at a mosquitto, with QoS 1 both ways."""

    share = 1.0

    def __init__(self, folder: Path) -> None:
        self._broker = Mosquitto(folder, config="max_inflight_messages 0\n")
        self._out: list[bytes] = []
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, "bench")
        self._client.max_inflight_messages_set(1000)
        self._client.on_message = lambda client, data, message: self._out.append(message.payload)

    @contextmanager
    def running(self) -> Iterator[None]:
        """See `QueueUnderTest.running`."""
        with self._broker:
            subscribed = threading.Event()
            self._client.on_subscribe = lambda *said: subscribed.set()
            self._client.connect("127.0.0.1", self._broker.port)
            self._client.loop_start()
            self._client.subscribe("out/#", 1)
            subscribed.wait()
            try:
                yield
            finally:
                self._client.disconnect()
                self._client.loop_stop()

    @property
    def _place(self) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self._broker.port}

    @property
    def source(self) -> Side:
        """See `QueueUnderTest.source`."""
        return "mqtt", {**self._place, "topics": ["in/#"], "clientId": "bench-in"}

    @property
    def target(self) -> Side:
        """See `QueueUnderTest.target`."""
        return "mqtt", {**self._place, "topic": "out/{{ deviceName }}"}

    def put_many(self, bodies: Sequence[bytes]) -> None:
        """See `QueueUnderTest.put_many`."""
        sent = [self._client.publish(f"in/{_key(body)}", body, 1) for body in bodies]
        for each in sent:
            each.wait_for_publish()

    def taken(self, enough: Enough) -> list[Any]:
        """See `QueueUnderTest.taken`."""
        pause = threading.Event()
        while not enough(self._out):
            pause.wait(0.05)
        return self._out


KINDS: dict[str, Any] = {
    "mqtt": MqttUnderTest,
    "kafka": KafkaUnderTest,
    "azure-event-hub": EventHubUnderTest,
    "rabbitmq": RabbitUnderTest,
    "aws-kinesis": KinesisUnderTest,
    "aws-sqs": SqsUnderTest,
    "google-pubsub": PubsubUnderTest,
}
"""What can be had as a peer. Not here: ``opc-ua``, which has no target of its kind; Azure's, Google's and Amazon's own services."""
