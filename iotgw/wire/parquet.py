"""Apache Parquet files, written: one row group, a page per column, without dictionaries.

https://github.com/apache/parquet-format: ``parquet.thrift`` names the structures and their fields, ``Encodings.md`` what is in a page. The metadata
are in Thrift's compact protocol (https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md). Any reader takes a
file like this; what one of two hundred lines leaves out is what makes large files fast.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, Literal

from msgspec import Struct

MAGIC = b"PAR1"
UNCOMPRESSED, GZIP = 0, 2
"""Codecs (``CompressionCodec``)."""
_PLAIN, _RLE = 0, 3
"""Encodings."""
_I32, _I64, _BINARY, _LIST, _STRUCT = 5, 6, 8, 9, 12
"""Types of the compact protocol."""


class Column(Struct, frozen=True):
    """A column. ``optional`` ones may have None; times are milliseconds since 1970 UTC."""

    name: str
    kind: Literal["time", "text", "number", "truth"]
    optional: bool = False


class _Kind(Struct, frozen=True):
    """A physical type (``Type``), the converted type if there is one, and how values are written (PLAIN)."""

    type: int
    converted: int | None
    plain: Callable[[Sequence[Any]], bytes]


def write(columns: Sequence[Column], rows: Sequence[Sequence[Any]], codec: int = GZIP) -> bytes:
    """A file with these rows, each with a value for each column. ``codec`` is that of all pages."""
    out = [MAGIC]
    at = len(MAGIC)
    chunks: list[bytes] = []
    size = 0
    for place, column in enumerate(columns):
        values = [row[place] for row in rows]
        page, unpacked = _page(column, values, codec)
        chunks.append(_chunk(column, len(values), at, codec, unpacked, len(page)))
        out.append(page)
        at += len(page)
        size += unpacked
    group = _struct((1, _LIST, _list(_STRUCT, chunks)), (2, _I64, _int(size)), (3, _I64, _int(len(rows))))
    root = _struct((4, _BINARY, _binary("schema")), (5, _I32, _int(len(columns))))
    schema = [root, *map(_element, columns)]
    footer = _struct(
        (1, _I32, _int(1)), (2, _LIST, _list(_STRUCT, schema)), (3, _I64, _int(len(rows))),
        (4, _LIST, _list(_STRUCT, [group])), (6, _BINARY, _binary("iotgw")),
    )  # fmt: skip
    return b"".join([*out, footer, struct.pack("<I", len(footer)), MAGIC])


# --- pages


def _page(column: Column, values: Sequence[Any], codec: int) -> tuple[bytes, int]:
    """A page (version 1) with its header, and its size before compression with the header."""
    content = _KINDS[column.kind].plain([value for value in values if value is not None])
    if column.optional:
        levels = b"".join(
            _varint(sum(1 for _ in run) << 1) + bytes((is_there,))
            for is_there, run in groupby(value is not None for value in values)
        )  # runs of the definition level, which is 0 for null (Encodings.md, RLE)
        content = struct.pack("<I", len(levels)) + levels + content
    packed = content
    if codec == GZIP:
        packer = zlib.compressobj(6, zlib.DEFLATED, 31)
        packed = packer.compress(content) + packer.flush()
    data = _struct(
        (1, _I32, _int(len(values))), (2, _I32, _int(_PLAIN)), (3, _I32, _int(_RLE)), (4, _I32, _int(_RLE))
    )
    header = _struct(
        (1, _I32, _int(0)), (2, _I32, _int(len(content))), (3, _I32, _int(len(packed))), (5, _STRUCT, data)
    )
    return header + packed, len(header) + len(content)


def _times(values: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(values)}q", *values)


def _numbers(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def _texts(values: Sequence[str]) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in (value.encode() for value in values))


def _truths(values: Sequence[bool]) -> bytes:
    """A bit each, the lowest first."""
    out = bytearray((len(values) + 7) // 8)
    for place, value in enumerate(values):
        out[place >> 3] |= value << (place & 7)
    return bytes(out)


_KINDS = {
    "truth": _Kind(0, None, _truths), "time": _Kind(2, 9, _times), "number": _Kind(5, None, _numbers),
    "text": _Kind(6, 0, _texts),
}  # fmt: skip


# --- metadata


def _element(column: Column) -> bytes:
    """``SchemaElement``."""
    kind = _KINDS[column.kind]
    fields = [
        (1, _I32, _int(kind.type)),
        (3, _I32, _int(int(column.optional))),
        (4, _BINARY, _binary(column.name)),
    ]
    if kind.converted is not None:
        fields.append((6, _I32, _int(kind.converted)))
    return _struct(*fields)


def _chunk(column: Column, count: int, at: int, codec: int, unpacked: int, packed: int) -> bytes:
    """``ColumnChunk``, with its ``ColumnMetaData``."""
    data = _struct(
        (1, _I32, _int(_KINDS[column.kind].type)), (2, _LIST, _list(_I32, [_int(_PLAIN), _int(_RLE)])),
        (3, _LIST, _list(_BINARY, [_binary(column.name)])), (4, _I32, _int(codec)), (5, _I64, _int(count)),
        (6, _I64, _int(unpacked)), (7, _I64, _int(packed)), (9, _I64, _int(at)),
    )  # fmt: skip
    return _struct((2, _I64, _int(at)), (3, _STRUCT, data))


def _struct(*fields: tuple[int, int, bytes]) -> bytes:
    """Fields of number, type and content, in the order of their numbers, which differ by less than 16."""
    out, before = [], 0
    for number, type_, content in fields:
        out += [bytes(((number - before) << 4 | type_,)), content]
        before = number
    return b"".join([*out, b"\0"])


def _list(type_: int, items: Sequence[bytes]) -> bytes:
    head = (
        bytes((len(items) << 4 | type_,)) if len(items) < 15 else bytes((0xF0 | type_,)) + _varint(len(items))
    )
    return head + b"".join(items)


def _binary(text: str) -> bytes:
    content = text.encode()
    return _varint(len(content)) + content


def _int(value: int) -> bytes:
    """A number that is not negative, zigzag."""
    return _varint(value << 1)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
