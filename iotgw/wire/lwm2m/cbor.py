"""The CBOR of LwM2M: SenML records and single values (RFC 8949, RFC 8428 §6, Core §7.4).

Beside what `iotgw.wire.cbor` takes there are byte strings, integer keys, and the tags of times (1) and of decimal fractions
(4), by which Leshan writes base times. The same limits hold: items are counted, lengths are checked before anything is
allocated, and all other tags are refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence

from iotgw.wire.cbor import CborReader, NotPlain
from iotgw.wire.lwm2m.values import LATEST, CodecError, Time

ITEMS = 65_536
"""Data items in one message, keys included."""
DEPTH = 8
_TAG = 6
_TIME, _DECIMAL = 1, 4
_LARGEST_EXPONENT = 30

Cbor = str | int | float | bool | bytes | Time | None | Sequence["Cbor"] | Mapping["str | int", "Cbor"]


def decode(data: bytes) -> object:
    """The one item in these bytes. Times are `Time`, decimal fractions floats. Raises `CodecError`."""
    try:
        reader = _Typed(data, ITEMS)
        value = reader.value(DEPTH)
        if reader.at != len(data):
            raise NotPlain(f"expected one item, got {len(data) - reader.at} bytes behind it")
    except NotPlain as error:
        raise CodecError(f"CBOR: {error}") from error
    return value


class _Typed(CborReader):
    """Keeps byte strings and integers as they are, and reads two tags."""

    __slots__ = ()

    def item(self, depth: int) -> object:
        """See `CborReader.item`."""
        if self.at < len(self._data) and self._data[self.at] >> 5 == _TAG:
            return self._tagged(depth)
        return super().item(depth)

    def _integer(self, value: int) -> int:
        return value

    def _bytes(self, value: bytes) -> bytes:
        return value

    def _as_key(self, key: object) -> object:
        return key

    def _tagged(self, depth: int) -> object:
        start = self.at
        self.at += 1
        tag = self._argument(_TAG, self._data[start] & 31)
        self._count()
        if tag == _TIME:
            seconds = self.value(0)
            if isinstance(seconds, int | float) and not isinstance(seconds, bool) and abs(seconds) < LATEST:
                return Time(seconds)
            raise NotPlain(f"expected a number of seconds at byte {start}")
        if tag == _DECIMAL and depth > 0:
            parts = self.value(1)
            if isinstance(parts, list) and len(parts) == 2 and all(type(part) is int for part in parts):
                return _decimal(*parts)
        raise NotPlain(f"expected plain items, a time or a decimal fraction, got tag {tag} at byte {start}")


def _decimal(exponent: int, mantissa: int) -> float:
    if abs(exponent) > _LARGEST_EXPONENT:
        raise NotPlain(f"expected an exponent of at most {_LARGEST_EXPONENT}, got {exponent}")
    return mantissa / 10**-exponent if exponent < 0 else float(mantissa * 10**exponent)


# --- out ------------------------------------------------------------------------------------------


def encode(value: object) -> bytes:
    """An item in its shortest form, the keys of maps in the order of their bytes (RFC 8949 §4.2.1)."""
    if value is None or isinstance(value, bool):
        return {None: b"\xf6", True: b"\xf5", False: b"\xf4"}[value]
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return _float(value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        text = value.encode()
        return _head(3, len(text)) + text
    if isinstance(value, Time):
        return b"\xc1" + encode(value.seconds)
    if isinstance(value, Mapping):
        pairs = sorted((encode(key), encode(item)) for key, item in value.items())
        return _head(5, len(pairs)) + b"".join(key + item for key, item in pairs)
    if isinstance(value, Sequence):
        return _head(4, len(value)) + b"".join(map(encode, value))
    raise CodecError(f"expected a value of CBOR, got {type(value).__name__}")


def _head(major: int, size: int) -> bytes:
    major <<= 5
    if size < 24:
        return bytes((major | size,))
    for info, (form, most) in enumerate((("B", 1 << 8), (">H", 1 << 16), (">I", 1 << 32), (">Q", 1 << 64))):
        if size < most:
            return bytes((major | 24 + info,)) + struct.pack(form, size)
    raise CodecError("expected an integer of 64 bits, got a larger one")


def _float(value: float) -> bytes:
    """The shortest float that is equal."""
    if math.isfinite(value):
        for head, form in ((b"\xf9", ">e"), (b"\xfa", ">f")):
            try:
                packed = struct.pack(form, value)
            except OverflowError:
                continue
            if struct.unpack(form, packed)[0] == value:
                return head + packed
    return b"\xfb" + struct.pack(">d", value)
