"""Block-wise transfer (RFC 7959): bodies that come in blocks (Block1) and go out in blocks (Block2)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, Options
from iotgw.wire.coap.site import error
from iotgw.wire.coap.timers import Timer, Timers

NOT_FETCHED = "the peer did not ask for every block"
NO_ROOM = "too many bodies are under way"

Key = tuple[int, int, tuple[tuple[int, bytes], ...]]
"""What blocks of one body share: the peer, the method and the cache key, hence Request-Tag as well."""


class Block(NamedTuple):
    """A Block option: block number, whether more follow, and the size exponent (size = 16 << szx)."""

    number: int
    more: bool
    szx: int

    @classmethod
    def of(cls, options: Options, option: int) -> Block | None:
        """The Block1 or Block2 option, None if there is none; raises ValueError for the reserved SZX 7."""
        value = options.get_uint(option)
        if value is None:
            return None
        if value & 7 == 7:
            raise ValueError("block size exponent 7 is reserved")  # RFC 7959 §2.2
        return cls(value >> 4, bool(value & 8), value & 7)

    @property
    def size(self) -> int:
        """Bytes of a full block."""
        return 16 << self.szx

    @property
    def offset(self) -> int:
        """Where the block begins in its body."""
        return self.number << (self.szx + 4)

    @property
    def value(self) -> int:
        """The option's value."""
        return self.number << 4 | self.more << 3 | self.szx


def szx_of(size: int) -> int:
    """The exponent of the largest block that is no larger than ``size``."""
    return max(0, min(6, size.bit_length() - 5))


def transfer_key(exchange: Exchange) -> Key:
    """The key of the transfer that an exchange's request is part of."""
    request = exchange.request
    return exchange.peer.serial, request.code, request.options.cache_key


def entity_tag(body: bytes) -> bytes:
    """An ETag for a body that has none."""
    return blake2b(body, digest_size=4).digest()


class Budget:
    """Bytes that the transfers under way may take, together."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0

    def take(self, size: int) -> bool:
        """Use ``size`` more bytes; False when they don't fit."""
        if self.used + size > self.limit:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Use them no more."""
        self.used -= size


def overhead(key: Key) -> int:
    """Bytes that a transfer takes besides its body, about."""
    return 1000 + sum(100 + len(value) for _, value in key[2])


class Upload:
    """A body that comes in, in order; when it is whole, the response to its last block."""

    timer: Timer

    __slots__ = ("body", "finisher", "key", "last", "quiet_since", "response", "timer", "waiting")

    def __init__(self, key: Key, now: float) -> None:
        self.key = key
        self.body = bytearray()
        self.quiet_since = now
        self.last: Block | None = None
        self.finisher: Exchange | None = None  # the exchange of the last block, until it is answered
        self.response: Message | None = None
        self.waiting: list[Exchange] = []  # repetitions of the last block that wait for its response


class Uploads:
    """The Block1 transfers of an endpoint. One that is silent for its policy's block timeout is dropped."""

    def __init__(self, timers: Timers, budget: Budget) -> None:
        self._timers = timers
        self._budget = budget
        self._open: dict[Key, Upload] = {}
        self._per_peer: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._open)

    def take(self, exchange: Exchange, block: Block, now: float) -> Message | bytes | None:
        """A block came. Returns the response that it gets, the whole body when it was the last one, or None
        when it repeats a last block whose response is still to come."""
        request = exchange.request
        payload = request.payload
        if block.more and len(payload) != block.size:
            return error(n.BAD_REQUEST, f"expected a block of {block.size} bytes, got {len(payload)}")
        if len(payload) > block.size:
            return error(n.BAD_REQUEST, f"expected at most {block.size} bytes, got {len(payload)}")
        most = exchange.policy.max_body
        if max(block.offset + len(payload), request.options.get_uint(n.SIZE1) or 0) > most:
            self._drop(transfer_key(exchange))
            return too_large(most)
        upload = self._find(exchange, block, now)
        if not isinstance(upload, Upload):
            return upload
        upload.quiet_since = now
        return self._append(upload, exchange, block)

    def _find(self, exchange: Exchange, block: Block, now: float) -> Upload | Message:
        key = transfer_key(exchange)
        upload = self._open.get(key)
        if not block.number:
            self._drop(key)  # it starts over (RFC 7959 §2.5)
            return self._begin(key, exchange, now) or _no_room()
        if upload is None:
            return error(n.REQUEST_ENTITY_INCOMPLETE, "expected block 0 first")  # RFC 7959 §2.9.2
        return upload

    def _append(self, upload: Upload, exchange: Exchange, block: Block) -> Message | bytes | None:
        payload = exchange.request.payload
        received = len(upload.body)
        if upload.last is not None:
            if block == upload.last:  # again, under another Message ID
                if upload.response is None:
                    upload.waiting.append(exchange)
                return upload.response
            self._drop(upload.key)
            return error(n.REQUEST_ENTITY_INCOMPLETE, "that body is complete")
        if block.offset + len(payload) <= received and block.more:
            return _continue(block, exchange)  # again, under another Message ID
        if block.offset != received:
            self._drop(upload.key)
            return error(n.REQUEST_ENTITY_INCOMPLETE, f"expected byte {received}, got {block.offset}")
        if block.more:
            if not self._budget.take(len(payload)):
                self._drop(upload.key)
                return _no_room()
            upload.body += payload
            return _continue(block, exchange)
        body = bytes(upload.body) + payload
        self._budget.give_back(received)
        upload.body = bytearray()
        upload.last = block
        upload.finisher = exchange
        return body

    def completed(self, exchange: Exchange, response: Message) -> list[Exchange]:
        """Keep the response to a last block for as long as the block may come again; returns the exchanges
        in which it came again meanwhile."""
        upload = self._open.get(transfer_key(exchange))
        if upload is None or upload.finisher is not exchange:
            return []
        upload.response = response
        upload.finisher = None
        waiting, upload.waiting = upload.waiting, []
        return waiting

    def forget(self, serial: int) -> None:
        """A peer is gone."""
        for key in [key for key in self._open if key[0] == serial]:
            self._drop(key)

    def _begin(self, key: Key, exchange: Exchange, now: float) -> Upload | None:
        policy = exchange.policy
        if self._per_peer.get(key[0], 0) >= policy.max_uploads or not self._budget.take(overhead(key)):
            return None
        upload = self._open[key] = Upload(key, now)
        self._per_peer[key[0]] = self._per_peer.get(key[0], 0) + 1
        self._watch(upload, policy.block_timeout)
        return upload

    def _watch(self, upload: Upload, timeout: float) -> None:
        def look(now: float) -> None:
            if now - upload.quiet_since >= timeout:
                self._drop(upload.key)
            else:
                self._watch(upload, timeout)

        upload.timer = self._timers.at(upload.quiet_since + timeout, look)

    def _drop(self, key: Key) -> None:
        upload = self._open.pop(key, None)
        if upload is None:
            return
        upload.timer.cancel()
        self._budget.give_back(len(upload.body) + overhead(key))
        left = self._per_peer[key[0]] - 1
        if left:
            self._per_peer[key[0]] = left
        else:
            del self._per_peer[key[0]]


class Body:
    """A response body that goes out in blocks; who waits to hear of its arrival hears of the whole."""

    timer: Timer

    __slots__ = ("key", "on_acknowledged", "on_lost", "quiet_since", "response", "timer")

    def __init__(self, key: Key, response: Message, now: float) -> None:
        self.key = key
        self.response = response
        self.quiet_since = now
        self.on_acknowledged: Callable[[], None] | None = None
        self.on_lost: Callable[[str], None] | None = None


class Bodies:
    """The Block2 transfers of an endpoint: bodies that were begun, so that their blocks fit together.

    What a POST made can't be made again, so it is kept for the block timeout (RFC 7959 §2.4).
    """

    def __init__(self, timers: Timers, budget: Budget) -> None:
        self._timers = timers
        self._budget = budget
        self._open: dict[Key, Body] = {}

    def __len__(self) -> int:
        return len(self._open)

    def keep(self, exchange: Exchange, response: Message, now: float) -> None:
        """Keep a response for the requests for its further blocks, if there is room.

        What the exchange would have said of its arrival is said when the last block is asked for.
        """
        key = transfer_key(exchange)
        self._drop(key)
        body = Body(key, response, now)
        body.on_acknowledged, exchange.on_acknowledged = exchange.on_acknowledged, None
        body.on_lost, exchange.on_lost = exchange.on_lost, None
        if self._budget.take(len(response.payload) + overhead(key)):
            self._open[key] = body
            self._watch(body, exchange.policy.block_timeout)
        elif body.on_lost is not None:
            body.on_lost(NO_ROOM)

    def find(self, exchange: Exchange, wanted: Block, now: float) -> Message | None:
        """The whole response that a request for a further block is about."""
        body = self._open.get(transfer_key(exchange))
        if body is None:
            return None
        body.quiet_since = now
        end = wanted.offset + min(wanted.size, exchange.policy.block_size)
        if end >= len(body.response.payload):
            arrived, body.on_acknowledged, body.on_lost = body.on_acknowledged, None, None
            if arrived is not None:
                arrived()
        return body.response

    def forget(self, serial: int) -> None:
        """A peer is gone."""
        for key in [key for key in self._open if key[0] == serial]:
            self._drop(key)

    def _watch(self, body: Body, timeout: float) -> None:
        def look(now: float) -> None:
            if now - body.quiet_since >= timeout:
                self._drop(body.key)
            else:
                self._watch(body, timeout)

        body.timer = self._timers.at(body.quiet_since + timeout, look)

    def _drop(self, key: Key) -> None:
        body = self._open.pop(key, None)
        if body is not None:
            body.timer.cancel()
            self._budget.give_back(len(body.response.payload) + overhead(key))
            if body.on_lost is not None:
                body.on_lost(NOT_FETCHED)


def slice_response(response: Message, wanted: Block | None, block_size: int, with_size: bool) -> Message:
    """The block of a whole response that was asked for (the first, if none was), with Block2 and ETag."""
    body = response.payload
    szx = szx_of(block_size)
    offset = 0
    if wanted is not None:
        offset = wanted.offset
        szx = min(szx, wanted.szx)
    if offset >= len(body) and offset:
        return error(n.BAD_REQUEST, f"the body has {len(body)} bytes, block {wanted} begins behind")
    size = 16 << szx
    end = offset + size
    pairs: list[tuple[int, int | bytes]] = [
        (n.BLOCK2, Block(offset >> (szx + 4), end < len(body), szx).value)
    ]
    if response.options.get(n.ETAG) is None:
        pairs.append((n.ETAG, entity_tag(body)))
    if with_size:
        pairs.append((n.SIZE2, len(body)))
    return Message(response.code, body[offset:end], response.options.replaced(*pairs))


def too_large(most: int) -> Message:
    """4.13 that says how much is not too large (RFC 7959 §2.9.3)."""
    return error(n.REQUEST_ENTITY_TOO_LARGE, f"expected at most {most} bytes", (n.SIZE1, most))


def _continue(block: Block, exchange: Exchange) -> Message:
    """2.31, and the block size that is wanted from now on (RFC 7959 §2.3)."""
    szx = min(block.szx, szx_of(exchange.policy.block_size))
    return Message(n.CONTINUE, b"", Options(((n.BLOCK1, _uint(Block(block.number, True, szx).value)),)))


def _no_room() -> Message:
    return error(n.SERVICE_UNAVAILABLE, "too many transfers", (n.MAX_AGE, 10))


def _uint(value: int) -> bytes:
    return value.to_bytes((value.bit_length() + 7) // 8, "big")
