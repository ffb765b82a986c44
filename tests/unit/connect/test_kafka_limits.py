"""What a hostile broker sends, and who writes to its topics: bounded, whatever they say of its size."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from aiokafka import codec
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from iotgw import testing
from iotgw.connect import kafka_limits as limits
from iotgw.connect.kafka_access import KafkaAccess, KafkaClient
from iotgw.core.errors import ProtocolError, Unavailable

PACKED = {
    "gzip": (codec.gzip_encode, limits.unpacked_gzip),
    "snappy": (lambda data: codec.snappy_encode(data, xerial_compatible=False), limits.unpacked_snappy),
    "snappy of Java": (codec.snappy_encode, limits.unpacked_snappy),
    "lz4": (codec.lz4_encode, limits.unpacked_lz4),
    "zstd": (codec.zstd_encode, limits.unpacked_zstd),
}
BATCHES = {"gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
"""Kafka's numbers for the ways in which a batch may be packed."""


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(limits, "LARGEST_BATCH", 1 << 20)


@pytest.mark.parametrize("way", PACKED)
@pytest.mark.parametrize("data", [b"", b"x" * 100_000, bytes(range(256)) * 3000], ids=["none", "one", "many"])
def test_what_was_packed_is_unpacked(way, data):
    pack, unpack = PACKED[way]
    assert unpack(memoryview(pack(data))) == data


@pytest.mark.parametrize("way", PACKED)
@pytest.mark.parametrize("size", [(1 << 20) + 1, 20 << 20])
def test_what_unpacks_to_more_is_refused(small, way, size):
    pack, unpack = PACKED[way]
    with pytest.raises(ProtocolError, match="unpacks to at most 1048576 bytes"):
        unpack(pack(bytes(size)))


@pytest.mark.parametrize("way", PACKED)
def test_what_is_cut_off_or_was_not_packed_is_refused(small, way):
    pack, unpack = PACKED[way]
    for data in (bytes(pack(b"x" * 5000))[:-3], b"\xff" * 40):
        with pytest.raises(Exception, match=r"\w"):
            unpack(data)


def test_several_members_of_gzip_are_one_batch(small):
    assert limits.unpacked_gzip(codec.gzip_encode(b"a") + codec.gzip_encode(b"b")) == b"ab"
    with pytest.raises(ProtocolError):
        limits.unpacked_gzip(codec.gzip_encode(bytes(700_000)) * 2)


@pytest.mark.parametrize("way", BATCHES)
def test_the_package_itself_unpacks_no_more(small, way):
    limits.impose()

    def batch(size):
        made = DefaultRecordBatchBuilder(2, BATCHES[way], 0, -1, -1, 0, 1 << 30)
        made.append(0, timestamp=1, key=None, value=bytes(size), headers=[])
        return MemoryRecords(bytes(made.build())).next_batch()

    assert [len(record.value) for record in batch(1000)] == [1000]
    with pytest.raises(ProtocolError):
        list(batch(2 << 20))


@pytest.mark.parametrize("piece", [1, 3, 4, 5, 1000])
def test_answers_of_any_size_up_to_the_largest_pass_in_any_pieces(piece):
    sizes = limits.AnswerSizes(largest=100)
    sent = b"".join(len(each).to_bytes(4, "big") + each for each in (b"", b"x", b"y" * 100, b"", b"z" * 9))
    for at in range(0, len(sent), piece):
        sizes.take(sent[at : at + piece])
    with pytest.raises(ProtocolError, match="at most 100 bytes, got one that says 101"):
        for byte in (101).to_bytes(4, "big"):
            sizes.take(bytes([byte]))


def test_who_sends_an_answer_without_an_end_is_left():
    """A web server, to which a client of Kafka's would listen for a gigabyte: "HTTP" is the number of its bytes."""
    ended = []

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"HTTP/1.1 200 OK\r\n" * 1000)
                await writer.drain()
        ended.append(True)
        writer.close()

    async def check():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        host, port = server.sockets[0].getsockname()
        access = KafkaAccess(brokers=[f"{host}:{port}"])
        client = KafkaClient(access, testing.MemoryReactor(), testing.FakeConnector(), print)
        async with server:
            with pytest.raises(Unavailable):
                await client.check()
            while not ended:
                await asyncio.sleep(0.01)

    asyncio.run(check())
