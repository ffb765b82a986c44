"""Where a Dragino frame ends on a TCP stream. The protocol itself doesn't mark the end.

A device connects, sends one frame in one go, and waits a while for a downlink. So a frame ends

- where its own format says so (JSON: the closing bracket; KW: its length),
- where the next frame of the same device begins,
- where another device's frame begins after a whole frame of a known layout,
- at the end of the stream, or
- at a pause: a short one when the bytes so far make a whole frame of a known layout, a longer one otherwise.

The caller has the clock and reports the pauses.
"""

from __future__ import annotations

import re
from itertools import islice

from iotgw.wire.dragino.frame import BLANK, SMALLEST, DraginoFrame, kw_size, parse
from iotgw.wire.dragino.layout import fitting
from iotgw.wire.framing import BalancedScanner, Events, Fault, Frame, head, truncated

LIMIT = 2048
"""The longest frame seen is 123 bytes; the device's own buffer bounds it far below this."""
CANDIDATES = 8
"""Places behind a frame's start at which the next one is looked for: each is tried with all layouts."""
_JSON_START = b'{"IMEI"'
_DIGITS = bytes(high << 4 | low for high in range(10) for low in range(10))
_OTHER = re.compile(b"[\xf0-\xf9][" + re.escape(_DIGITS) + b"]{7}")
"""A nibble f and 15 digits: how a frame of G1 and later begins."""


class DraginoStream:
    """Cuts one connection's bytes into frames. ``pause()`` tells it that the device fell silent."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._scanner = BalancedScanner()
        self._broken = False
        self._looked = 0
        """The bytes of the buffer in which no other device's frame has been found."""

    @property
    def pending(self) -> int:
        """How many bytes wait for the end of their frame."""
        return len(self._buffer)

    @property
    def is_whole(self) -> bool:
        """Whether the bytes so far make a frame of a known layout, so that a short pause ends it."""
        frame = parse(bytes(self._buffer))
        return isinstance(frame, DraginoFrame) and bool(fitting(frame))

    def feed(self, data: bytes) -> Events:
        """The frames whose end these bytes brought; over the limit is a fault and ends the stream."""
        events: Events = []
        for start in range(0, len(data), self._limit):  # what is searched again for each frame stays short
            if self._broken:
                break
            events += self._fed(data[start : start + self._limit])
        return events

    def _fed(self, data: bytes) -> Events:
        events: Events = []
        buffer = self._buffer
        buffer += data
        while buffer and 0 < (size := self._size()) <= self._limit:
            if buffer[:size].strip(BLANK):
                events.append(Frame(bytes(buffer[:size])))
            del buffer[:size]
            self._looked = 0
        if len(buffer) > self._limit:
            self._broken = True
            events.append(Fault(head(buffer), f"expected a Dragino frame of at most {self._limit} bytes"))
            buffer.clear()
        return events

    def _size(self) -> int:
        """The size of the frame at the start of the buffer, if its end is known; otherwise 0."""
        buffer = self._buffer
        if buffer[0] == 0x7B:
            return self._scanner.scan(buffer)
        if buffer.startswith(b"KW"):
            size = kw_size(buffer)
            return size if size and len(buffer) >= size else 0
        # a second frame of the same device begins with the same identity
        identity = self._identity()
        again = buffer.find(identity, len(identity)) if identity else -1
        json = buffer.find(_JSON_START, 1)
        near = min((at for at in (again, json) if at > 0), default=0)
        return self._other(near or len(buffer)) or near

    def _other(self, end: int) -> int:
        """Where, before ``end``, another device's frame begins after a whole one; 0 if none does so far."""
        buffer = self._buffer
        for found in islice(_OTHER.finditer(buffer, max(SMALLEST, self._looked), end), CANDIDATES):
            frame = parse(bytes(buffer[: found.start()]))
            if isinstance(frame, DraginoFrame) and fitting(frame):
                return found.start()
        self._looked = max(0, end - 7)
        return 0

    def _identity(self) -> bytes:
        """What stands at the start of each frame of this device; empty when it isn't known (yet)."""
        start = bytes(self._buffer[:16])
        if start[0] >> 4 == 0xF:
            identity, digits = start[:8], start[:8].hex()[1:]
        elif start.isalnum():
            identity, digits = start, start.decode("ascii", "replace").lstrip("fF")
        else:
            identity, digits = start[:6], start[:6].hex()
        return identity if len(start) == 16 and digits.isdecimal() else b""

    def pause(self) -> Events:
        """The device fell silent, or the stream ended: the bytes so far are a frame."""
        buffer = self._buffer
        if buffer[:1] == b"{":
            self._scanner = BalancedScanner()
            return truncated(buffer, "expected the closing bracket of a JSON document")
        rest = bytes(buffer)
        buffer.clear()
        self._looked = 0
        return [Frame(rest)] if rest.strip(BLANK) else []

    def close(self) -> Events:
        """The stream ended; as `pause`."""
        return self.pause()
