"""Bodies that come in blocks (Block1, RFC 7959 §2.5): which upload of a peer a block belongs to.

Uploads with different Request-Tags have different keys (RFC 9175 §3). Those that share a key are told apart by
token where the client keeps one token per upload. Tokens tell nothing about a client that uses a new token for every
block. Its uploads are told apart by their block sizes:

- When an upload begins beside one that may go on with any token, its 2.31 asks for smaller blocks than that one's
  (RFC 7959 §2.3). Larger blocks then belong to the older upload, smaller ones to the newer.
- A client may ignore the size that it is asked for. So a block of the older upload waits until the newer one has
continued with smaller
blocks. If it doesn't, nobody can tell whose block that was: it gets 4.08, and the older upload is
  forgotten.

A block counts as a repetition when its bytes are the same, not only its number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.blockwise import Block, Budget, Key, overhead, too_large, transfer_key
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error
from iotgw.wire.coap.timers import Timers
from iotgw.wire.coap.upload import ANY_SIZE, Upload, digest, distinct_szx, gap, lacking, lost_before

PATIENCE = 0.5
"""Seconds that a block waits beyond the client's retransmission time."""


class Uploads:
    """The Block1 transfers of an endpoint. One that is silent for its policy's block timeout is dropped.

    Per peer, ``max_uploads`` are under way, and the responses of as many whole ones are kept. ``whole(exchange,
    body)`` gets the bodies whose last block had to wait.
    """

    def __init__(self, timers: Timers, budget: Budget, whole: Callable[[Exchange, bytes], None]) -> None:
        self._timers = timers
        self._deliver = whole
        self._budget = budget
        self._by_key: dict[Key, list[Upload]] = {}  # in the order in which they began
        self._under_way: dict[int, list[Upload]] = {}  # by peer
        self._whole: dict[int, deque[Upload]] = {}  # by peer
        self._finishing: dict[Exchange, Upload] = {}

    def __len__(self) -> int:
        return sum(map(len, self._by_key.values()))

    def take(self, exchange: Exchange, block: Block, now: float) -> Message | bytes | None:
        """Handle a block. Returns its response, the whole body when it was the last block, or None when its response
        will follow."""
        request = exchange.request
        payload = request.payload
        if len(payload) > block.size or (block.more and len(payload) < block.size):
            return error(n.BAD_REQUEST, f"expected a block of {block.size} bytes, got {len(payload)}")
        key = transfer_key(exchange)
        upload = self._find(key, exchange, block)
        most = exchange.policy.max_body
        if max(block.offset + len(payload), request.options.get_uint(n.SIZE1) or 0) > most:
            if upload is not None and upload.last is None:
                if exchange.token == upload.token:
                    self._drop(upload)
                else:
                    self._lose(upload)
            return too_large(most)
        if not block.number:
            return self._first(upload, key, exchange, block, now)
        if upload is None:
            missing = lacking(exchange, self.of(exchange)) or lost_before(self._by_key.get(key, []), block)
            return _incomplete(missing)  # RFC 7959 §2.9.2
        if upload.last is not None:
            return self._repeated(upload, exchange, block)
        if upload.is_lost:
            if exchange.token == upload.token:
                self._drop(upload)  # now its client knows
            return _incomplete("expected a Request-Tag")
        if exchange.token == upload.token and upload.keeps_token is not False:
            upload.refuse_pending()  # its own block is here: that one was another's
        elif not upload.has(block, payload) and self._is_doubtful(upload):
            return self._suspend(upload, exchange, block, now)
        elif upload.most_szx != ANY_SIZE:
            upload.minds_size = True
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

    def of(self, exchange: Exchange) -> list[Upload]:
        """The uploads that a block may belong to by its peer and method: those of its token, if there are any."""
        serial, code = exchange.peer.serial, exchange.request.code
        of_peer = [*self._under_way.get(serial, ()), *self._whole.get(serial, ())]
        found = [upload for upload in of_peer if upload.key[1] == code]
        return [upload for upload in found if exchange.token in (upload.token, upload.last_token)] or found

    def forget(self, serial: int) -> None:
        """A peer is gone."""
        for key in [key for key in self._by_key if key[0] == serial]:
            for upload in self._by_key.pop(key):
                self._release(upload)

    # --- which upload a block belongs to ----------------------------------------------------------

    def _find(self, key: Key, exchange: Exchange, block: Block) -> Upload | None:
        uploads = self._by_key.get(key)
        if uploads is None:
            return None
        token, payload = exchange.token, exchange.request.payload
        own = [upload for upload in uploads if upload.last is None and upload.token == token]
        if not block.number:
            return own[0] if own else None
        own = [upload for upload in own if upload.keeps_token is not False]
        if own and own[0].fits(block, payload):
            return own[0]
        whole = [upload for upload in reversed(uploads) if upload.last is not None]
        for upload in whole:
            if upload.last_token == token and upload.has(block, payload):
                return upload
        if own:
            return own[0]
        for upload in reversed(uploads):
            if upload.is_vague and block.szx <= upload.most_szx:
                return upload if upload.fits(block, payload) else None
        if len(whole) == len(uploads):  # nothing else is under way, so it must belong to this one
            for upload in whole:
                if upload.is_alone and not upload.keeps_token and upload.has(block, payload):
                    return upload
        return None

    # --- blocks that may be another upload's ------------------------------------------------------

    def _is_doubtful(self, upload: Upload) -> bool:
        """Whether a block that fits an upload may belong to a newer one, whose client ignores the requested size."""
        uploads = self._by_key[upload.key]
        newer = uploads[uploads.index(upload) + 1 :]
        return any(other.is_vague and not other.minds_size for other in newer)

    def _suspend(self, upload: Upload, exchange: Exchange, block: Block, now: float) -> Message | None:
        """Hold a block until it is known which upload it belongs to."""
        if upload.pending is not None:  # two clients go on with what can be one upload only
            self._lose(upload)
            return _incomplete("expected a Request-Tag")
        upload.pending = exchange, block
        exchange.acknowledge()  # a client may send nothing else before that (NSTART, RFC 7252 §4.7)
        timing = exchange.policy.timing

        def give_up(now: float) -> None:
            if upload.pending is not None and upload.pending[0] is exchange:
                self._lose(upload)

        self._timers.at(now + timing.ack_timeout * timing.ack_random_factor + PATIENCE, give_up)
        return None

    def _resume(self, key: Key, now: float) -> None:
        """Take the blocks whose upload is known by now."""
        for upload in reversed(self._by_key.get(key, [])[:]):
            if upload.pending is not None and not self._is_doubtful(upload):
                (exchange, block), upload.pending = upload.pending, None
                upload.minds_size = upload.most_szx != ANY_SIZE
                taken = self._append(upload, exchange, block, now)
                if isinstance(taken, Message):
                    exchange.endpoint.respond_raw(exchange, taken)
                else:
                    self._deliver(exchange, taken)

    def _lose(self, upload: Upload) -> None:
        """Drop an upload. Its further blocks get 4.08 until the block timeout."""
        upload.refuse_pending()
        self._budget.give_back(len(upload.body))
        upload.body = bytearray()
        upload.again = 0
        upload.is_lost = True

    # --- the first block --------------------------------------------------------------------------

    def _first(
        self, known: Upload | None, key: Key, exchange: Exchange, block: Block, now: float
    ) -> Message | bytes:
        payload = exchange.request.payload
        if known is not None and block.more and known.body.startswith(payload):
            known.again = len(payload)  # it came again, or all of it will
            known.quiet_since = now
            return known.proceed(block, exchange)
        if known is not None:  # it starts over (RFC 7959 §2.5)
            self._drop(known)
        if not block.more:
            return payload  # one block is a message of its own
        upload = self._begin(key, exchange, now)
        if upload is None:
            return _no_room()
        upload.body += payload
        upload.szx = block.szx
        return upload.proceed(block, exchange)

    def _begin(self, key: Key, exchange: Exchange, now: float) -> Upload | None:
        policy, serial = exchange.policy, key[0]
        if len(self._under_way.get(serial, ())) >= policy.max_uploads:
            return None
        if not self._budget.take(overhead(key) + len(exchange.request.payload)):
            return None
        upload = Upload(key, exchange, now)
        others = self._by_key.setdefault(key, [])
        upload.most_szx = distinct_szx(others, exchange)
        for other in others:
            if other.last is None:
                other.is_alone = upload.is_alone = False
        others.append(upload)
        self._under_way.setdefault(serial, []).append(upload)
        self._watch(upload, policy.block_timeout)
        return upload

    # --- further blocks ---------------------------------------------------------------------------

    def _append(self, upload: Upload, exchange: Exchange, block: Block, now: float) -> Message | bytes:
        payload, received = exchange.request.payload, len(upload.body)
        is_own = exchange.token == upload.token
        if block.offset != received:
            if upload.has(block, payload):  # again, under another Message ID
                if block.offset == upload.again:
                    upload.again += len(payload)
                upload.quiet_since = now
                return upload.proceed(block, exchange)
            if not upload.again or block.offset != upload.again:
                self._drop(upload)
                return _incomplete(gap(received, block))
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
            self._resume(upload.key, now)
            return body
        if not self._budget.take(len(payload)):
            self._drop(upload)
            return _no_room()
        upload.body += payload
        self._resume(upload.key, now)
        return upload.proceed(block, exchange)

    def _complete(self, upload: Upload, exchange: Exchange, block: Block) -> None:
        """The last block came: remember it until its response is ready."""
        self._budget.give_back(len(upload.body))
        upload.body = bytearray()
        upload.last = block, digest(exchange.request.payload)
        upload.last_token = exchange.token
        upload.finisher = exchange
        self._finishing[exchange] = upload
        self._pass_by(upload)
        whole = self._whole.setdefault(upload.key[0], deque())
        whole.append(upload)
        if len(whole) > exchange.policy.max_uploads:
            oldest = next((other for other in whole if other.finisher is None), whole[0])
            for waiting in oldest.waiting:
                waiting.endpoint.respond_raw(waiting, _no_room())
            self._drop(oldest)

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
            if now >= upload.quiet_since + timeout:
                self._drop(upload)
            else:
                upload.timer = self._timers.at(upload.quiet_since + timeout, look)

        upload.timer = self._timers.at(upload.quiet_since + timeout, look)

    def _drop(self, upload: Upload) -> None:
        uploads = self._by_key[upload.key]
        place = uploads.index(upload)
        del uploads[place]
        if not uploads:
            del self._by_key[upload.key]
        upload.refuse_pending()
        self._release(upload)
        if upload.is_vague and not upload.minds_size:
            for other in uploads[:place]:
                if other.pending is not None:  # which upload it belonged to will never be known
                    self._lose(other)

    def _release(self, upload: Upload) -> None:
        """Release the room that an upload took."""
        upload.timer.cancel()
        upload.pending = None
        self._budget.give_back(len(upload.body) + overhead(upload.key))
        serial = upload.key[0]
        if upload.last is None:
            self._pass_by(upload)
            return
        if upload.finisher is not None:
            del self._finishing[upload.finisher]
        whole = self._whole[serial]
        whole.remove(upload)
        if not whole:
            del self._whole[serial]

    def _pass_by(self, upload: Upload) -> None:
        """An upload is no longer under way."""
        under_way = self._under_way[upload.key[0]]
        under_way.remove(upload)
        if not under_way:
            del self._under_way[upload.key[0]]


def _incomplete(reason: str) -> Message:
    return error(n.REQUEST_ENTITY_INCOMPLETE, reason)


def _no_room() -> Message:
    return error(n.SERVICE_UNAVAILABLE, "too many transfers", (n.MAX_AGE, 10))
