"""Framing for plain TCP and UDP: how a stream of bytes becomes messages.

Each framer is a small class with ``feed(data)``, which returns the events that these bytes completed, and
``close()``, which returns what is left when the stream ends. Events are `Frame` and `Fault`; a framer never
raises, whatever the bytes. It holds at most its ``limit`` of unfinished bytes plus the last piece fed, and
looks at each byte once, however the stream was cut into pieces.
"""

from __future__ import annotations

import re
from typing import Protocol

from msgspec import Struct


class Frame(Struct, frozen=True, gc=False):
    """One message as the device sent it, without its framing.

    ``prefix`` is what the device puts before it to say who it is (`iotgw.wire.registration`).
    """

    data: bytes
    prefix: bytes = b""


class Fault(Struct, frozen=True, gc=False):
    """Bytes that are not a message, and why, in one line.

    ``ends`` means that the stream can't be parsed beyond this point and must be closed.
    """

    data: bytes
    reason: str
    ends: bool = True


Events = list[Frame | Fault]


class Framer(Protocol):
    """Bytes in, events out."""

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""

    def feed(self, data: bytes) -> Events:
        """The events that ``data`` completed, in order."""

    def pause(self) -> Events:
        """The device fell silent; the frame that this ends, where a pause can end one."""

    def close(self) -> Events:
        """The stream ended; returns what is left as a frame or a fault."""


def head(data: bytes | bytearray, size: int = 4096) -> bytes:
    """The first bytes of a rejected frame, kept as evidence; the rest of an endless frame is of no use."""
    return bytes(data[:size])


class DelimiterFramer:
    """Frames that end with one of some delimiters; the longest delimiter wins where two end together.

    ``limit`` is the most bytes of a frame without its delimiter. Bytes without a delimiter at the end of
    the stream are a frame: a device that closes after its last line has sent that line.
    """

    def __init__(
        self, delimiters: tuple[bytes, ...] = (b"\r\n", b"\n"), limit: int = 128, strip: bool = True
    ) -> None:
        longest_first = sorted(delimiters, key=len, reverse=True)
        self._delimiter = re.compile(b"|".join(re.escape(delimiter) for delimiter in longest_first))
        self._overlap = len(longest_first[0]) - 1
        self._limit = limit
        self._strip = strip
        self._buffer = bytearray()
        self._searched = 0
        self._broken = False

    @property
    def pending(self) -> int:
        """How many bytes wait for their delimiter."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Events:
        """The lines that ``data`` completed; a line over the limit is a fault and ends the stream."""
        if self._broken:
            return []
        buffer = self._buffer
        buffer += data
        events: Events = []
        start = 0
        for match in self._delimiter.finditer(buffer, self._searched):
            if match.start() - start > self._limit:
                self._broken = True
                break
            events.append(Frame(bytes(buffer[start : match.start() if self._strip else match.end()])))
            start = match.end()
        del buffer[:start]
        if self._broken or len(buffer) > self._limit + self._overlap:
            self._broken = True
            events.append(Fault(head(buffer), f"expected a delimiter within {self._limit} bytes"))
            buffer.clear()
        self._searched = max(0, len(buffer) - self._overlap)
        return events

    def pause(self) -> Events:
        """A line whose end never comes: the bytes so far."""
        return self.close()

    def close(self) -> Events:
        """The last line, if the stream ended without a delimiter."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._searched = 0
        return [Frame(rest)] if rest else []


class PauseFramer:
    """Frames that nothing ends but silence, such as Modbus RTU's. ``limit`` is the most bytes of one."""

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self._broken = False

    @property
    def pending(self) -> int:
        """How many bytes wait for a pause."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Events:
        """Nothing, as long as the frame isn't too long; that is a fault and ends the stream."""
        if self._broken:
            return []
        self._buffer += data
        if len(self._buffer) <= self._limit:
            return []
        self._broken = True
        evidence = head(self._buffer)
        self._buffer.clear()
        return [Fault(evidence, f"expected a pause within {self._limit} bytes")]

    def pause(self) -> Events:
        """The bytes so far are a frame."""
        return self.close()

    def close(self) -> Events:
        """The bytes so far are a frame."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return [Frame(rest)] if rest else []


_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_SPACE = re.compile(rb"[\s,\x00\x1e]*")
_BRACKET = re.compile(rb"[{\[]")
_BLANK = b"\r\n\t ,\x00\x1e"
_ENDS = 4
"""Bytes of white space that may stand between a prefix and its document, and the bracket."""
_JSON_ADVICE = "expected a JSON object or array"


class BalancedScanner:
    """Finds the end of the JSON object or array at the start of a growing buffer; looks at no byte twice.

    Only strings and nesting are followed: a device whose "JSON" is merely balanced (Dragino's is) gets
    through, and the converter decides.
    """

    __slots__ = ("_depth", "_in_string", "_position")

    def __init__(self) -> None:
        self._position = 0
        self._depth = 0
        self._in_string = False

    def scan(self, buffer: bytearray) -> int:
        """The size of the document, 0 while it is open. After an end, the next call begins anew."""
        position = self._position
        while match := (_INSIDE if self._in_string else _OUTSIDE).search(buffer, position):
            position = match.end()
            byte = buffer[position - 1]
            if byte == 0x5C:
                # an escape covers the next byte, which may not have arrived yet
                position += 1
            elif byte == 0x22:
                self._in_string = not self._in_string
            elif byte in b"{[":
                self._depth += 1
            else:
                self._depth -= 1
                if not self._depth:
                    self._position = 0
                    return position
        self._position = max(position, len(buffer))
        return 0


class JsonFramer:
    """Balanced JSON objects and arrays in a stream (see `BalancedScanner`).

    White space, commas, NUL and RS (RFC 7464) between documents are skipped. Up to ``prefix`` other bytes may stand before each.
    """

    def __init__(self, limit: int = 65536, prefix: int = 0) -> None:
        self._limit = limit
        self._most_prefix = prefix
        self._prefix = b""
        self._buffer = bytearray()
        self._scanner = BalancedScanner()
        self._open = False
        self._broken = False

    @property
    def pending(self) -> int:
        """How many bytes wait for their closing bracket."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Events:
        """The documents that ``data`` completed; anything else between them is a fault."""
        if self._broken:
            return []
        buffer = self._buffer
        buffer += data
        events: Events = []
        while True:
            if not self._open:
                space = _SPACE.match(buffer)
                del buffer[: space.end() if space else 0]
                if not buffer:
                    return events
                if buffer[0] not in b"{[" and not self._take_prefix():
                    if self._prefix_may_end():
                        return events
                    return self._break(events, f"{_JSON_ADVICE}, got {chr(buffer[0])!a}")
                self._open = True
            size = self._scanner.scan(buffer)
            if size > self._limit or (not size and len(buffer) > self._limit):
                return self._break(events, f"{_JSON_ADVICE} of at most {self._limit} bytes")
            if not size:
                return events
            events.append(Frame(bytes(buffer[:size]), self._prefix))
            del buffer[:size]
            self._prefix = b""
            self._open = False

    def _take_prefix(self) -> bool:
        """Take off what stands before the next document, if that has begun."""
        found = _BRACKET.search(self._buffer, 0, self._most_prefix + _ENDS) if self._most_prefix else None
        if found is None:
            return False
        prefix = bytes(self._buffer[: found.start()]).rstrip(_BLANK)
        if len(prefix) > self._most_prefix:
            return False
        self._prefix = prefix
        del self._buffer[: found.start()]
        return True

    def _prefix_may_end(self) -> bool:
        """Whether what has come so far may be a prefix, or the start of one."""
        size = len(self._buffer)
        is_open = bool(self._most_prefix) and size < self._most_prefix + _ENDS
        return (
            is_open
            and not _BRACKET.search(self._buffer)
            and len(self._buffer.rstrip(_BLANK)) <= self._most_prefix
        )

    def _break(self, events: Events, reason: str) -> Events:
        self._broken = True
        events.append(Fault(head(self._buffer), reason))
        self._buffer.clear()
        return events

    def pause(self) -> Events:
        """Silence means nothing: the brackets say where a document ends."""
        return []

    def close(self) -> Events:
        """A fault with the unfinished document, if there is one."""
        return truncated(self._buffer, "expected the closing bracket of a JSON document")


class HexFramer:
    """Lines of hexadecimal text, decoded to bytes. Blanks, colons and ``0x`` are allowed."""

    def __init__(self, limit: int = 4096) -> None:
        # a line may have a blank or colon after each byte, a prefix, and blanks around it
        self._lines = DelimiterFramer((b"\r\n", b"\n", b"\x00"), limit=3 * limit + 16)
        self._limit = limit

    @property
    def pending(self) -> int:
        """How many characters wait for the end of their line."""
        return self._lines.pending

    def feed(self, data: bytes) -> Events:
        """The bytes of each completed line; a line that isn't hexadecimal is a fault, and reading goes on with
        the next."""
        return self._decode(self._lines.feed(data))

    def pause(self) -> Events:
        """A line whose end never comes: the bytes so far."""
        return self._decode(self._lines.pause())

    def close(self) -> Events:
        """The last line, if the stream ended without a line end."""
        return self._decode(self._lines.close())

    def _decode(self, lines: Events) -> Events:
        events: Events = []
        for line in lines:
            if isinstance(line, Frame):
                if not line.data.strip():
                    continue
                event = unhex(line.data)
                if isinstance(event, Frame) and len(event.data) > self._limit:
                    event = Fault(head(line.data), f"expected at most {self._limit} bytes in hexadecimal")
                events.append(event)
            else:
                events.append(line)
        return events


_HEX_FILLERS = re.compile(rb"^\s*(?:0[xX])?|[\s:]")


def unhex(text: bytes) -> Frame | Fault:
    """Decode hexadecimal text; a fault in it doesn't end the stream."""
    digits = _HEX_FILLERS.sub(b"", text)
    try:
        return Frame(bytes.fromhex(digits.decode("ascii")))
    except ValueError:
        return Fault(head(text), "expected an even number of hexadecimal digits", ends=False)


def as_text(data: bytes, charset: str) -> Frame | Fault:
    """The text of a message as UTF-8 bytes, whatever charset it came in; a fault when it isn't text."""
    try:
        return Frame(data.decode(charset).encode())
    except (UnicodeError, LookupError):
        return Fault(head(data), f"expected text in {charset}", ends=False)


def truncated(buffer: bytearray, expected: str) -> Events:
    """Empty a buffer at the end of its stream; returns a fault with its contents, if any."""
    rest = head(buffer)
    size = len(buffer)
    buffer.clear()
    return [Fault(rest, f"{expected}, got the end after {size} bytes")] if rest else []
