"""Bodies that come in blocks (Block1, RFC 7959 §2.5): which upload of a peer a block belongs to.

Uploads with different Request-Tags have different keys (RFC 9175 §3). Those that share a key are told apart by
token where the client keeps one token per upload. A client that takes a new token for every block says nothing
by its tokens, so only one such upload of a key goes on at a time:

- While one is active, the first block of another is held: its 2.31 waits until the older one is whole, or has
  shown that it keeps its token. The client sends nothing more of the other one before that 2.31.
- When the older one pauses meanwhile, it is overtaken. From then on only its own token can continue it. The
  newer one is told to go on in smaller blocks (RFC 7959 §2.3): what still comes in larger ones is the older
  one's, and gets 4.08. (A client that doesn't mind the size gets 4.08 as well. It is never mixed.)

A block is repeated when its bytes are the same, not only its number.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, Budget, Key, overhead, szx_of, too_large, transfer_key
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, options
from iotgw.wire.coap.site import error
from iotgw.wire.coap.timers import Timer, Timers

PAUSE = 0.4
"""Seconds without a block after which an upload may be overtaken: its second block would have come in most
networks, and the other upload's client needs no empty ACK yet."""
ANY_SIZE = 7


class Upload:
    """A body that comes in, in order; when it is whole, the response to its last block."""

    timer: Timer

    __slots__ = (
        "again",
        "body",
        "finisher",
        "held",
        "is_alone",
        "is_overtaken",
        "keeps_token",
        "key",
        "last",
        "last_token",
        "most_szx",
        "quiet_since",
        "response",
        "szx",
        "timer",
        "token",
        "waiting",
    )

    def __init__(self, key: Key, token: bytes, now: float) -> None:
        self.key = key
        self.token = token  # of the first block
        self.keeps_token: bool | None = None  # not known before the second block
        self.body = bytearray()
        self.again = 0  # how much of the body came again, after its first block did
        self.szx = ANY_SIZE  # of the smallest block so far
        self.most_szx = ANY_SIZE  # of the largest block that another token may continue it with
        self.quiet_since = now
        self.is_overtaken = False
        self.is_alone = True  # no other upload of the key was under way at the same time
        self.held: list[Exchange] = []  # with its first block, which is not answered yet
        self.last: tuple[Block, bytes] | None = None  # the last block, and a digest of its payload
        self.last_token = b""
        self.finisher: Exchange | None = None  # the exchange of the last block, until it is answered
        self.response: Message | None = None
        self.waiting: list[Exchange] = []  # repetitions of the last block that wait for its response

    @property
    def is_open(self) -> bool:
        """Whether it takes blocks."""
        return self.last is None and not self.held

    @property
    def is_vague(self) -> bool:
        """Whether a block with any token may be its next one, as far as is known."""
        return self.is_open and not self.keeps_token

    def has(self, block: Block, payload: bytes) -> bool:
        """Whether a block is one that came before."""
        if self.last is not None:
            return self.last == (block, _digest(payload))
        return block.more and self.body[block.offset : block.offset + len(payload)] == payload

    def fits(self, block: Block, payload: bytes) -> bool:
        """Whether a block is the next one, or one that came before."""
        return block.offset == len(self.body) or self.has(block, payload)


class Uploads:
    """The Block1 transfers of an endpoint. One that is silent for its policy's block timeout is dropped.

    Per peer, ``max_uploads`` are under way, and the responses of as many whole ones are kept.
    """

    def __init__(self, timers: Timers, budget: Budget) -> None:
        self._timers = timers
        self._budget = budget
        self._by_key: dict[Key, list[Upload]] = {}  # in the order in which they began
        self._under_way: dict[int, int] = {}  # by peer, how many
        self._whole: dict[int, deque[Upload]] = {}  # by peer
        self._finishing: dict[Exchange, Upload] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def take(self, exchange: Exchange, block: Block, now: float) -> Message | bytes | None:
        """A block came. Returns the response that it gets, the whole body when it was the last one, or None
        when its response is still to come."""
        request = exchange.request
        payload = request.payload
        if block.more and len(payload) != block.size:
            return error(n.BAD_REQUEST, f"expected a block of {block.size} bytes, got {len(payload)}")
        if len(payload) > block.size:
            return error(n.BAD_REQUEST, f"expected at most {block.size} bytes, got {len(payload)}")
        key = transfer_key(exchange)
        upload = self._find(key, exchange, block)
        most = exchange.policy.max_body
        if max(block.offset + len(payload), request.options.get_uint(n.SIZE1) or 0) > most:
            if upload is not None and upload.last is None:
                self._drop(upload, now)
            return too_large(most)
        if not block.number:
            return self._first(upload, key, exchange, block, now)
        if upload is None:
            self._tell_overtaken(key, block, now)
            return error(n.REQUEST_ENTITY_INCOMPLETE, "expected block 0 first")  # RFC 7959 §2.9.2
        if upload.last is not None:
            return self._repeated(upload, exchange, block)
        return self._append(upload, exchange, block, now)

    def completed(self, exchange: Exchange, response: Message) -> list[Exchange]:
        """Keep the response to a last block for as long as the block may come again; returns the exchanges
        in which it came again meanwhile."""
        upload = self._finishing.pop(exchange, None)
        if upload is None:
            return []
        upload.response = response
        upload.finisher = None
        waiting, upload.waiting = upload.waiting, []
        return waiting

    def forget(self, serial: int) -> None:
        """A peer is gone."""
        for key in [key for key in self._by_key if key[0] == serial]:
            for upload in self._by_key.pop(key):
                self._release(upload)

    # --- whose a block is -------------------------------------------------------------------------

    def _find(self, key: Key, exchange: Exchange, block: Block) -> Upload | None:
        uploads = self._by_key.get(key)
        if uploads is None:
            return None
        token, payload = exchange.token, exchange.request.payload
        own = [upload for upload in uploads if upload.last is None and upload.token == token]
        if not block.number:
            return own[0] if own else None
        own = [upload for upload in own if upload.is_open and upload.keeps_token is not False]
        if own and own[0].fits(block, payload):
            return own[0]
        whole = [upload for upload in reversed(uploads) if upload.last is not None]
        for upload in whole:
            if upload.last_token == token and upload.has(block, payload):
                return upload
        if own:
            return own[0]
        for upload in uploads:
            if upload.is_vague and not upload.is_overtaken and block.szx <= upload.most_szx:
                return upload if upload.fits(block, payload) else None
        if len(whole) == len(uploads):  # nothing else is under way: whose else could it be?
            for upload in whole:
                if upload.is_alone and not upload.keeps_token and upload.has(block, payload):
                    return upload
        return None

    def _tell_overtaken(self, key: Key, block: Block, now: float) -> None:
        """A block that nobody expects gets 4.08: an overtaken upload's client may know now."""
        for upload in self._by_key.get(key, ()):
            if upload.is_overtaken and upload.is_vague and len(upload.body) == block.offset:
                self._drop(upload, now)
                return

    # --- the first block --------------------------------------------------------------------------

    def _first(
        self, known: Upload | None, key: Key, exchange: Exchange, block: Block, now: float
    ) -> Message | bytes | None:
        payload = exchange.request.payload
        if known is not None and block.more and known.body.startswith(payload):
            if known.held:
                known.held.append(exchange)
                return None
            known.again = len(payload)  # it came again, or all of it will
            known.quiet_since = now
            return _continue(known, block, exchange)
        if known is not None:  # it starts over (RFC 7959 §2.5)
            for earlier in known.held:
                earlier.endpoint.respond_raw(earlier, _incomplete("it started over"))
            self._drop(known, now)
        if not block.more:
            return payload  # one block is a message of its own
        upload = self._begin(key, exchange, now)
        if upload is None:
            return _no_room()
        upload.body += payload
        upload.szx = block.szx
        upload.held = [exchange]
        self._start_next(key, now, exchange)
        if upload.held:
            self._hold(upload)
            return None
        return _continue(upload, block, exchange)

    def _begin(self, key: Key, exchange: Exchange, now: float) -> Upload | None:
        policy, serial = exchange.policy, key[0]
        if self._under_way.get(serial, 0) >= policy.max_uploads:
            return None
        if not self._budget.take(overhead(key) + len(exchange.request.payload)):
            return None
        upload = Upload(key, exchange.token, now)
        others = self._by_key.setdefault(key, [])
        for other in others:
            if other.last is None:
                other.is_alone = upload.is_alone = False
        others.append(upload)
        self._under_way[serial] = self._under_way.get(serial, 0) + 1
        self._watch(upload, policy.block_timeout)
        return upload

    def _start_next(self, key: Key, now: float, asking: Exchange | None = None) -> None:
        """Let the oldest upload that is held go on, if nothing is in its way; ``asking`` is answered elsewhere."""
        uploads = self._by_key.get(key, ())
        vague = [upload for upload in uploads if upload.is_vague]
        if not all(upload.is_overtaken for upload in vague):
            return
        upload = next((upload for upload in uploads if upload.held), None)
        if upload is None:
            return
        exchanges, upload.held = upload.held, []
        upload.quiet_since = now
        if vague:
            upload.most_szx = min(min(other.szx, other.most_szx) for other in vague) - 1
        for exchange in exchanges:
            if exchange is not asking:
                block = Block(0, True, upload.szx)
                exchange.endpoint.respond_raw(exchange, _continue(upload, block, exchange))

    def _hold(self, upload: Upload) -> None:
        """Look after a while whether what is in an upload's way has paused."""
        timing = upload.held[0].policy.timing
        repetition = timing.ack_timeout * timing.ack_random_factor

        def look(now: float) -> None:
            if not upload.held:
                return
            uploads = self._by_key[upload.key]
            in_its_way = [other for other in uploads if other.is_vague and not other.is_overtaken]
            # A client that changes tokens can't go on after that, so it may repeat a block that was lost before.
            changes_tokens = any(other.keeps_token is False for other in uploads)
            pause = PAUSE + (repetition if changes_tokens else 0)
            if all(now >= other.quiet_since + pause for other in in_its_way):
                for other in in_its_way:
                    other.is_overtaken = True
                self._start_next(upload.key, now)
            if upload.held:
                self._timers.at(now + PAUSE / 2, look)

        self._timers.at(upload.quiet_since + PAUSE, look)

    # --- further blocks ---------------------------------------------------------------------------

    def _append(self, upload: Upload, exchange: Exchange, block: Block, now: float) -> Message | bytes:
        payload, received = exchange.request.payload, len(upload.body)
        is_own = exchange.token == upload.token
        if block.offset != received:
            if upload.has(block, payload):  # again, under another Message ID
                if block.offset == upload.again:
                    upload.again += len(payload)
                upload.quiet_since = now
                return _continue(upload, block, exchange)
            if not upload.again or block.offset != upload.again:
                self._drop(upload, now)
                return _incomplete(f"expected byte {received}, got {block.offset}")
            # It started over with the same bytes, and here it differs.
            del upload.body[block.offset :]
            self._budget.give_back(received - block.offset)
            upload.again = 0
        upload.quiet_since = now
        upload.szx = min(upload.szx, block.szx)
        if upload.keeps_token is None:
            upload.keeps_token = is_own
        if not block.more:
            body = bytes(upload.body) + payload
            self._complete(upload, exchange, block)
            self._start_next(upload.key, now)
            return body
        if not self._budget.take(len(payload)):
            self._drop(upload, now)
            return _no_room()
        upload.body += payload
        self._start_next(upload.key, now)
        return _continue(upload, block, exchange)

    def _complete(self, upload: Upload, exchange: Exchange, block: Block) -> None:
        """The last block came: keep what tells it from another one, until its response is had."""
        self._budget.give_back(len(upload.body))
        upload.body = bytearray()
        upload.last = block, _digest(exchange.request.payload)
        upload.last_token = exchange.token
        upload.finisher = exchange
        self._finishing[exchange] = upload
        self._count_down(upload.key[0])
        whole = self._whole.setdefault(upload.key[0], deque())
        whole.append(upload)
        if len(whole) > exchange.policy.max_uploads:
            oldest = next((other for other in whole if other.finisher is None), whole[0])
            for waiting in oldest.waiting:
                waiting.endpoint.respond_raw(waiting, _no_room())
            self._drop(oldest, upload.quiet_since)

    def _repeated(self, upload: Upload, exchange: Exchange, block: Block) -> Message | None:
        """The last block of a whole upload came again, under another Message ID."""
        if not upload.has(block, exchange.request.payload):
            return _incomplete("that body is complete")
        if upload.response is None:
            upload.waiting.append(exchange)
        return upload.response

    # --- the end ----------------------------------------------------------------------------------

    def _watch(self, upload: Upload, timeout: float) -> None:
        def look(now: float) -> None:
            if upload.held:
                upload.timer = self._timers.at(now + timeout, look)
            elif now >= upload.quiet_since + timeout:
                self._drop(upload, now)
            else:
                upload.timer = self._timers.at(upload.quiet_since + timeout, look)

        upload.timer = self._timers.at(upload.quiet_since + timeout, look)

    def _drop(self, upload: Upload, now: float) -> None:
        uploads = self._by_key[upload.key]
        uploads.remove(upload)
        if not uploads:
            del self._by_key[upload.key]
        self._release(upload)
        self._start_next(upload.key, now)

    def _release(self, upload: Upload) -> None:
        """Give back what an upload took."""
        upload.timer.cancel()
        upload.held = []
        self._budget.give_back(len(upload.body) + overhead(upload.key))
        serial = upload.key[0]
        if upload.last is None:
            self._count_down(serial)
            return
        if upload.finisher is not None:
            del self._finishing[upload.finisher]
        whole = self._whole[serial]
        whole.remove(upload)
        if not whole:
            del self._whole[serial]

    def _count_down(self, serial: int) -> None:
        left = self._under_way[serial] - 1
        if left:
            self._under_way[serial] = left
        else:
            del self._under_way[serial]


def _digest(payload: bytes) -> bytes:
    return blake2b(payload, digest_size=16).digest()


def _continue(upload: Upload, block: Block, exchange: Exchange) -> Message:
    """2.31, and the block size that is wanted from now on (RFC 7959 §2.3)."""
    szx = min(block.szx, szx_of(exchange.policy.block_size), max(0, upload.most_szx))
    upload.szx = min(upload.szx, szx)
    return Message(n.CONTINUE, b"", options((n.BLOCK1, Block(block.number, True, szx).value)))


def _incomplete(reason: str) -> Message:
    return error(n.REQUEST_ENTITY_INCOMPLETE, reason)


def _no_room() -> Message:
    return error(n.SERVICE_UNAVAILABLE, "too many transfers", (n.MAX_AGE, 10))
