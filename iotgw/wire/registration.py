"""Bytes that say whose a stream is: a DTU's registration packet, or a prefix that it puts before each message.

A DTU (a modem in front of a device that knows nothing of networks) sends an id of a fixed length when it has connected, or with
everything that it passes on.
"""

from __future__ import annotations

from msgspec import structs

from iotgw.wire.framing import Events, Fault, Frame, Framer, JsonFramer, head, truncated

LONGEST = 64
"""Bytes of a registration."""


class RegistrationFramer:
    """Takes ``length`` bytes off the start of a stream, or with ``each`` off every frame of the ``inner`` framer.

    Each frame has them as its ``prefix``. JSON documents may have prefixes of any length up to that: a bracket ends them.
    """

    def __init__(self, inner: Framer, length: int, *, each: bool = False) -> None:
        self._inner = inner
        self._length = length
        self._is_done = each
        self._splits = each and not isinstance(inner, JsonFramer)
        self._buffer = bytearray()
        self._prefix = b""

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of the registration or of their frame."""
        return len(self._buffer) + self._inner.pending

    def feed(self, data: bytes) -> Events:
        """The frames that ``data`` completed, with their prefix."""
        if not self._is_done:
            self._buffer += data
            if len(self._buffer) < self._length:
                return []
            self._prefix = bytes(self._buffer[: self._length])
            data = bytes(self._buffer[self._length :])
            self._buffer.clear()
            self._is_done = True
        return self._prefixed(self._inner.feed(data)) if data else []

    def pause(self) -> Events:
        """The frame that silence ends, if any; a registration that isn't whole waits for its rest."""
        return self._prefixed(self._inner.pause()) if self._is_done else []

    def close(self) -> Events:
        """What is left when the stream ends."""
        if self._is_done:
            return self._prefixed(self._inner.close())
        return truncated(self._buffer, f"expected a registration of {self._length} bytes")

    def _prefixed(self, events: Events) -> Events:
        return [self._with_prefix(event) if isinstance(event, Frame) else event for event in events]

    def _with_prefix(self, frame: Frame) -> Frame | Fault:
        if self._splits:
            return split(frame.data, self._length)
        return structs.replace(frame, prefix=self._prefix) if self._prefix else frame


def split(data: bytes, length: int) -> Frame | Fault:
    """A message behind a prefix of that length."""
    if len(data) < length:
        reason = f"expected a prefix of {length} bytes, got {len(data)} in all"
        return Fault(head(data), reason, ends=False)
    return Frame(data[length:], data[:length])


def as_name(prefix: bytes) -> str:
    """A registration as text: what it spells without blanks around it, or else its bytes in hexadecimal."""
    text = prefix.strip(b" \t\r\n\x00")
    if text.isascii() and (spelt := text.decode("ascii")).isprintable():
        return spelt
    return prefix.hex()
