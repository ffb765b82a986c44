"""What a Kafka broker may send at once. aiokafka has no limits of its own: it waits for an answer of any size, keeping what has come of it, and unpacks a
batch of messages to any size. So whoever may write to a topic could fill the memory with a batch of some kilobytes.

The package has no place for this, so `impose` puts it where its modules look for what they call.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

from aiokafka import codec, conn  # only `iotgw.connect.kafka_access` imports this, where the extra is there
from aiokafka.record import default_records, legacy_records

from iotgw.core.errors import ProtocolError

LARGEST_ANSWER = 64 << 20
"""Bytes of an answer. A broker gives `iotgw.connect.kafka_reader.FETCH`, or one batch that is larger: of 1 MB, unless its operator says otherwise
(``message.max.bytes``)."""
LARGEST_BATCH = 64 << 20
"""Bytes of a batch that is unpacked."""
SMALL_BATCH = 16 << 10
"""Bytes for which there is room in any case."""
_SIZE = 4
_GZIP = 31
"""zlib's number for gzip's format with the largest window."""
_XERIAL = b"\x82SNAPPY\0"
_BLOCKS = 16
"""Where the blocks begin in Java's form of Snappy, each of them behind its size (xerial's snappy-java, ``SnappyOutputStream``)."""


class AnswerSizes:
    """Follows a broker's answers, each of them behind its size in four bytes, without keeping anything."""

    def __init__(self, largest: int = LARGEST_ANSWER) -> None:
        self._largest = largest
        self._left = 0
        self._head = b""

    def take(self, data: bytes) -> None:
        """Bytes of the broker. Raises ProtocolError when an answer says that it is too large."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            head = data[at : at + _SIZE - len(self._head)]
            self._head += head
            at += len(head)
            if len(self._head) == _SIZE:
                self._left, self._head = int.from_bytes(self._head, "big"), b""
                if self._left > self._largest:
                    raise ProtocolError(
                        f"expected answers of at most {self._largest} bytes, got one that says {self._left}: is this a Kafka broker?"
                    )


class KafkaProtocol(conn.AIOKafkaProtocol):  # type: ignore[misc]
    """A connection that ends when an answer says that it is too large."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._sizes = AnswerSizes()
        self._why: ProtocolError | None = None
        self._way: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        assert isinstance(transport, asyncio.Transport)
        self._way = transport
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._why is not None:
            return
        try:
            self._sizes.take(data)
        except ProtocolError as error:
            self._why = error
            conn.log.warning("%s", error)
            if self._way is not None:
                self._way.abort()
            return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        super().connection_lost(self._why or exc)


def unpacked_gzip(payload: Any) -> bytes:
    """What gzip has packed. Raises ProtocolError, and zlib's error."""
    found, rest, size = [], bytes(payload), 0
    while rest:
        unpacking = zlib.decompressobj(_GZIP)
        found.append(unpacking.decompress(rest, LARGEST_BATCH + 1 - size))
        size += len(found[-1])
        if size > LARGEST_BATCH:
            raise _too_large()
        if not unpacking.eof:
            raise ProtocolError("expected a whole batch of messages, packed by gzip")
        rest = unpacking.unused_data
    return b"".join(found)


def unpacked_snappy(payload: Any) -> bytes:
    """What Snappy has packed, in blocks or as one. Raises ProtocolError, and cramjam's error."""
    data = bytes(payload)
    if data[: len(_XERIAL)] != _XERIAL:
        return _snappy(data, LARGEST_BATCH)
    found, at, left = [], _BLOCKS, LARGEST_BATCH
    while at < len(data):
        end = at + _SIZE + int.from_bytes(data[at : at + _SIZE], "big")
        found.append(_snappy(data[at + _SIZE : end], left))
        at, left = end, left - len(found[-1])
    return b"".join(found)


def _snappy(block: bytes, most: int) -> bytes:
    if codec.cramjam.snappy.decompress_raw_len(block) > most:
        raise _too_large()
    return bytes(codec.cramjam.snappy.decompress_raw(block))


def unpacked_lz4(payload: Any) -> bytes:
    """What LZ4 has packed. Raises ProtocolError."""
    return _into(codec.cramjam.lz4.decompress_into, payload)


def unpacked_zstd(payload: Any) -> bytes:
    """What Zstandard has packed. Raises ProtocolError."""
    return _into(codec.cramjam.zstd.decompress_into, payload)


def _into(unpack: Any, payload: Any) -> bytes:
    """By a function that fails where there is too little room, as it does for what was not packed so."""
    data = bytes(payload)
    room = min(LARGEST_BATCH, 8 * len(data) + SMALL_BATCH)
    while True:
        into = bytearray(room)
        try:
            return bytes(memoryview(into)[: unpack(data, into)])
        except Exception as error:
            if room == LARGEST_BATCH:
                raise _too_large() from error
            room = min(LARGEST_BATCH, 8 * room)


def _too_large() -> ProtocolError:
    return ProtocolError(f"expected a batch of messages that unpacks to at most {LARGEST_BATCH} bytes")


def impose() -> None:
    """Have the package keep these limits."""
    conn.AIOKafkaProtocol = KafkaProtocol
    for module in _modules():
        for name, unpack in _UNPACKING.items():
            if hasattr(module, name):
                setattr(module, name, unpack)


_UNPACKING = {
    "gzip_decode": unpacked_gzip,
    "snappy_decode": unpacked_snappy,
    "lz4_decode": unpacked_lz4,
    "zstd_decode": unpacked_zstd,
}


def _modules() -> list[Any]:
    """The modules of both implementations, of which the one in C may be missing."""
    found: list[Any] = [default_records, legacy_records]
    try:
        from aiokafka.record._crecords import default_records as faster  # noqa: PLC0415
        from aiokafka.record._crecords import legacy_records as faster_legacy  # noqa: PLC0415
    except ImportError:
        return found
    return [*found, faster, faster_legacy]
