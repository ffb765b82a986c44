"""The message codec (RFC 7252 §3): bytes to `Message` and back, strict as the RFC demands.

A device sends the same options over and over. `Decoder` therefore interns option blocks: the bytes
between token and payload are looked up first and walked only when they are new, and whatever is derived
from them (the path, the flaws) is worked out once per distinct block.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import cached_property

from msgspec import Struct

from iotgw.core.errors import ProtocolError
from iotgw.wire.coap import numbers as n

PAYLOAD_MARKER = 0xFF

_HEADER = struct.Struct("!BBH")
header = _HEADER.pack
"""The first four bytes: version, type and length of the token in one, code, Message ID."""


class FormatError(ProtocolError):
    """Bytes that are no CoAP message.

    ``mid`` is the Message ID to reset: that of a Confirmable message whose header can be read. Anything
    else is ignored silently (RFC 7252 §4.2, §4.3), and ``mid`` is None.
    """

    def __init__(self, problem: str, mid: int | None = None) -> None:
        super().__init__(problem)
        self.mid = mid


class Options(tuple[tuple[int, bytes], ...]):
    """The options of a message: ``(number, value)`` pairs in ascending order of their numbers.

    What they mean is worked out when first asked for and kept. Options that the registry calls elective
    and that are malformed count as absent (RFC 7252 §5.4.3).
    """

    def get(self, number: int) -> bytes | None:
        """The first well-formed value of an option, or None."""
        for key, value in self:
            if key == number:
                form = n.OPTIONS.get(number)
                if form is None or form.shortest <= len(value) <= form.longest:
                    return value
                return None
        return None

    def get_uint(self, number: int) -> int | None:
        """The first well-formed value of an option as an unsigned integer, or None."""
        value = self.get(number)
        return None if value is None else int.from_bytes(value, "big")

    def get_all(self, number: int) -> tuple[bytes, ...]:
        """All values of an option."""
        return tuple(value for key, value in self if key == number)

    def replaced(self, *pairs: tuple[int, int | bytes | str | None]) -> Options:
        """These options with others in place of those of the same numbers; None removes."""
        numbers = {number for number, _ in pairs}
        kept = [pair for pair in self if pair[0] not in numbers]
        return options(*kept, *((number, value) for number, value in pairs if value is not None))

    @cached_property
    def path(self) -> tuple[str, ...]:
        """The Uri-Path segments; bytes that are not UTF-8 (a flaw) come as U+FFFD."""
        return tuple(value.decode("utf-8", "replace") for key, value in self if key == n.URI_PATH)

    @cached_property
    def queries(self) -> tuple[str, ...]:
        """The Uri-Query arguments."""
        return tuple(value.decode("utf-8", "replace") for key, value in self if key == n.URI_QUERY)

    @cached_property
    def is_plain(self) -> bool:
        """Whether a request with these options asks for nothing special and has no flaw."""
        return self.flaw is None and not any(key in _SPECIAL for key, _ in self)

    @cached_property
    def is_clear(self) -> bool:
        """Whether a request with these options has no flaw, and means what it says."""
        return self.flaw is None and not self.is_odd

    @cached_property
    def flaw(self) -> tuple[int, str] | None:
        """The response code and the reason with which a server must refuse these options, or None."""
        previous = -1
        for number, value in self:
            form = n.OPTIONS.get(number)
            if form is None:
                if n.is_critical(number):
                    return n.BAD_OPTION, f"unknown critical option {number}"
            elif n.is_critical(number):
                flaw = _flaw(number, value, form, number == previous)
                if flaw is not None:
                    return flaw
            previous = number
        if self.get_uint(n.HOP_LIMIT) == 0:
            return n.BAD_REQUEST, "Hop-Limit is 0"  # RFC 8768 §3
        numbers = {number for number, _ in self}
        if numbers & n.LOCATIONS and (unknown := numbers & n.RESERVED_LOCATIONS):
            return n.BAD_OPTION, f"unknown part of a location, option {min(unknown)}"  # RFC 7252 §5.10.7
        return None

    @cached_property
    def mended(self) -> tuple[Options, frozenset[str]] | None:
        """These options with the Uri-Path that a module meant which puts slashes or a NUL into one, and the names of those
        quirks (see `iotgw.wire.coap.lenient`); None if there is nothing to mend."""
        quirks: set[str] = set()
        path: list[str] = []
        for segment in self.path:
            text = segment.rstrip("\0")
            if text != segment:
                quirks.add("trailing-nul-in-path")
            if text.startswith("/"):
                quirks.add("leading-slash")
                text = text[1:]
            if "/" in text:
                quirks.add("slashes-in-path")
            path += [part for part in text.split("/") if part] if text != segment or "/" in text else [text]
        if not quirks or {".", ".."} & set(path):
            return None
        pairs = [(n.URI_PATH, part) for part in path]
        return self.replaced((n.URI_PATH, None), *pairs), frozenset(quirks)

    @cached_property
    def is_odd(self) -> bool:
        """Whether a request with these options may mean something else than it says: a Uri-Path that can be mended, or a
        further block without a Uri-Path or a Content-Format."""
        if self.mended is not None:
            return True
        is_further = (self.get_uint(n.BLOCK1) or 0) >> 4 > 0
        return is_further and (not self.path or self.get(n.CONTENT_FORMAT) is None)

    @cached_property
    def cache_key(self) -> tuple[tuple[int, bytes], ...]:
        """What tells two requests apart (RFC 7252 §5.4.2), without what differs between the blocks of one
        body: Block1, Block2, and Observe (RFC 7959 §2.5)."""
        return tuple(pair for pair in self if pair[0] not in _PER_BLOCK and not n.is_no_cache_key(pair[0]))


NO_OPTIONS = Options()

_PER_BLOCK = frozenset((n.BLOCK1, n.BLOCK2, n.OBSERVE, n.ECHO))
_SPECIAL = frozenset(
    (n.IF_MATCH, n.ETAG, n.IF_NONE_MATCH, n.OBSERVE, n.ACCEPT, n.BLOCK2, n.BLOCK1, n.SIZE2, n.SIZE1, n.ECHO)
) | {n.NO_RESPONSE}


def _flaw(number: int, value: bytes, form: n.OptionFormat, repeated: bool) -> tuple[int, str] | None:
    """What is wrong with one critical option."""
    if number in (n.PROXY_URI, n.PROXY_SCHEME):
        return n.PROXYING_NOT_SUPPORTED, f"{form.name}: this is no proxy"
    if repeated and not form.repeatable:
        return n.BAD_OPTION, f"{form.name} occurs more than once"  # RFC 7252 §5.4.5
    if not form.shortest <= len(value) <= form.longest:
        return (
            n.BAD_OPTION,
            f"{form.name}: expected {form.shortest} to {form.longest} bytes, got {len(value)}",
        )
    if form.kind == "string":
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return n.BAD_OPTION, f"{form.name} is not UTF-8"
        if number == n.URI_PATH and text in (".", ".."):
            return n.BAD_OPTION, f"Uri-Path {text!r} is not allowed"  # RFC 7252 §5.10.1
    return None


def options(*pairs: tuple[int, int | bytes | str]) -> Options:
    """Options from numbers and values in any order; an int becomes the shortest uint (RFC 7252 §3.2)."""
    return Options(sorted(((number, _value(value)) for number, value in pairs), key=_number))


def _number(pair: tuple[int, bytes]) -> int:
    return pair[0]


def _value(value: int | bytes | str) -> bytes:
    if isinstance(value, int):
        return value.to_bytes((value.bit_length() + 7) // 8, "big")
    return value.encode() if isinstance(value, str) else value


def uri_options(path: str) -> list[tuple[int, str]]:
    """The Uri-Path and Uri-Query options of ``"a/b?c=1&d"``."""
    path, _, query = path.partition("?")
    segments = [(n.URI_PATH, segment) for segment in path.split("/") if segment]
    return segments + [(n.URI_QUERY, argument) for argument in query.split("&") if argument]


class Message(Struct, frozen=True, gc=False):
    """A CoAP message. In one that is yet to be sent, ``type``, ``mid`` and ``token`` are the endpoint's."""

    code: int
    payload: bytes = b""
    options: Options = NO_OPTIONS
    type: int = n.CON
    mid: int = 0
    token: bytes = b""

    def __str__(self) -> str:
        return f"{n.TYPE_NAMES[self.type]} {n.dotted(self.code)} mid={self.mid} token={self.token.hex()}"


def error(code: int, reason: str = "", *pairs: tuple[int, int | bytes]) -> Message:
    """An error response with a diagnostic payload (RFC 7252 §5.5.2) and options."""
    return Message(code, reason.encode(), options(*pairs) if pairs else NO_OPTIONS)


def encode(
    type: int,
    code: int,
    mid: int,
    token: bytes = b"",
    options: Iterable[tuple[int, bytes]] = (),
    payload: bytes = b"",
) -> bytes:
    """A message as bytes. Options must be in ascending order of their numbers."""
    data = _HEADER.pack(0x40 | type << 4 | len(token), code, mid) + token
    if options:
        data += encode_options(options)
    if payload:
        data += b"\xff" + payload
    return data


def encode_options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """Options in the form of RFC 7252 §3.1."""
    out = bytearray()
    last = 0
    for number, value in options:
        delta, delta_bytes = _extended(number - last)
        length, length_bytes = _extended(len(value))
        out.append(delta << 4 | length)
        out += delta_bytes
        out += length_bytes
        out += value
        last = number
    return bytes(out)


def _extended(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes((value - 13,))
    return 14, (value - 269).to_bytes(2, "big")


class Decoder:
    """Decodes messages and interns their options.

    ``keep`` is how many distinct option blocks of at most ``longest`` bytes one generation holds; two
    generations are kept, so that a flood of new ones can't push out those in use for long.
    """

    def __init__(self, keep: int = 2048, longest: int = 96) -> None:
        self._keep = keep
        self._longest = longest
        self._blocks: dict[bytes, Options] = {}
        self._older: dict[bytes, Options] = {}

    def decode(self, data: bytes) -> Message:
        """A message from a whole datagram; raises FormatError."""
        size = len(data)
        if size < 4 or data[0] >> 6 != 1:
            raise FormatError(_no_header(data))
        first = data[0]
        code = data[1]
        mid = data[2] << 8 | data[3]
        start = 4 + (first & 15)
        if start > 12 or start > size or (not code and size > 4):
            raise FormatError(_bad_token(data), mid if first & 0x30 == 0 else None)
        # The first 0xFF ends the options, or stands inside a value: then what precedes it is no complete
        # block and so can't be a known one.
        end = data.find(PAYLOAD_MARKER, start)
        block = data[start:] if end < 0 else data[start:end]
        options = self._blocks.get(block)
        if options is None:
            try:
                options, end = self._walk(data, start, block)
            except FormatError as error:
                error.mid = mid if first & 0x30 == 0 else None
                raise
        if end < 0:
            payload = b""
        else:
            payload = data[end + 1 :]
            if not payload:
                raise FormatError("payload marker without a payload", mid if first & 0x30 == 0 else None)
        return Message(code, payload, options, first >> 4 & 3, mid, data[4:start])

    def _walk(self, data: bytes, start: int, block: bytes) -> tuple[Options, int]:
        """The options that begin at ``start`` and the index of the payload marker, -1 if there is none."""
        options = self._older.pop(block, None)
        if options is None:
            options, end = decode_options(data, start)
            if end != start + len(block):
                block = data[start:end]
        else:
            end = start + len(block)
        if len(block) <= self._longest:
            if len(self._blocks) >= self._keep:
                self._older, self._blocks = self._blocks, {}
            self._blocks[block] = options
        return options, end if end < len(data) else -1


def decode_options(data: bytes, start: int) -> tuple[Options, int]:
    """The options that begin at ``start``, and the index where they end; raises FormatError."""
    pairs: list[tuple[int, bytes]] = []
    number = 0
    at = start
    size = len(data)
    while at < size:
        head = data[at]
        if head == PAYLOAD_MARKER:
            break
        at += 1
        delta = head >> 4
        length = head & 15
        if delta > 12:
            delta, at = _read_extended(data, at, delta)
        if length > 12:
            length, at = _read_extended(data, at, length)
        number += delta
        end = at + length
        if end > size:
            raise FormatError(f"option {number} ends {end - size} bytes beyond the message")
        if number > 0xFFFF:
            raise FormatError(f"option number {number} is over 65535")
        pairs.append((number, data[at:end]))
        at = end
    return Options(pairs), at


def _read_extended(data: bytes, at: int, nibble: int) -> tuple[int, int]:
    if nibble == 15:
        raise FormatError(f"option nibble 15 at byte {at - 1} is reserved")
    width = nibble - 12
    if at + width > len(data):
        raise FormatError("message ends inside an option's header")
    if width == 1:
        return data[at] + 13, at + 1
    return (data[at] << 8 | data[at + 1]) + 269, at + 2


def _no_header(data: bytes) -> str:
    if len(data) < 4:
        return f"expected at least 4 bytes, got {len(data)}"
    return f"expected CoAP version 1, got {data[0] >> 6}"


def _bad_token(data: bytes) -> str:
    length = data[0] & 15
    if not data[1] and len(data) > 4:
        return f"an empty message has 4 bytes, got {len(data)}"
    if length > 8:
        return f"token length {length} is reserved"
    return f"expected a token of {length} bytes, got {len(data) - 4}"


def decode(data: bytes) -> Message:
    """A message from a datagram, without a memory of earlier ones; raises FormatError."""
    return Decoder(keep=1).decode(data)
