"""What was answered to which message, for as long as its Message ID is taken (RFC 7252 §4.2, §4.8.2)."""

from __future__ import annotations

from collections import deque
from typing import Any

ENTRY_BYTES = 220
"""What an entry takes besides its reply: key, table slot, place in its chunk, object headers."""


class _Chunk:
    """Keys that were remembered within a second; they are forgotten together."""

    __slots__ = ("closes", "expires", "keys")

    def __init__(self, closes: float, expires: float) -> None:
        self.closes = closes
        self.expires = expires
        self.keys: list[int] = []


class Remembered:
    """Message key → the reply as bytes, or the exchange that is still open.

    A key is ``peer.serial << 16 | mid``, an int, so that a large table costs the garbage collector
    nothing. Entries expire in chunks of a second, without a timer or a time stamp each. Bounded by
    ``max_entries`` and ``max_bytes``: beyond, the oldest chunk goes and ``evicted`` counts.
    """

    def __init__(self, max_entries: int, max_bytes: int) -> None:
        self.entries: dict[int, Any] = {}
        self.contents: dict[int, int] = {}  # key → fingerprint of the message, where that counts as well
        self.evicted = 0
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._chunk_size = max(1, min(4096, max_entries // 16))
        self._bytes = 0
        self._chunks: dict[float, deque[_Chunk]] = {}  # by lifetime: each deque is in order of time
        self._open: dict[float, _Chunk] = {}
        self._again: dict[int, int] = {}  # key → in how many older chunks it stands besides its newest

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def size(self) -> int:
        """Bytes in use, estimated."""
        return self._bytes + ENTRY_BYTES * len(self.entries)

    def remember(self, key: int, value: Any, lifetime: float, now: float) -> None:
        """Keep a value for ``lifetime`` seconds, a chunk's second more."""
        if key in self.entries:
            self._again[key] = self._again.get(key, 0) + 1
            self._forget_value(key)
        self.entries[key] = value
        if type(value) is bytes:
            self._bytes += len(value)
        chunk = self._open.get(lifetime)
        if chunk is None or now >= chunk.closes or len(chunk.keys) >= self._chunk_size:
            chunk = self._new_chunk(lifetime, now)
        chunk.keys.append(key)

    def settle(self, key: int, exchange: Any, reply: bytes) -> None:
        """Put the reply in place of the exchange that was remembered, unless that is forgotten."""
        if self.entries.get(key) is exchange:
            self.entries[key] = reply
            self._bytes += len(reply)

    def expire(self, now: float) -> None:
        """Forget what is past its lifetime."""
        for chunks in self._chunks.values():
            while chunks and chunks[0].expires <= now:
                self._drop(chunks)

    @property
    def next_expiry(self) -> float | None:
        """When `expire` is due, None when the table is empty."""
        return min((chunks[0].expires for chunks in self._chunks.values() if chunks), default=None)

    def _new_chunk(self, lifetime: float, now: float) -> _Chunk:
        while self.entries and (len(self.entries) > self._max_entries or self.size > self._max_bytes):
            oldest = min((c for c in self._chunks.values() if c), key=lambda chunks: chunks[0].closes)
            self.evicted += self._drop(oldest)
        chunk = self._open[lifetime] = _Chunk(now + 1, now + 1 + lifetime)
        self._chunks.setdefault(lifetime, deque()).append(chunk)
        return chunk

    def _drop(self, chunks: deque[_Chunk]) -> int:
        chunk = chunks.popleft()
        for lifetime, opened in self._open.items():
            if opened is chunk:
                del self._open[lifetime]
                break
        entries = self.entries
        dropped = 0
        for key in chunk.keys:
            if self._again and key in self._again:
                self._again[key] -= 1
                if not self._again[key]:
                    del self._again[key]
                continue
            value = entries.pop(key)
            if self.contents:
                self.contents.pop(key, None)
            dropped += 1
            if type(value) is bytes:
                self._bytes -= len(value)
        return dropped

    def _forget_value(self, key: int) -> None:
        value = self.entries.pop(key)
        if type(value) is bytes:
            self._bytes -= len(value)
