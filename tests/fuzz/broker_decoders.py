"""What brokers and clouds answer, as far as it comes to the gateway as bytes."""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct
from pika import frame, spec
from twisted.internet.protocol import Factory, Protocol

from iotgw import testing
from iotgw.connect import websocket
from iotgw.core.errors import ProtocolError
from iotgw.core.validate import convert
from iotgw.datasources.kinesis.datasource import KinesisSourceType
from iotgw.datasources.pubsub.datasource import PubsubSourceType
from iotgw.datasources.rabbitmq.datasource import RabbitSourceType
from iotgw.datasources.rabbitmq.settings import RabbitSourceSettings
from iotgw.datasources.sqs.datasource import SqsSourceType
from iotgw.envelopes.presets import chirpstack_protobuf
from iotgw.wire import amqp_values, protobuf
from tests.fuzz.decoders import Decoder
from tests.unit.json_server import JsonServer

AWS = {"accessKeyId": "id", "secretAccessKey": "not so secret"}
SQS = {**AWS, "queueUrl": "https://h.example/1/q", "region": "eu-central-1"}
KINESIS = {**AWS, "stream": "s", "region": "eu-central-1", "endpoint": "https://h.example"}
PUBSUB = {"project": "plant", "endpoint": "https://h.example", "subscription": "sub"}
LARGEST_ANSWER = 8 << 10
"""Bytes of an answer that are read within the time of one input; longer ones have more messages in them."""


def broker_decoders() -> list[Decoder]:
    """All of them."""
    message = {"MessageId": "1", "ReceiptHandle": "h", "Body": "b", "Attributes": {"SentTimestamp": "1"},
               "MessageAttributes": {"a": {"StringValue": "x", "DataType": "String"}}}  # fmt: skip
    record = {
        "SequenceNumber": "1",
        "Data": "YQ==",
        "PartitionKey": "p",
        "ApproximateArrivalTimestamp": 1.5e9,
    }
    pulled = {
        "ackId": "a",
        "message": {"messageId": "1", "data": "YQ==", "attributes": {"a": "b"}, "orderingKey": "k"},
    }
    return [
        _answers("sqs", partial(_source, SqsSourceType, SQS), ["ReceiveMessage"], {"Messages": [message]}),
        _answers("kinesis shards", partial(_source, KinesisSourceType, KINESIS), ["ListShards"], {"Shards": [{"ShardId": "s", "ParentShardId": "p"}]}),
        _answers("kinesis records", _shard, ["GetRecords"], {"Records": [record], "NextShardIterator": "i", "MillisBehindLatest": 0}),
        _answers("pubsub", partial(_source, PubsubSourceType, PUBSUB), [""], {"receivedMessages": [pulled]}),
        Decoder("amqp value", amqp_values.value, [b"\xa1\x05hello", b"\x80" + bytes(8), b"\x41", b"\xb0\0\0\0\1x"], (ProtocolError,)),
        Decoder("rabbitmq", _rabbit, RABBIT, weight=10, longest=8192),
        Decoder("websocket", _websocket, WEBSOCKET, weight=10, longest=websocket.ONE_READ),
        Decoder("chirpstack's protobuf", _protobuf_uplink, PROTOBUF, weight=4),
        Decoder("chirpstack's protobuf events", _protobuf_event, PROTOBUF, weight=4),
    ]  # fmt: skip


# --- calls of the clouds' APIs ---


class Service(Struct, frozen=True):
    """A service, and the gateway that asks it."""

    server: Any
    intake: Any
    clock: Any


def _source(type_: Any, settings: dict[str, Any]) -> Service:
    clock, connector = testing.MemoryReactor(), testing.FakeConnector()
    intake = testing.FakeIntake(clock=clock)
    context = testing.datasource_context(intake, clock, checkpoints=testing.MemoryCheckpoints())
    made = type_(clock, connector)
    made.build(convert(settings, made.settings), context).start()
    return Service(JsonServer(connector, "h.example"), intake, clock)


def _shard() -> Service:
    made = _source(KinesisSourceType, KINESIS)
    made.server.answer({"Shards": [{"ShardId": "s"}]}, "ListShards")
    made.server.answer({"ShardIterator": "i"}, "GetShardIterator")
    return made


def _answers(name: str, make: Callable[[], Service], actions: list[str], example: Any) -> Decoder:
    """A service's answer to what a datasource asks it; of those that begin with ``{"__type"``, an error's."""
    seeds = [
        json.dumps(example).encode(),
        b'{"__type":"x#Y","message":"z"}',
        b'{"error":{"status":"S","message":"m"}}',
    ]

    def decode(data: bytes) -> int:
        made = make()
        status = 400 if b"__type" in data or b'"error"' in data else 200
        made.server.answer(data, *actions, status=status)
        made.clock.advance(0)
        return len(made.intake.received)

    return Decoder(name, decode, seeds, weight=25, longest=LARGEST_ANSWER)


# --- RabbitMQ ---

TAG = b"ctag1." + b"0" * 32
"""Stands for the consumer's tag, which is another one each time."""
_START = frame.Method(
    0,
    spec.Connection.Start(
        server_properties={"product": "RabbitMQ", "n": {"a": [1, True, None]}}, locales="en_US"
    ),
).marshal()
_MESSAGE = (
    frame.Method(1, spec.Basic.Deliver(TAG.decode(), 1, False, "e", "k")).marshal()
    + frame.Header(
        1, 2, spec.BasicProperties(headers={"a": 1, "b": {"c": ["x"]}}, timestamp=1, message_id="m")
    ).marshal()
    + frame.Body(1, b"hi").marshal()
)
_READY = b"".join(
    frame.Method(channel, said).marshal()
    for channel, said in (
        (0, spec.Connection.Tune(2047, 131072, 60)), (0, spec.Connection.OpenOk()), (1, spec.Channel.OpenOk()), (1, spec.Basic.QosOk()),
        (1, spec.Basic.ConsumeOk(TAG.decode())),
    )
)  # fmt: skip
RABBIT = [_START, _START + _READY, _START + _READY + _MESSAGE, frame.Heartbeat().marshal() + _MESSAGE]


def _rabbit(data: bytes) -> int:
    """A broker from its first byte on."""
    connector, clock = testing.FakeConnector(), testing.MemoryReactor()
    intake = testing.FakeIntake(clock=clock)
    context = testing.datasource_context(intake, clock)
    settings = convert({"host": "h", "queue": "q"}, RabbitSourceSettings)
    RabbitSourceType(clock, connector).build(settings, context).start()
    transport = connector.endpoint("h", 5672, 1.0).accept()
    head, mark, rest = data.partition(TAG)
    transport.protocol.dataReceived(head)
    tag = transport.value().rpartition(b"ctag1.")[2][:32]
    transport.protocol.dataReceived((mark + rest).replace(TAG, b"ctag1." + tag))
    clock.advance(0)
    return len(intake.received)


# --- WebSockets ---

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
WEBSOCKET = [
    b"\x82\x02hi",
    b"\x02\x01h\x80\x01i",
    b"\x89\x00\x8a\x00",
    b"\x88\x02\x03\xe8",
    b"\x82\x7f" + struct.pack(">Q", 3) + b"abc",
    b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
]


class Counting(Protocol):
    """What is inside of a WebSocket."""

    bytes = 0

    def dataReceived(self, data: bytes) -> None:
        self.bytes += len(data)


def _websocket(data: bytes) -> int:
    """Frames after the server has agreed; what begins with HTTP is its answer itself."""
    way, clock = testing.FakeConnector().endpoint("h", 443, 1.0), testing.MemoryReactor()
    inside = Counting()
    made = websocket.over(way, clock, "h:443", "/mqtt", True, "configuration.path")
    made.connect(Factory.forProtocol(lambda: inside)).addErrback(lambda failure: None)
    transport = way.accept()
    if not data.startswith(b"HTTP"):
        head = transport.value()
        key = head.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
        accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
        transport.protocol.dataReceived(
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept + b"\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
        )  # fmt: skip
    transport.protocol.dataReceived(data)
    return inside.bytes


# --- Protocol Buffers ---

_field = protobuf.field
_DEVICE = _field(1, b"t") + _field(3, b"a") + _field(7, b"0102030405060708")
_OBJECT = _field(1, _field(1, b"t") + _field(2, b"\x11" + struct.pack("<d", 21.5)))
PROTOBUF = [
    _field(2, _field(1, 1_700_000_000) + _field(2, 5)) + _field(3, _DEVICE) + _field(7, 3) + _field(8, 2) + _field(10, b"\x01\x02") + _field(11, _OBJECT),
    _field(3, _DEVICE) + _field(5, b"description") + _field(6, _field(1, b"k") + _field(2, b"v")),
]  # fmt: skip


def _protobuf_uplink(data: bytes) -> bool:
    return chirpstack_protobuf.read(data, "up") is not None


def _protobuf_event(data: bytes) -> bool:
    event = [*chirpstack_protobuf.EVENTS][len(data) % len(chirpstack_protobuf.EVENTS)]
    return chirpstack_protobuf.read(data, event) is not None
