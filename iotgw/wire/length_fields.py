"""Frames that carry their length, as bytes of a stream become messages.

A device may use several headers on one connection: GT06 trackers begin short packets with 0x7878 and a length of one byte, long
ones with 0x7979 and a length of two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from iotgw.wire.framing import Events, Fault, Frame, head, truncated


class HeaderForm(Struct, frozen=True):
    """How a frame's header gives its length, with the five parameters that Netty and ThingsBoard name.

    ``start`` are the bytes that a frame of this form begins with; empty for any. The frame's whole length is ``length field +
    adjustment + offset + length``, of which the first ``skip`` bytes are taken off.
    """

    start: bytes = b""
    offset: int = 0
    length: Literal[1, 2, 3, 4, 8] = 2
    adjustment: int = 0
    skip: int = 0
    byte_order: Literal["big", "little"] = "big"


class HeaderFormsFramer:
    """Frames of any of some forms; the one with the longest ``start`` that fits counts. ``limit`` counts whole frames."""

    def __init__(self, forms: Sequence[HeaderForm], limit: int = 128) -> None:
        self._forms = sorted(forms, key=lambda form: len(form.start), reverse=True)
        self._limit = limit
        self._buffer = bytearray()
        self._broken = False

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> Events:
        """The frames that ``data`` completed; an unknown header or an impossible length is a fault and ends the stream."""
        if self._broken:
            return []
        buffer = self._buffer
        buffer += data
        events: Events = []
        start = 0
        while start < len(buffer):
            form = self._form(start)
            if isinstance(form, str):
                return self._break(events, start, form)
            if form is None or len(buffer) - start < form.offset + form.length:
                break
            end = form.offset + form.length
            field = int.from_bytes(buffer[start + form.offset : start + end], form.byte_order)
            size = field + form.adjustment + end
            least = max(end, form.skip, 1)
            if not least <= size <= self._limit:
                reason = f"expected a frame of {least} to {self._limit} bytes, got the length {field} ({size} bytes)"
                return self._break(events, start, reason)
            if len(buffer) - start < size:
                break
            events.append(Frame(bytes(buffer[start + form.skip : start + size])))
            start += size
        del buffer[:start]
        return events

    def _form(self, at: int) -> HeaderForm | str | None:
        """The form of the frame there; None if more bytes are needed to tell, and what was expected if it has none."""
        buffer = self._buffer
        for form in self._forms:
            seen = buffer[at : at + len(form.start)]
            if seen == form.start:
                return form
            if len(seen) < len(form.start) and form.start.startswith(seen):
                return None
        expected = ", ".join(form.start.hex() for form in self._forms)
        return f"expected a frame that begins with {expected}, got {buffer[at : at + 4].hex()}"

    def _break(self, events: Events, start: int, reason: str) -> Events:
        self._broken = True
        events.append(Fault(head(self._buffer[start:]), reason))
        self._buffer.clear()
        return events

    def pause(self) -> Events:
        """Silence means nothing: the length says where a frame ends."""
        return []

    def close(self) -> Events:
        """A fault with the truncated frame, if there is one."""
        return truncated(self._buffer, "expected the rest of a frame")


class LengthFramer(HeaderFormsFramer):
    """Frames of one form."""

    def __init__(
        self,
        limit: int = 128,
        offset: int = 0,
        length: Literal[1, 2, 3, 4, 8] = 2,
        adjustment: int = 0,
        skip: int = 0,
        byte_order: Literal["big", "little"] = "big",
    ) -> None:
        super().__init__((HeaderForm(b"", offset, length, adjustment, skip, byte_order),), limit)
