"""One body that comes in blocks (Block1, RFC 7959 §2.5): its state so far, and whether a block belongs to it."""

from __future__ import annotations

from hashlib import blake2b

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, Key, szx_of
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.timers import Timer

ANY_SIZE = 7
NO_SIZE = -1
HALVINGS = 2
"""How many times an upload's block size is halved to tell its blocks from those of other uploads."""


class Upload:
    """A body that comes in, in order; when it is whole, the response to its last block."""

    timer: Timer

    __slots__ = (
        "again",
        "body",
        "finisher",
        "first",
        "is_alone",
        "is_lost",
        "keeps_token",
        "key",
        "last",
        "last_token",
        "lenient",
        "minds_size",
        "most_szx",
        "pending",
        "quiet_since",
        "response",
        "szx",
        "timer",
        "token",
        "waiting",
    )

    def __init__(self, key: Key, exchange: Exchange, now: float) -> None:
        self.key = key
        self.token = exchange.token  # of the first block
        self.first = exchange.request.options
        self.lenient = exchange.policy.lenient
        self.keeps_token: bool | None = None  # not known before the second block
        self.body = bytearray()
        self.again = 0  # how much of the body came again, after its first block did
        self.szx = ANY_SIZE  # of the smallest block so far
        self.most_szx = ANY_SIZE  # of the largest block that another token may continue it with
        self.quiet_since = now
        self.is_lost = (
            False  # its blocks can't be told from another upload's, and its client may not know yet
        )
        self.minds_size = False  # it went on in blocks as small as it was told
        self.is_alone = True  # no other upload of the key was under way at the same time
        self.pending: tuple[Exchange, Block] | None = None  # what may be its next block, or another upload's
        self.last: tuple[Block, bytes] | None = None  # the last block, and a digest of its payload
        self.last_token = b""
        self.finisher: Exchange | None = None  # the exchange of the last block, until it is answered
        self.response: Message | None = None
        self.waiting: list[Exchange] = []  # repetitions of the last block that wait for its response

    @property
    def is_vague(self) -> bool:
        """Whether, as far as is known, its next block may come with any token."""
        return self.last is None and not self.keeps_token

    def has(self, block: Block, payload: bytes) -> bool:
        """Whether a block is a repetition of an earlier one."""
        if self.last is not None:
            return self.last == (block, digest(payload))
        return block.more and self.body[block.offset : block.offset + len(payload)] == payload

    def refuse_pending(self) -> None:
        """Answer the block that was held until it is known which upload it belongs to: that won't be known."""
        if self.pending is not None:
            (exchange, _), self.pending = self.pending, None
            reason = error(n.REQUEST_ENTITY_INCOMPLETE, "expected a Request-Tag")
            exchange.endpoint.respond_raw(exchange, reason)

    def fits(self, block: Block, payload: bytes) -> bool:
        """Whether a block is the next one, or one that came before."""
        return self.is_lost or block.offset == len(self.body) or self.has(block, payload)

    def proceed(self, block: Block, exchange: Exchange) -> Message:
        """2.31, and the block size that is wanted from now on (RFC 7959 §2.3)."""
        szx = min(
            block.szx,
            szx_of(exchange.policy.block_size),
            ANY_SIZE if self.most_szx == NO_SIZE else self.most_szx,
        )
        self.szx = min(self.szx, szx)
        return Message(n.CONTINUE, b"", options((n.BLOCK1, Block(block.number, True, szx).value)))


def distinct_szx(others: list[Upload], exchange: Exchange) -> int:
    """The largest block by which a new upload differs from those that may go on with any token."""
    vague = [other for other in others if other.is_vague and other.most_szx != NO_SIZE]
    if not vague:
        return ANY_SIZE
    szx = min(min(other.szx, other.most_szx) for other in vague) - 1
    return szx if szx >= max(0, szx_of(len(exchange.request.payload)) - HALVINGS) else NO_SIZE


def lacking(exchange: Exchange, uploads: list[Upload]) -> str:
    """Which options a further block lacks that the first block of one of the uploads has; empty if none."""
    own = exchange.request.options
    for upload in uploads:
        numbers = {number for number, _ in upload.first.cache_key} - {number for number, _ in own}
        if numbers and all(pair in upload.first for pair in own.cache_key):
            names = sorted(
                n.OPTIONS[number].name if number in n.OPTIONS else str(number) for number in numbers
            )
            return f"missing from block 0: {', '.join(names[:3])}"
    return ""


def lost_before(uploads: list[Upload], block: Block) -> str:
    """What is missing before a block that belongs to none of these uploads, which have its key."""
    under_way = [upload for upload in uploads if upload.last is None]
    if len(under_way) == 1 and not under_way[0].is_lost:
        return gap(len(under_way[0].body), block)
    return "expected block 0 first"


def gap(received: int, block: Block) -> str:
    """Why a block doesn't follow the first ``received`` bytes of a body."""
    if block.offset < received:
        return f"block {block.number} has other bytes than before"
    first, last = received // block.size, block.number - 1
    missing = f"block {first} is" if first == last else f"blocks {first} to {last} are"
    return f"{missing} missing, got block {block.number} of {block.size} bytes"


def digest(payload: bytes) -> bytes:
    """Digest of a block's payload, by which its repetition is recognized."""
    return blake2b(payload, digest_size=16).digest()
