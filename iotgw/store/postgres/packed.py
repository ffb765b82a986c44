"""Columns of many rows as PostgreSQL's binary arrays, packed by hand: psycopg's own lists cost five times the CPU."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

INT4, INT8, BYTEA = 23, 20, 17
"""Types of elements, by PostgreSQL's object ids."""
_HEAD = struct.Struct(">iiIii").pack
_EMPTY = struct.Struct(">iiI").pack
_LENGTH = struct.Struct(">i").pack
_LENGTHS = {size: _LENGTH(size) for size in range(2048)}
_NULL = b"\xff\xff\xff\xff"


class Packed:
    """An array in PostgreSQL's binary form."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class PackedInt4(Packed):
    """``int4[]``."""

    __slots__ = ()


class PackedInt8(Packed):
    """``int8[]``."""

    __slots__ = ()


class PackedBytes(Packed):
    """``bytea[]``."""

    __slots__ = ()


class _ArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        data: bytes = obj.data
        return data


_OIDS: dict[type[Packed], int] = {PackedInt4: 1007, PackedInt8: 1016, PackedBytes: 1001}


def register(connection: psycopg.Connection[Any]) -> None:
    """Teach a connection to take these arrays as parameters."""
    for kind, oid in _OIDS.items():
        dumper = type(f"{kind.__name__}Dumper", (_ArrayDumper,), {"oid": oid})
        connection.adapters.register_dumper(kind, dumper)


def int4s(values: Sequence[Any]) -> PackedInt4:
    """Whole numbers of 32 bits. Raises struct.error for others."""
    count = len(values)
    if not count:
        return PackedInt4(_EMPTY(0, 0, INT4))
    fields = [4] * (2 * count)
    fields[1::2] = values
    return PackedInt4(_HEAD(1, 0, INT4, count, 1) + struct.pack(f">{2 * count}i", *fields))


def int8s(values: Sequence[Any]) -> PackedInt8:
    """Whole numbers of 64 bits. Raises struct.error for others."""
    count = len(values)
    if not count:
        return PackedInt8(_EMPTY(0, 0, INT8))
    fields = [8] * (2 * count)
    fields[1::2] = values
    return PackedInt8(_HEAD(1, 0, INT8, count, 1) + struct.pack(">" + "iq" * count, *fields))


def bytes_of(values: Sequence[Any]) -> PackedBytes:
    """Bytes, some of which may be NULL. Raises TypeError for what is something else."""
    count = len(values)
    if not count:
        return PackedBytes(_EMPTY(0, 0, BYTEA))
    parts: list[bytes] = [b""] * (2 * count)
    parts[0::2] = [
        _NULL if value is None else _LENGTHS.get(len(value)) or _LENGTH(len(value)) for value in values
    ]
    parts[1::2] = [b"" if value is None else value for value in values]
    return PackedBytes(_HEAD(1, 1 if None in values else 0, BYTEA, count, 1) + b"".join(parts))
