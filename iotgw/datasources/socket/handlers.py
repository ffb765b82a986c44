"""The handlers of plain ``tcp`` and ``udp`` datasources: what a message is, in ThingsBoard's four ways, and what silence ends.

A handler is a Struct tagged by ``type``. It makes a framer for a stream, and splits a datagram.
"""

from __future__ import annotations

import codecs
import re
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.core.patterns import pattern
from iotgw.wire.framing import (
    DelimiterFramer,
    Events,
    Fault,
    Frame,
    Framer,
    HexFramer,
    JsonFramer,
    PauseFramer,
    as_text,
    head,
    unhex,
)
from iotgw.wire.length_fields import HeaderForm, HeaderFormsFramer, LengthFramer
from iotgw.wire.registration import LONGEST, RegistrationFramer

DOCUMENTS = 100
"""The most JSON documents of one datagram: each becomes a message with metadata of its own."""
Limit = Annotated[int, Meta(gt=0, le=1 << 24)]
NEWLINE = (b"\r\n", b"\n")
LONGEST_MARK = 16
"""Bytes of an end mark."""
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|[rnt0\\])")
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def end_marks(setting: str) -> tuple[bytes, ...]:
    """What a ``delimiter`` setting means: nothing for ``none``. Raises ValueError."""
    if setting in _NAMED:
        return _NAMED[setting]

    def byte(match: re.Match[str]) -> str:
        return _ESCAPES.get(match[1]) or chr(int(match[1][1:], 16))

    text = _ESCAPE.sub(byte, setting)
    mark = text.encode("latin-1") if all(ord(character) < 256 for character in text) else text.encode()
    if not 0 < len(mark) <= LONGEST_MARK:
        raise ValueError(
            f"expected newline, nul, none, or 1 to {LONGEST_MARK} bytes such as # or \\x03, got {setting!r}"
        )
    return (mark,)


_NAMED = {"newline": NEWLINE, "nul": (b"\0",), "none": ()}


Pause = Annotated[
    float,
    Meta(
        ge=0,
        le=60,
        description="Seconds of silence that end a message, too, for devices that send no end of line; 0 never.",
    ),
]


class TextHandler(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="type",
    tag="TEXT",
):
    """Text: lines, or what another end mark or silence ends."""

    charset: Annotated[str, Meta(description="Charset of the devices; converters get UTF-8.")] = "UTF-8"
    max_frame_length: Annotated[
        Limit, Meta(description="Longest line in bytes; beyond, the stream is closed.")
    ] = 128
    strip_delimiter: Annotated[bool, Meta(description="Remove the delimiter.")] = True
    delimiter: Annotated[
        str,
        Meta(
            description="What ends a line: `newline` (LF or CR LF), `nul`, `none`, or the bytes themselves: `#`, `;`, `\\x03`. Escapes "
            "are `\\xHH`, `\\r`, `\\n`, `\\t`, `\\0` and `\\\\`."
        ),
    ] = "newline"
    pause: Pause = 0.0

    def __post_init__(self) -> None:
        """Refuse unknown charsets, and those whose decoding time is quadratic."""
        if not end_marks(self.delimiter) and not self.pause:
            raise ValueError("expected a pause where no delimiter ends a line")
        try:
            if codecs.lookup(self.charset).name in ("idna", "punycode"):
                raise LookupError(self.charset)
        except LookupError as error:
            raise ValueError(f"expected a charset such as UTF-8, got {self.charset!r}") from error

    content_type = "TEXT"

    def framer(self) -> Framer:
        """Cuts a stream."""
        marks = end_marks(self.delimiter)
        if not marks:
            return PauseFramer(self.max_frame_length)
        return DelimiterFramer(marks, self.max_frame_length, self.strip_delimiter)

    def read(self, event: Frame | Fault) -> Events:
        """A frame as converters get it; an empty line is no message."""
        if isinstance(event, Fault):
            return [event]
        return [as_text(event.data, self.charset)] if event.data else []

    def datagram(self, data: bytes) -> Events:
        """The message of one datagram, without the end of its line. One that is nothing else is none."""
        text = self._without_end(data) if self.strip_delimiter else data
        return [as_text(text, self.charset)] if text or not data else []

    def _without_end(self, data: bytes) -> bytes:
        """Shells and terminals end what they send, with NUL as well as a newline."""
        marks = end_marks(self.delimiter)
        if marks in (NEWLINE, (b"\0",)):
            return data.rstrip(b"\r\n\0")
        return next((data.removesuffix(mark) for mark in marks if data.endswith(mark)), data)


class FrameHeader(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """One of several forms of header on a connection."""

    start: Annotated[
        str,
        Meta(
            pattern=pattern("^([0-9A-Fa-f]{2}){1,16}$", "1 to 16 bytes in hexadecimal, such as a55a"),
            description="What frames of this form begin with, in hexadecimal.",
        ),
    ]
    length_field_offset: Annotated[
        int, Meta(ge=0, le=1024, description="Bytes before the field that says how long a message is.")
    ] = 0
    length_field_length: Annotated[Literal[1, 2, 3, 4, 8], Meta(description="Bytes of that field.")] = 2
    length_adjustment: Annotated[
        int,
        Meta(
            ge=-1024,
            le=1024,
            description="What is added to the field's value to have the number of bytes behind it.",
        ),
    ] = 0
    initial_bytes_to_strip: Annotated[
        int, Meta(ge=0, le=1024, description="Bytes at the begin of each message that are taken away.")
    ] = 0


class BinaryHandler(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="type",
    tag="BINARY",
):
    """Frames with a length field, as Netty's LengthFieldBasedFrameDecoder reads them."""

    max_frame_length: Annotated[
        Limit, Meta(description="Longest frame in bytes; beyond, the stream is closed.")
    ] = 128
    length_field_offset: Annotated[
        int, Meta(ge=0, le=1024, description="Bytes before the field that says how long a message is.")
    ] = 0
    length_field_length: Annotated[
        Literal[1, 2, 3, 4, 8], Meta(description="Bytes of that field: 1, 2, 3, 4 or 8.")
    ] = 2
    length_adjustment: Annotated[
        int,
        Meta(
            ge=-1024,
            le=1024,
            description="What is added to the field's value to have the number of bytes behind it.",
        ),
    ] = 0
    initial_bytes_to_strip: Annotated[
        int, Meta(ge=0, le=1024, description="Bytes at the begin of each message that are taken away.")
    ] = 0
    byte_order: Annotated[
        Literal["BIG_ENDIAN", "LITTLE_ENDIAN"],
        Meta(description="Whether the field's most significant byte comes first."),
    ] = "BIG_ENDIAN"
    headers: Annotated[
        list[FrameHeader],
        Meta(
            max_length=16,
            description="Several forms of header on one connection, each with the `start` that tells it; they take the place of the "
            "settings above.",
        ),
    ] = []

    content_type = "BINARY"
    pause = 0.0

    def framer(self) -> Framer:
        """Cuts a stream."""
        order: Literal["big", "little"] = "big" if self.byte_order == "BIG_ENDIAN" else "little"
        if self.headers:
            forms = [
                HeaderForm(
                    bytes.fromhex(header.start),
                    header.length_field_offset,
                    header.length_field_length,
                    header.length_adjustment,
                    header.initial_bytes_to_strip,
                    order,
                )
                for header in self.headers
            ]
            return HeaderFormsFramer(forms, self.max_frame_length)
        return LengthFramer(
            self.max_frame_length,
            self.length_field_offset,
            self.length_field_length,
            self.length_adjustment,
            self.initial_bytes_to_strip,
            order,
        )

    def read(self, event: Frame | Fault) -> Events:
        """A frame as converters get it."""
        return [event]

    def datagram(self, data: bytes) -> Events:
        """A datagram is a message; it needs no length field."""
        return [Frame(data)]


class JsonHandler(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="type",
    tag="JSON",
):
    """JSON objects and arrays one after another; an array is one message."""

    max_frame_length: Annotated[Limit, Meta(description="Longest document in bytes.")] = 65536

    content_type = "JSON"
    pause = 0.0

    def framer(self) -> Framer:
        """Cuts a stream."""
        return JsonFramer(self.max_frame_length)

    def read(self, event: Frame | Fault) -> Events:
        """A document as converters get it."""
        return [event]

    def datagram(self, data: bytes) -> Events:
        """The documents of one datagram."""
        framer = self.framer()
        events = framer.feed(data) + framer.close()
        if len(events) > DOCUMENTS:
            return [
                Fault(head(data), f"expected at most {DOCUMENTS} documents in a datagram, got {len(events)}")
            ]
        return events


class HexHandler(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag_field="type", tag="HEX"
):
    """Lines of hexadecimal text; converters get the bytes."""

    max_frame_length: Annotated[Limit, Meta(description="Most bytes that a line may spell.")] = 4096
    pause: Pause = 0.0

    content_type = "BINARY"

    def framer(self) -> Framer:
        """Cuts a stream."""
        return HexFramer(self.max_frame_length)

    def read(self, event: Frame | Fault) -> Events:
        """The bytes as converters get them."""
        return [event]

    def datagram(self, data: bytes) -> Events:
        """The bytes that a datagram spells."""
        return [unhex(data)]


class RawHandler(
    Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag_field="type", tag="RAW"
):
    """Bytes without any framing, such as Modbus RTU behind a DTU: silence ends a message."""

    max_frame_length: Annotated[
        Limit, Meta(description="Most bytes of a message; beyond, the stream is closed.")
    ] = 1024
    pause: Annotated[float, Meta(gt=0, le=60, description="Seconds of silence that end a message.")] = 0.5

    content_type = "BINARY"

    def framer(self) -> Framer:
        """Cuts a stream."""
        return PauseFramer(self.max_frame_length)

    def read(self, event: Frame | Fault) -> Events:
        """The bytes as converters get them."""
        return [event]

    def datagram(self, data: bytes) -> Events:
        """A datagram is a message."""
        return [Frame(data)]


Handler = TextHandler | BinaryHandler | JsonHandler | HexHandler | RawHandler


class Registration(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The bytes by which a DTU or a device says who it is."""

    length: Annotated[int, Meta(ge=1, le=LONGEST, description="Their number, such as 15 for an IMEI.")]
    each: Annotated[
        bool,
        Meta(
            description="They stand before each message, not only at the start of a connection. Before JSON they may be fewer."
        ),
    ] = False


def framer(handler: Handler, registration: Registration | None) -> Framer:
    """Cuts a stream of messages, and takes registrations off."""
    if registration is None:
        return handler.framer()
    is_json = isinstance(handler, JsonHandler)
    inner = JsonFramer(handler.max_frame_length, registration.length) if is_json else handler.framer()
    return RegistrationFramer(inner, registration.length, each=registration.each)
