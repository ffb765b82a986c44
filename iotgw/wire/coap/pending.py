"""What the client role has under way with a peer: requests with their blocks, and observations. State only; `Client`
acts on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, szx_of
from iotgw.wire.coap.message import Message, Options, encode
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.timers import Timer
from iotgw.wire.coap.timing import Policy
from iotgw.wire.coap.transmission import Transmission
from iotgw.wire.coap.watching import Stamp, Watcher, is_fresher

NO_RESPONSE = "acknowledged, but no response came"
UNREACHABLE = "an earlier request was not acknowledged"
TIMED_OUT = "no response within the time of the request"
CANCELLED = "cancelled"
TOO_LARGE = "the response is larger than allowed"
NO_MEMORY = "too many responses are under way"
INCONSISTENT = "the response changed between its blocks"
WRONG_BLOCK = "the response is about another block than the one that was sent"
INCOMPLETE = "the peer answered before it had the whole body"

Part = tuple[bytes, tuple[tuple[int, int | None], ...]]
"""What is sent next of a request: a payload, and the options that differ from the request's."""


class LongBody(Protocol):
    """A body that need not be in memory as a whole: it has a length, and a slice of it is bytes."""

    def __len__(self) -> int:
        """Its bytes."""

    def __getitem__(self, part: slice, /) -> bytes:
        """Some of them."""


class Unanswered(Struct, frozen=True):
    """Why there is no whole response to a request.

    ``was_sent``: whether any part of the request left, so that the peer may have acted on it. ``first`` is the first
    block of a response whose further blocks could not be fetched; None if there was no response.
    """

    reason: str
    was_sent: bool = False
    first: Message | None = None

    def __str__(self) -> str:
        return self.reason


class PendingRequest:
    """A request on its way, and the blocks of its body and of its response.

    ``done(response)`` is called with the whole response, whatever its code, or ``failed(unanswered)`` when there is
    none; one of them, once. ``begun()`` is called before the first datagram leaves.
    """

    __slots__ = (
        "begun",
        "block_size",
        "body",
        "conversation",
        "deadline",
        "done",
        "failed",
        "first",
        "is_over",
        "options",
        "outgoing",
        "part",
        "policy",
        "request",
        "timer",
        "token",
        "transmission",
        "upload",
        "was_sent",
        "watch",
    )

    def __init__(
        self,
        conversation: Conversation,
        request: Message,
        policy: Policy,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
        begun: Callable[[], None] | None = None,
        body: LongBody | None = None,
    ) -> None:
        self.conversation = conversation
        self.request = request
        self.outgoing: LongBody = request.payload if body is None else body
        self.options: Options = request.options
        self.policy = policy
        self.block_size = min(policy.block_size, conversation.peer.block_size)
        self.done = done
        self.failed = failed
        self.begun = begun
        self.token = b""  # drawn when it is sent; that of the observation which it ends
        self.watch: Watch | None = None  # the observation that it begins
        self.transmission: Transmission | None = None
        self.timer: Timer | None = None  # for a separate response
        self.deadline: Timer | None = None
        self.upload: Block | None = None  # the block that was sent last
        self.first: Message | None = None  # the response's first block
        self.body = bytearray()
        self.was_sent = False
        self.is_over = False
        self.part: Part = b"", ()
        self.start_over()

    @property
    def is_uploading(self) -> bool:
        """Whether blocks of its body are still to be sent."""
        return self.upload is not None and self.upload.more

    @property
    def progress(self) -> int:
        """How many bytes of its body the peer has taken so far."""
        return 0 if self.upload is None else self.upload.offset

    def encoded(self, mid: int) -> bytes:
        """What is sent next of it."""
        payload, pairs = self.part
        opts = self.options.replaced(*pairs) if pairs else self.options
        return encode(self.request.type, self.request.code, mid, self.token, opts, payload)

    # --- the body of the request (Block1)

    def start_over(self) -> None:
        """Send from the beginning: the whole body, or its first block."""
        payload, size = self.outgoing, self.block_size
        if len(payload) <= size:
            self.upload = None
            self.part = payload[: len(payload)], ()
            return
        self.upload = Block(0, True, szx_of(size))
        self.part = payload[:size], ((n.BLOCK1, self.upload.value), (n.SIZE1, len(payload)))

    def next_block(self, block1: Block | None, code: int) -> str:
        """Send the next block, after a success with this Block1 option; returns what is wrong, else an empty text."""
        sent = self.upload
        if sent is None or not sent.more or (block1 is None and code != n.CONTINUE):
            return INCOMPLETE
        if block1 is not None and block1.number != sent.number and block1.offset != sent.offset:
            return WRONG_BLOCK
        offset = sent.offset + sent.size
        szx = (
            sent.szx if block1 is None else min(sent.szx, block1.szx)
        )  # smaller ones at will (RFC 7959 §2.5)
        end = offset + (16 << szx)
        body = self.outgoing
        self.upload = Block(offset >> (szx + 4), end < len(body), szx)
        self.part = body[offset:end], ((n.BLOCK1, self.upload.value),)
        return ""

    def shrink(self, block1: Block | None) -> bool:
        """After a 4.13: start over with smaller blocks, if that is what the peer asks for (RFC 7959 §2.9.3)."""
        if block1 is None or (self.upload is not None and self.upload.number):
            return False
        size = self.upload.size if self.upload is not None else len(self.outgoing)
        if block1.size >= size:
            return False
        self.block_size = block1.size
        self.start_over()
        return True

    # --- the body of the response (Block2)

    def misfit(self, message: Message, block: Block | None) -> str:
        """What is wrong with the next block of the response; empty if it fits."""
        first = self.first
        if block is None or block.offset != len(self.body):
            return INCONSISTENT
        if block.more and len(message.payload) != block.size:
            return INCONSISTENT
        if first is not None and (
            message.code >= n.BAD_REQUEST or message.options.get(n.ETAG) != first.options.get(n.ETAG)
        ):
            return INCONSISTENT
        return TOO_LARGE if block.offset + len(message.payload) > self.policy.max_body else ""

    def take(self, message: Message, block: Block) -> Message | None:
        """Add a block of the response; returns the whole response after the last one. Otherwise the next is asked for."""
        if self.first is None:
            self.first = message
        self.body += message.payload
        if not block.more:
            return Message(
                self.first.code, bytes(self.body), self.first.options.replaced((n.BLOCK2, None)), message.type
            )
        following = Block((block.offset + block.size) >> (block.szx + 4), False, block.szx)
        self.upload = None
        self.part = b"", ((n.BLOCK2, following.value), (n.OBSERVE, None))
        return None


class Watch:
    """An observation of a peer's resource. ``is_open`` from the response that began it until it has ended.

    ``heard`` is the time of its last response or notification.
    """

    __slots__ = (
        "conversation",
        "heard",
        "is_deregistering",
        "is_open",
        "newest",
        "policy",
        "request",
        "token",
        "unstored",
        "watcher",
    )

    def __init__(
        self, conversation: Conversation, request: Message, policy: Policy, watcher: Watcher
    ) -> None:
        self.conversation = conversation
        self.request = request
        self.policy = policy
        self.watcher = watcher
        self.token = b""
        self.is_open = False
        self.is_deregistering = False
        self.heard = 0.0
        self.newest: Stamp | None = None  # of the notifications that are stored
        self.unstored: dict[int, Stamp] = {}  # by the key of the message

    def begin(self, token: bytes, response: Message, now: float) -> bool:
        """Take the response to the request; returns whether the peer will notify."""
        number = response.options.get_uint(n.OBSERVE)
        if number is None or response.code >= n.BAD_REQUEST:
            return False
        replaced = self.conversation.watches.get(token)
        if replaced is not None:
            replaced.is_open = False
        self.resume(token)
        self.heard = now
        self.newest = number, now
        return True

    def resume(self, token: bytes) -> None:
        """Take notifications with this token."""
        self.token = token
        self.is_open = True
        self.conversation.watches[token] = self

    def is_fresh(self, stamp: Stamp) -> bool:
        """Whether a notification is newer than all that were taken."""
        return not self.is_overtaken(stamp) and all(
            is_fresher(stamp, each) for each in self.unstored.values()
        )

    def is_overtaken(self, stamp: Stamp) -> bool:
        """Whether a notification is no newer than one that is stored."""
        return self.newest is not None and not is_fresher(stamp, self.newest)

    def settle(self, key: int, is_stored: bool) -> None:
        """A notification was stored, or refused."""
        stamp = self.unstored.pop(key)
        if is_stored and not self.is_overtaken(stamp):
            self.newest = stamp


class Conversation:
    """What the client has to do with one peer.

    ``outstanding`` is the one request that the peer has not acknowledged or answered yet (NSTART is 1, RFC 7252 §4.7);
    ``waiting`` are those that come after it. ``calls`` are the requests that were sent and have no response, by
    token; ``watches`` are the open observations, by token.
    """

    __slots__ = ("calls", "outstanding", "peer", "waiting", "watches")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.outstanding: PendingRequest | None = None
        self.waiting: list[PendingRequest] = []  # few; an empty deque takes ten times as much
        self.calls: dict[bytes, PendingRequest] = {}
        self.watches: dict[bytes, Watch] = {}

    def __len__(self) -> int:
        """Requests that have no response yet."""
        return len(self.waiting) + len(self.calls)

    def is_free(self, token: bytes, but_watches: bool = False) -> bool:
        """Whether a token can be given to a request; with ``but_watches``, to one that replaces an observation."""
        return token not in self.calls and (but_watches or token not in self.watches)
