"""What a request carries: its body, decompressed, or the fields of a form or a query as a JSON object. All within bounds."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable
from itertools import chain
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from iotgw.core import plain_json
from iotgw.wire.charsets import BOM, WESTERN, decoded_text, text_of
from iotgw.wire.http_bodies import FORM, MULTIPART

FIELDS = 1000
"""Fields of a form or a query."""
HEADERS = 128 << 10
"""Characters of the headers of all parts of a form."""
MEMBERS = 16
"""Members of a gzip body, which may be several (RFC 1952 §2.2)."""
CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""Compressions that are read, with zlib's ``wbits`` (RFC 9110 §8.4.1)."""
ESCAPES = 8_000
"""Of a form: each takes Python 0.3 µs."""
NO_FORM = frozenset('{["<')
"""How a body begins that is JSON or XML, though its sender calls it a form, as curl does unless it is told otherwise."""
Fields = dict[str, Any]
"""A form: a text for each name, a list of them where a name comes several times; of a file an object."""


class UnreadableBody(ValueError):
    """The body is not taken: HTTP ``status`` and why. ``is_kept`` says whether it is kept as a failed message."""

    def __init__(self, status: int, reason: str, is_kept: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.is_kept = is_kept


def decoded(body: bytes, coding: str, most: int) -> bytes:
    """A body without its ``Content-Encoding``, of at most ``most`` bytes. Raises UnreadableBody."""
    name = ", ".join(
        each for part in coding.split(",") if (each := part.strip().lower()) not in ("", "identity")
    )
    if not name:
        return body
    if name not in CODINGS:
        raise UnreadableBody(415, f"expected a body in one of {', '.join(CODINGS)} or as it is")
    whole = bytearray()
    rest = body
    try:
        for _ in range(MEMBERS):
            opener = zlib.decompressobj(_raw_or_wrapped(rest) if name == "deflate" else CODINGS[name])
            whole += opener.decompress(rest, most + 1 - len(whole))
            if len(whole) > most:
                raise UnreadableBody(413, f"expected at most {most} bytes after decompression")
            if not opener.eof:
                raise UnreadableBody(400, f"the {name} body ends too early", is_kept=True)
            rest = opener.unused_data
            if not rest:
                return bytes(whole)
    except zlib.error as error:
        raise UnreadableBody(400, f"expected a {name} body: {error}", is_kept=True) from error
    raise UnreadableBody(400, f"expected at most {MEMBERS} members in a {name} body", is_kept=True)


def _raw_or_wrapped(data: bytes) -> int:
    """Some senders leave out the wrapper that "deflate" has (RFC 9110 §8.4.1.2)."""
    has_header = len(data) >= 2 and data[0] & 0x0F == 8 and int.from_bytes(data[:2]) % 31 == 0
    return 15 if has_header else -15


def form(body: bytes, content_type: str) -> Fields | None:
    """The fields of a body that is a form; None for any other. Raises UnreadableBody."""
    kind, options = parse_options_header(content_type) if content_type else ("", {})
    try:
        if kind == FORM:
            found = decoded_text(body.removeprefix(BOM).strip(), options.get("charset", ""))
            return _gathered(_pairs(*found)) if found is not None and _looks_like_one(found[0]) else None
        if kind == MULTIPART:
            return _gathered(_parts(body, options.get("boundary", "")))
    except (ValueError, MultipartError) as error:
        raise UnreadableBody(400, f"expected a form: {error}", is_kept=True) from error
    return None


def query(text: bytes) -> Fields:
    """The parameters of a query. Raises UnreadableBody."""
    try:
        return _gathered(_pairs(text.decode("latin-1")))
    except ValueError as error:
        raise UnreadableBody(400, f"expected a query of at most {FIELDS} parameters") from error


def as_json(fields: Fields) -> bytes:
    """Fields as a message."""
    return msgspec.json.encode(fields)


def _pairs(text: str, charset: str = "utf_8") -> list[tuple[str, str]]:
    """The names and values of a form or a query; ``charset`` is what its escapes are in, if they can be. Raises ValueError."""
    if (count := text.count("%")) > ESCAPES:
        raise ValueError(f"expected at most {ESCAPES:,} escapes (%), got {count:,}")
    try:
        return parse_qsl(text, True, encoding=charset, errors="strict", max_num_fields=FIELDS)
    except UnicodeDecodeError:
        return parse_qsl(text, True, encoding=WESTERN, errors="replace", max_num_fields=FIELDS)


def _looks_like_one(text: str) -> bool:
    return "=" in text and text[0] not in NO_FORM and text.isprintable()


def _gathered(pairs: Iterable[tuple[str, Any]]) -> Fields:
    found: Fields = {}
    several: set[str] = set()
    for name, value in pairs:
        if name in several:
            found[name].append(value)
        elif name in found:
            several.add(name)
            found[name] = [found[name], value]
        else:
            found[name] = value
    return found


def _parts(body: bytes, boundary: str) -> Iterable[tuple[str, Any]]:
    """The parts of a multipart body: texts, JSON values, files."""
    if not boundary:
        raise ValueError("no boundary is given")
    segment: MultipartSegment | None = None
    content = bytearray()
    left = HEADERS
    with PushMultipartParser(boundary, max_segment_count=FIELDS) as parser:
        for event in chain(parser.parse(body), parser.parse(b"")):
            if isinstance(event, MultipartSegment):
                segment = event
                content.clear()
                left -= sum(len(name) + len(value) for name, value in segment.headerlist)
                if left < 0:
                    raise ValueError(f"expected parts with at most {HEADERS} characters of headers")
            elif event is not None:
                content += event
            elif segment is not None:
                yield segment.name, _value(segment, bytes(content))
                segment = None


def _value(segment: MultipartSegment, content: bytes) -> Any:
    kind, options = parse_options_header(segment.content_type or "")
    if kind == "application/json":
        try:
            return plain_json.decode(content.removeprefix(BOM))
        except plain_json.NotJson as error:
            raise ValueError(f"{segment.name} is no JSON: {error}") from error
    if segment.filename is None:
        return text_of(content, options.get("charset", ""))
    return {
        "filename": segment.filename,
        "contentType": kind,
        "base64": base64.b64encode(content).decode(),
    }
