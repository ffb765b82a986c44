"""Recognizes duplicates: which reply each message got, for as long as its Message ID can't be reused (RFC 7252 §4.2,
§4.8.2).

A copy of a message is the same bytes again (§4.2). So what is remembered of a message is a hash of its datagram as well:
another message under a Message ID that is still in use is a new one, from a device that counts from the start again
after a reboot or that has one Message ID for everything. RFC 7252 §4.4 forbids that and doesn't say what becomes of it.
Both messages are remembered then, each for its own lifetime. A hash of 0 stands for any content.

A message is `open` until it has its reply. Most devices use consecutive Message IDs and get the same bare code each
time; such messages share one small `ReplyRun`. Any other message has an entry of its own, with the bytes of its
reply.
"""

from __future__ import annotations

import struct
from collections import deque
from enum import Enum
from typing import Final

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import encode
from iotgw.wire.coap.peers import Peer, ReplyRun

ENTRY_BYTES = 220
"""Bytes of an entry besides its reply: key, table slot, place in its chunk, object headers."""
RUN_BYTES = 400
"""Bytes of a run, with its stretches and its place in their chunks."""
STRETCH = 16.0
"""Seconds of a run that are forgotten together."""
RUNS_PER_PEER = 4
"""Runs per peer. A peer whose Message IDs jump about more than this gets entries instead."""
SILENCE = 0
"""The code of a run without replies: Non-confirmable messages."""
ANY_CONTENT = 0
_CONTENT = struct.Struct("=I")
_REUSE_SHIFT = 80


class Reuse(Enum):
    """What `Remembered.find` says of a message whose Message ID is that of another message."""

    OF_MID = "another message has this Message ID"


REUSED: Final = Reuse.OF_MID


def content_of(data: bytes) -> int:
    """By what a datagram is told from others with its Message ID. It can't be forged, since the hash is keyed by
    process; it is never `ANY_CONTENT`."""
    return hash(data) & 0xFFFF_FFFF or 1


def reused_key(key: int, content: int) -> int:
    """The key of a message whose Message ID is another's, too."""
    return content << _REUSE_SHIFT | key


class _Chunk:
    """What was remembered within one second and is forgotten together: keys of entries, and runs whose oldest stretch
    ends."""

    __slots__ = ("closes", "expires", "items")

    def __init__(self, closes: float, expires: float) -> None:
        self.closes = closes
        self.expires = expires
        self.items: list[int | ReplyRun] = []


class Remembered:
    """Messages by peer and Message ID, with their replies.

    No entry has a timer or a time stamp of its own: entries expire in chunks of one second. Keys are ints,
    ``peer.serial << 16 | mid`` or a `reused_key`, so that a large table costs the garbage collector nothing. Bounded by
    ``max_entries`` and ``max_bytes``: beyond that, the oldest chunk is dropped and ``evicted`` counts its messages.
    ``lifetime`` in seconds is that of messages that never get their reply.
    """

    def __init__(self, max_entries: int, max_bytes: int, lifetime: float) -> None:
        self.lifetime = lifetime
        self.evicted = 0
        self._open: dict[int, Exchange] = {}  # in the order of their arrival
        self._entries: dict[int, bytes] = {}  # content and reply
        self._reused: set[int] = set()  # the keys of those whose Message ID was another's, too
        self._runs = 0
        self._in_runs = 0  # messages
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._chunk_size = max(1, min(4096, max_entries // 16))
        self._bytes = 0
        self._chunks: dict[float, deque[_Chunk]] = {}  # by lifetime: each deque is in order of time
        self._newest: dict[float, _Chunk] = {}
        self._again: dict[int, int] = {}  # key → in how many older chunks it stands besides its newest

    def __len__(self) -> int:
        """How many messages are remembered."""
        return len(self._open) + len(self._entries) + self._in_runs

    @property
    def size(self) -> int:
        """Bytes in use, estimated."""
        entries = ENTRY_BYTES * (len(self._entries) + len(self._open))
        return self._bytes + entries + RUN_BYTES * self._runs + _CONTENT.size * self._in_runs

    def find(self, peer: Peer, mid: int, token: bytes, content: int) -> Exchange | bytes | Reuse | None:
        """The open exchange or the reply of a known message, the bytes for a copy with ``token``; None for a new
        message, `REUSED` for a new one with the Message ID of another."""
        is_reuse = False
        for run in peer.runs:
            place = (mid - run.first - run.begin) & 0xFFFF
            if place < run.end - run.begin:
                if run.contents[place] in (content, ANY_CONTENT):
                    return encode(n.ACK, run.code, mid, token) if run.code else b""
                is_reuse = True
        key = peer.serial << 16 | mid
        opened = self._open.get(key)
        if opened is not None:
            if opened.content in (content, ANY_CONTENT):
                return opened
            is_reuse = True
        entry = self._entries.get(key)
        if entry is not None:
            if _CONTENT.unpack_from(entry)[0] in (content, ANY_CONTENT):
                return entry[_CONTENT.size :]
            is_reuse = True
        if self._reused:
            key = reused_key(key, content)
            if key in self._reused:
                return self._open.get(key) or self._entries[key][_CONTENT.size :]
        return REUSED if is_reuse else None

    def kept(self, key: int) -> bytes | None:
        """What was kept by `keep` under a key."""
        entry = self._entries.get(key)
        return None if entry is None else entry[_CONTENT.size :]

    def open(self, key: int, exchange: Exchange) -> None:
        """Remember a message that is to be answered."""
        if key >> _REUSE_SHIFT > 0:
            self._reused.add(key)
        self._open[key] = exchange
        if len(self._open) > self._max_entries:
            oldest = next(iter(self._open))
            del self._open[oldest]
            self._reused.discard(oldest)
            self.evicted += 1

    def settle(self, exchange: Exchange, lifetime: float, reply: bytes, bare: int | None = None) -> None:
        """Replace the remembered exchange by its reply, unless it has expired.

        ``bare`` is the code of a reply that consists of code and token only, or `SILENCE` when there is no reply.
        """
        key = exchange.key
        if self._open.get(key) is not exchange:
            return
        del self._open[key]
        peer = exchange.peer
        mid = exchange.mid
        if bare is not None and key >> _REUSE_SHIFT == 0:
            runs = peer.runs
            run = runs[-1] if runs else None
            if run is not None and run.code == bare and (run.first + run.end) & 0xFFFF == mid:
                if exchange.received >= run.closes:
                    self._stretch(run, lifetime, exchange.received)
                run.end += 1
                run.contents.append(exchange.content)
                self._in_runs += 1
                return
            last, peer.last = peer.last, mid << 8 | bare
            if last == ((mid - 1) & 0xFFFF) << 8 | bare and len(runs) < RUNS_PER_PEER:
                self._begin(exchange, bare, lifetime)
                return
        self.keep(key, reply, lifetime, exchange.received, exchange.content)

    def keep(self, key: int, reply: bytes, lifetime: float, now: float, content: int) -> None:
        """Remember a reply without an exchange for ``lifetime`` seconds, plus up to one second for its chunk."""
        if key >> _REUSE_SHIFT > 0:
            self._reused.add(key)
        reply = _CONTENT.pack(content) + reply
        known = self._entries.get(key)
        if known is not None:
            self._again[key] = self._again.get(key, 0) + 1
            self._bytes -= len(known)
        self._entries[key] = reply
        self._bytes += len(reply)
        self._chunk(lifetime, now).append(key)

    def expire(self, now: float) -> None:
        """Forget messages past their lifetime."""
        for chunks in self._chunks.values():
            while chunks and chunks[0].expires <= now:
                self._drop(chunks)
        oldest = now - self.lifetime - 1
        while self._open:
            key, exchange = next(iter(self._open.items()))
            if exchange.received > oldest:
                break
            del self._open[key]
            self._reused.discard(key)

    @property
    def next_expiry(self) -> float | None:
        """When `expire` is due, None when nothing is remembered."""
        times = [chunks[0].expires for chunks in self._chunks.values() if chunks]
        if self._open:
            times.append(next(iter(self._open.values())).received + self.lifetime + 1)
        return min(times, default=None)

    # --- runs ---

    def _begin(self, exchange: Exchange, code: int, lifetime: float) -> None:
        peer = exchange.peer
        run = ReplyRun(peer, exchange.mid, code)
        peer.runs = (*peer.runs, run)
        self._runs += 1
        self._stretch(run, lifetime, exchange.received)
        run.end = 1
        run.contents.append(exchange.content)
        self._in_runs += 1

    def _stretch(self, run: ReplyRun, lifetime: float, now: float) -> None:
        """What follows is forgotten together, a lifetime after the last of it."""
        run.closes = now + STRETCH
        run.stretches.append(run.end)
        self._chunk(lifetime + STRETCH, now).append(run)

    def _shorten(self, run: ReplyRun) -> int:
        """Forget a run's oldest stretch; returns how many messages that were."""
        stretches = run.stretches
        del stretches[0]
        begin = stretches[0] if stretches else run.end
        forgotten = begin - run.begin
        del run.contents[:forgotten]
        run.begin = begin
        self._in_runs -= forgotten
        if not stretches:
            run.peer.runs = tuple([other for other in run.peer.runs if other is not run])
            self._runs -= 1
        return forgotten

    # --- chunks ---

    def _chunk(self, lifetime: float, now: float) -> list[int | ReplyRun]:
        """Where to note what is remembered now."""
        chunk = self._newest.get(lifetime)
        if chunk is None or now >= chunk.closes or len(chunk.items) >= self._chunk_size:
            while self._chunks and self._is_over:
                oldest = min((c for c in self._chunks.values() if c), key=lambda chunks: chunks[0].closes)
                self.evicted += self._drop(oldest)
            chunk = self._newest[lifetime] = _Chunk(now + 1, now + 1 + lifetime)
            self._chunks.setdefault(lifetime, deque()).append(chunk)
        return chunk.items

    @property
    def _is_over(self) -> bool:
        slots = len(self._entries) + self._runs
        return slots > self._max_entries or (slots > 0 and self.size > self._max_bytes)

    def _drop(self, chunks: deque[_Chunk]) -> int:
        """Forget the oldest chunk; returns how many messages that were."""
        chunk = chunks.popleft()
        for lifetime, newest in self._newest.items():
            if newest is chunk:
                del self._newest[lifetime]
                break
        entries = self._entries
        dropped = 0
        for item in chunk.items:
            if isinstance(item, ReplyRun):
                dropped += self._shorten(item)
            elif self._again and item in self._again:
                self._again[item] -= 1
                if not self._again[item]:
                    del self._again[item]
            else:
                self._bytes -= len(entries.pop(item))
                self._reused.discard(item)
                dropped += 1
        return dropped
