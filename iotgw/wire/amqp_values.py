"""Single values in AMQP 1.0's encoding (AMQP 1.0 part 1, §1.6), as Event Hubs puts them into Kafka's headers. No I/O."""

from __future__ import annotations

import struct
from typing import Any

from iotgw.core.errors import ProtocolError

_FIXED: dict[int, str] = {
    0x50: "B", 0x51: "b", 0x52: "B", 0x53: "B", 0x54: "b", 0x55: "b", 0x56: "?",
    0x60: ">H", 0x61: ">h", 0x70: ">I", 0x71: ">i", 0x72: ">f",
    0x80: ">Q", 0x81: ">q", 0x82: ">d", 0x83: ">q",
}  # fmt: skip
"""Constructors of numbers, booleans and timestamps (ms since 1970) by `struct`'s names."""
_EMPTY: dict[int, Any] = {0x40: None, 0x41: True, 0x42: False, 0x43: 0, 0x44: 0}
_SIZES = {0xA0: 1, 0xA1: 1, 0xA3: 1, 0xB0: 4, 0xB1: 4, 0xB3: 4}
"""How many bytes give the length of binaries, strings and symbols."""


def value(data: bytes) -> Any:
    """The value that these bytes are, binaries in hexadecimal; raises ProtocolError for all else."""
    if not data:
        raise ProtocolError("expected an AMQP value, got nothing")
    code, body = data[0], data[1:]
    if code in _EMPTY and not body:
        return _EMPTY[code]
    if code in _FIXED and len(body) == struct.calcsize(_FIXED[code]):
        return struct.unpack(_FIXED[code], body)[0]
    size = _SIZES.get(code, 0)
    if size and len(body) >= size and int.from_bytes(body[:size], "big") == len(body) - size:
        content = body[size:]
        try:
            return content.hex() if code in (0xA0, 0xB0) else content.decode()
        except UnicodeDecodeError:
            pass
    raise ProtocolError(f"expected an AMQP value, got {len(data)} bytes that begin with 0x{code:02x}")
