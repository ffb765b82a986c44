"""JSON that JavaScript made: its texts may have halves of surrogate pairs, which no other language takes."""

from __future__ import annotations

import re
from typing import Any

import msgspec

_decode = msgspec.json.Decoder().decode
_HALF_PAIR = re.compile(
    r"\\u[dD][89abAB][\da-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB][\da-fA-F]{2})\\u[dD][c-fC-F][\da-fA-F]{2}"
)


def decode(text: str) -> Any:
    """The values of a text; halves of pairs are replaced by U+FFFD. Raises msgspec.DecodeError."""
    try:
        return _decode(text)
    except msgspec.DecodeError:
        return _decode(_HALF_PAIR.sub(r"\\ufffd", text))
