"""The handlers of plain ``tcp`` and ``udp`` datasources: what a message is, in ThingsBoard's four ways.

A handler is a Struct tagged by ``type``. It makes a framer for a stream, and splits a datagram.
"""

from __future__ import annotations

import codecs
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.wire.framing import (
    DelimiterFramer,
    Events,
    Fault,
    Frame,
    Framer,
    HexFramer,
    JsonFramer,
    LengthFramer,
    as_text,
    head,
    unhex,
)

DOCUMENTS = 100
"""The most JSON documents of one datagram: each becomes a message with metadata of its own."""
Limit = Annotated[int, Meta(gt=0, le=1 << 24)]


class TextHandler(
    Struct,
    frozen=True,
    kw_only=True,
    rename="camel",
    forbid_unknown_fields=True,
    tag_field="type",
    tag="TEXT",
):
    """Lines of text."""

    charset: Annotated[str, Meta(description="Charset of the devices; converters get UTF-8.")] = "UTF-8"
    max_frame_length: Annotated[
        Limit, Meta(description="Longest line in bytes; beyond, the stream is closed.")
    ] = 128
    strip_delimiter: Annotated[bool, Meta(description="Remove the delimiter.")] = True
    delimiter: Annotated[
        Literal["newline", "nul"], Meta(description="What ends a line: LF or CR LF, or a zero byte.")
    ] = "newline"

    def __post_init__(self) -> None:
        """Refuse unknown charsets, and those whose decoding time is quadratic."""
        try:
            if codecs.lookup(self.charset).name in ("idna", "punycode"):
                raise LookupError(self.charset)
        except LookupError as error:
            raise ValueError(f"expected a charset such as UTF-8, got {self.charset!r}") from error

    content_type = "TEXT"

    def framer(self) -> Framer:
        """Cuts a stream."""
        delimiters = (b"\x00",) if self.delimiter == "nul" else (b"\r\n", b"\n")
        return DelimiterFramer(delimiters, self.max_frame_length, self.strip_delimiter)

    def read(self, event: Frame | Fault) -> Events:
        """A frame as converters get it; an empty line is no message."""
        if isinstance(event, Fault):
            return [event]
        return [as_text(event.data, self.charset)] if event.data else []

    def datagram(self, data: bytes) -> Events:
        """The messages of one datagram."""
        return [as_text(data, self.charset)]


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
    length_field_offset: Annotated[int, Meta(ge=0, le=1024)] = 0
    length_field_length: Literal[1, 2, 3, 4, 8] = 2
    length_adjustment: Annotated[int, Meta(ge=-1024, le=1024)] = 0
    initial_bytes_to_strip: Annotated[int, Meta(ge=0, le=1024)] = 0
    byte_order: Literal["BIG_ENDIAN", "LITTLE_ENDIAN"] = "BIG_ENDIAN"

    content_type = "BINARY"

    def framer(self) -> Framer:
        """Cuts a stream."""
        return LengthFramer(
            self.max_frame_length,
            self.length_field_offset,
            self.length_field_length,
            self.length_adjustment,
            self.initial_bytes_to_strip,
            "big" if self.byte_order == "BIG_ENDIAN" else "little",
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


Handler = TextHandler | BinaryHandler | JsonHandler | HexHandler
