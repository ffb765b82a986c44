"""Block-wise transfer (RFC 7959): the Block options, and bodies that go out in blocks (Block2)."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, Options, error
from iotgw.wire.coap.timers import Timer, Timers

NOT_FETCHED = "the peer did not ask for every block"
MOST_BODIES = 4
"""Bodies that a peer may fetch at a time from one resource."""
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
        """Release them."""
        self.used -= size


def overhead(key: Key) -> int:
    """Approximate size of a transfer besides its body, in bytes."""
    return 1000 + sum(100 + len(value) for _, value in key[2])


class Body:
    """A response body that goes out in blocks. It counts as acknowledged when all of it has been fetched."""

    timer: Timer

    __slots__ = ("key", "next", "on_acknowledged", "on_lost", "quiet_since", "response", "timer", "token")

    def __init__(self, key: Key, token: bytes, response: Message, now: float) -> None:
        self.key = key
        self.token = token  # of the request that it answers, or of the last one for a block of it
        self.next = 0  # where the block begins that was not asked for yet
        self.response = response
        self.quiet_since = now
        self.on_acknowledged: Callable[[], None] | None = None
        self.on_lost: Callable[[str], None] | None = None


class Bodies:
    """The Block2 transfers of an endpoint: bodies that were begun, so that their blocks fit together.

    The response to a POST can't be produced twice, so it is kept for the block timeout (RFC 7959 §2.4). A peer may
    fetch several bodies with the same key at once. The request's token tells which one it wants, or else the block
    that each of them expects next.
    """

    def __init__(self, timers: Timers, budget: Budget) -> None:
        self._timers = timers
        self._budget = budget
        self._open: dict[Key, list[Body]] = {}  # in the order in which they began

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def keep(self, exchange: Exchange, response: Message, now: float, end: int) -> None:
        """Keep a response, whose first block ends at ``end``, for the requests for its further blocks, if there
        is room.

        The exchange's ``on_acknowledged`` is called when the last block is requested.
        """
        key = transfer_key(exchange)
        for body in self._open.get(key, [])[:]:
            if body.token == exchange.token or body.next >= len(body.response.payload):
                self._drop(body)
        for body in self._open.get(key, [])[: 1 - MOST_BODIES]:
            self._drop(body)
        body = Body(key, exchange.token, response, now)
        body.next = end
        body.on_acknowledged, exchange.on_acknowledged = exchange.on_acknowledged, None
        body.on_lost, exchange.on_lost = exchange.on_lost, None
        if self._budget.take(len(response.payload) + overhead(key)):
            self._open.setdefault(key, []).append(body)
            self._watch(body, exchange.policy.block_timeout)
        elif body.on_lost is not None:
            body.on_lost(NO_ROOM)

    def find(self, exchange: Exchange, wanted: Block, now: float) -> Message | None:
        """The whole response that a request for a further block is about, None if that is not known."""
        body = _asked_for(self._open.get(transfer_key(exchange), []), exchange.token, wanted.offset)
        if body is None:
            return None
        body.quiet_since = now
        body.token = exchange.token
        end = wanted.offset + min(wanted.size, exchange.policy.block_size)
        body.next = max(body.next, end)
        if end >= len(body.response.payload):
            arrived, body.on_acknowledged, body.on_lost = body.on_acknowledged, None, None
            if arrived is not None:
                arrived()
        return body.response

    def forget(self, serial: int) -> None:
        """A peer is gone."""
        for key in [key for key in self._open if key[0] == serial]:
            for body in self._open[key][:]:
                self._drop(body)

    def _watch(self, body: Body, timeout: float) -> None:
        def look(now: float) -> None:
            if now >= body.quiet_since + timeout:
                self._drop(body)
            else:
                self._watch(body, timeout)

        body.timer = self._timers.at(body.quiet_since + timeout, look)

    def _drop(self, body: Body) -> None:
        bodies = self._open[body.key]
        bodies.remove(body)
        if not bodies:
            del self._open[body.key]
        body.timer.cancel()
        self._budget.give_back(len(body.response.payload) + overhead(body.key))
        if body.on_lost is not None:
            body.on_lost(NOT_FETCHED)


def _asked_for(bodies: list[Body], token: bytes, offset: int) -> Body | None:
    """The body that a request with a token for the block at ``offset`` is about, None if that can't be decided."""
    own = [body for body in bodies if body.token == token]
    following = [body for body in bodies if body.next == offset]
    possible = own or following or [body for body in bodies if offset < body.next] or bodies
    if any(body.response != possible[0].response for body in possible):
        return None
    return possible[0] if possible else None


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
    """A 4.13 response that names the largest size accepted (RFC 7959 §2.9.3)."""
    return error(n.REQUEST_ENTITY_TOO_LARGE, f"expected at most {most} bytes", (n.SIZE1, most))
