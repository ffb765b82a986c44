"""Field tables in AMQP 0-9-1's encoding (§4.2.5.5), with the types that RabbitMQ gives them (its errata, §3), as values of JSON. No I/O."""

from __future__ import annotations

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from iotgw.core.errors import ProtocolError

MOST = 10_000
"""Values of one table, with those in it."""
DEEPEST = 32
_FIXED = {
    0x62: ">b", 0x42: ">B", 0x73: ">h", 0x55: ">h", 0x75: ">H", 0x49: ">i", 0x69: ">I", 0x6C: ">q", 0x4C: ">q",
    0x66: ">f", 0x64: ">d", 0x74: ">?",
}  # fmt: skip
"""Numbers and truth values, by `struct`'s names."""


def table(data: bytes) -> dict[str, Any]:
    """The table that these bytes are, without its size. Dates are ms since 1970, bytes hexadecimal, decimals text. Raises ProtocolError."""
    reader = _Reader(data)
    try:
        return reader.table(len(data), 0)
    except (struct.error, IndexError):
        raise ProtocolError("expected a table of AMQP, got one that is cut off") from None


def _text(content: bytes) -> str:
    """Text; in hexadecimal where it is no UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError:
        return content.hex()


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._count = 0

    def number(self, form: str) -> Any:
        (found,) = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found

    def _bytes(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        if len(found) < size:
            raise IndexError
        self._at += size
        return found

    def table(self, size: int, depth: int) -> dict[str, Any]:
        end, found = self._at + size, {}
        while self._at < end:
            name = _text(self._bytes(self.number(">B")))
            found[name] = self._value(depth)
        return found

    def array(self, size: int, depth: int) -> list[Any]:
        end, found = self._at + size, []
        while self._at < end:
            found.append(self._value(depth))
        return found

    def _value(self, depth: int) -> Any:
        self._count += 1
        if self._count > MOST or depth > DEEPEST:
            raise ProtocolError(
                f"expected a table of at most {MOST} values, {DEEPEST} deep, got a larger one"
            )
        kind = self.number(">B")
        if kind in _FIXED:
            return self.number(_FIXED[kind])
        read = _READ.get(kind)
        if read is None:
            raise ProtocolError(f"expected a type of AMQP, got 0x{kind:02x}")
        return read(self, depth + 1)

    def sized(self) -> bytes:
        return self._bytes(self.number(">I"))

    def text(self) -> str:
        return _text(self.sized())

    def decimal(self) -> str:
        scale, raw = self.number(">B"), self.number(">i")
        return str(Decimal(raw).scaleb(-scale))


_READ: dict[int, Callable[[_Reader, int], Any]] = {
    ord("S"): lambda reader, depth: reader.text(),
    ord("x"): lambda reader, depth: reader.sized().hex(),
    ord("V"): lambda reader, depth: None,
    ord("T"): lambda reader, depth: reader.number(">Q") * 1000,
    ord("D"): lambda reader, depth: reader.decimal(),
    ord("F"): lambda reader, depth: reader.table(reader.number(">I"), depth),
    ord("A"): lambda reader, depth: reader.array(reader.number(">I"), depth),
}
