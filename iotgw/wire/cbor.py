"""Plain CBOR as JSON values (RFC 8949), for bytes that anybody may have sent.

A decoded value is never more than a small multiple of its input. Items are counted as they are read, a length is
checked against the bytes that are left before anything is allocated, and depth is bounded. All tags are refused.
Shared values (28, 29) and string references (25, 256) expand; big numbers, decimals, regular expressions and dates
cost more to build than their size suggests. No device here needs them.

Containers and strings of indefinite length are accepted (RFC 8949 §3.2), since streaming encoders send them.
"""

from __future__ import annotations

import base64
import math
import struct
from typing import Any

ITEMS = 4096
"""Maximum number of data items in one message, keys included."""
DEPTH = 32
"""Maximum nesting depth."""
_SAFE_INTEGER = 2**53
_BREAK = object()
_SIMPLE: dict[int, Any] = {20: False, 21: True, 22: None, 23: None}
_FLOATS = {25: ">e", 26: ">f", 27: ">d"}


class NotPlain(ValueError):
    """The bytes are not a plain CBOR item, or exceed the limits. The message says what was expected and where."""


def decode(data: bytes, items: int = ITEMS, depth: int = DEPTH) -> Any:
    """Decode the one item in these bytes into a JSON value.

    Byte strings become base64. Integers beyond 2⁵³ and integer keys become strings, since a script's numbers are
    doubles. NaN, infinities and ``undefined`` become None. Raises `NotPlain`, and nothing else.
    """
    reader = CborReader(data, items)
    value = reader.item(depth)
    if value is _BREAK:
        raise NotPlain("expected an item, got a break at byte 0")
    if reader.at != len(data):
        raise NotPlain(f"expected one item, got {len(data) - reader.at} bytes behind it")
    return value


class CborReader:
    """A position in the bytes, and how many items may still come. A subclass may keep more than JSON has: see `_bytes`,
    `_integer` and `_as_key`."""

    __slots__ = ("_data", "_left", "at")

    def __init__(self, data: bytes, items: int) -> None:
        self._data = data
        self._left = items
        self.at = 0

    def item(self, depth: int) -> Any:
        """The next item, or `_BREAK`."""
        self._left -= 1
        if self._left < 0:
            raise NotPlain(f"expected fewer items, got more up to byte {self.at}")
        major, info = self._initial()
        if major == 7:
            return self._simple(info)
        # an argument below 24 is in the initial byte itself, as most are
        size = info if info < 24 else self._argument(major, info)
        if major == 3:
            return self._text(size)
        if major < 2:
            assert size is not None  # no number has an indefinite length
            value = -1 - size if major else size
            return value if -_SAFE_INTEGER < value < _SAFE_INTEGER else self._integer(value)
        if major == 2:
            return self._bytes(self._string(major, size))
        if depth == 0:
            raise NotPlain(f"expected less nesting, got more at byte {self.at}")
        return self._array(size, depth - 1) if major == 4 else self._map(size, depth - 1)

    def _integer(self, value: int) -> Any:
        """What an integer beyond 2⁵³ is."""
        return str(value)

    def _bytes(self, value: bytes) -> Any:
        """What a byte string is."""
        return base64.b64encode(value).decode("ascii")

    def _as_key(self, key: Any) -> Any:
        """What an integer or a text is as a key."""
        return key if isinstance(key, str) else str(key)

    def _count(self) -> None:
        """Count one more item."""
        self._left -= 1
        if self._left < 0:
            raise NotPlain(f"expected fewer items, got more up to byte {self.at}")

    def _initial(self) -> tuple[int, int]:
        """Major type and additional information of the next item (§3)."""
        if self.at >= len(self._data):
            raise NotPlain(f"expected an item, got the end at byte {self.at}")
        byte = self._data[self.at]
        self.at += 1
        if byte >> 5 == 6:
            raise NotPlain(f"expected plain items, got a tag at byte {self.at - 1}")
        return byte >> 5, byte & 31

    def _argument(self, major: int, info: int) -> int | None:
        """The argument that additional information stands for (§3), None for an indefinite length."""
        if info < 24:
            return info
        if info < 28:
            return int.from_bytes(self._take(1 << info - 24), "big")
        if info == 31 and 2 <= major <= 5:
            return None
        raise NotPlain(f"expected a well-formed item, got {major << 5 | info:#04x} at byte {self.at - 1}")

    def _take(self, size: int) -> bytes:
        start, end = self.at, self.at + size
        if end > len(self._data):
            raise NotPlain(f"expected {size} bytes at byte {start}, got {len(self._data) - start}")
        self.at = end
        return self._data[start:end]

    def _simple(self, info: int) -> Any:
        if info in _FLOATS:
            value: float = struct.unpack(_FLOATS[info], self._take(1 << info - 24))[0]
            return value if math.isfinite(value) else None
        if info == 31:
            return _BREAK
        if info not in _SIMPLE:
            raise NotPlain(f"expected false, true, null or undefined, got another at byte {self.at - 1}")
        return _SIMPLE[info]

    def _string(self, major: int, size: int | None) -> bytes:
        if size is not None:
            return self._take(size)
        chunks: list[bytes] = []
        while (chunk := self._chunk(major)) is not None:
            chunks.append(chunk)
        return b"".join(chunks)

    def _chunk(self, major: int) -> bytes | None:
        """A piece of a string of indefinite length: a definite one of the same type (§3.2.3); None at the end."""
        self._left -= 1
        if self._left < 0:
            raise NotPlain(f"expected fewer items, got more up to byte {self.at}")
        kind, info = self._initial()
        if (kind, info) == (7, 31):
            return None
        size = self._argument(kind, info) if kind == major else None
        if size is None:
            raise NotPlain(f"expected a piece of the string, got something else at byte {self.at - 1}")
        return self._take(size)

    def _text(self, size: int | None) -> str:
        start = self.at
        try:
            return self._string(3, size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise NotPlain(f"expected UTF-8 at byte {start}: {error.reason}") from error

    def _check_count(self, count: int) -> None:
        """Refuse a count larger than the bytes left: every item takes at least one byte."""
        left = len(self._data) - self.at
        if count > left:
            raise NotPlain(f"expected {count} items at byte {self.at}, got {left} bytes")

    def _array(self, size: int | None, depth: int) -> list[Any]:
        if size is None:
            values = []
            while (value := self.item(depth)) is not _BREAK:
                values.append(value)
            return values
        self._check_count(size)
        return [self.value(depth) for _ in range(size)]

    def _map(self, size: int | None, depth: int) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        if size is not None:
            self._check_count(2 * size)
        while size is None or len(found) < size:
            if (key := self._key(size is None)) is None:
                break
            if key in found:
                raise NotPlain(f"expected each key once (§5.6), got one again up to byte {self.at}")
            found[key] = self.value(depth)
        return found

    def _key(self, may_end: bool) -> Any:
        """A text or an integer, as `_as_key` has it; None at the end of a map of indefinite length."""
        start = self.at
        byte = self._data[start] if start < len(self._data) else 0
        if byte == 0xFF and may_end:
            self.at += 1
            return None
        if byte >> 5 not in (0, 1, 3):
            raise NotPlain(f"expected a text or an integer as a key, got something else at byte {start}")
        return self._as_key(self.item(0))

    def value(self, depth: int) -> Any:
        """The next item, which is no break."""
        value = self.item(depth)
        if value is _BREAK:
            raise NotPlain(f"expected an item, got a break at byte {self.at - 1}")
        return value
