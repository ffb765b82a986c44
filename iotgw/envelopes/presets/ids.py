"""The forms in which a downlink's id travels: as platforms take ids of others, and give them back."""

from __future__ import annotations

import re
from typing import Any

_ITEM = re.compile(r"dl([0-9a-f]{16})")
_UUID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-8([0-9a-f]{3})-8([0-9a-f])67-6f7467770000")
_HEX64 = re.compile(r"[0-9A-Fa-f]{16}")


def as_uuid(item: str) -> str:
    """A downlink's id as a UUID (version 8, RFC 9562 §5.8), for platforms that take no other. Empty if the id has
    another form than the queue gives it."""
    digits = _digits(item)
    return f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8{digits[15]}67-6f7467770000" if digits else ""


def as_hex64(item: str) -> str:
    """A downlink's id as 16 upper-case hexadecimal digits; empty as in `as_uuid`."""
    return _digits(item).upper()


def item_of(said: Any) -> str:
    """The downlink's id that a platform gives back in any of its forms; empty for somebody else's."""
    if not isinstance(said, str) or len(said) > 64:
        return ""
    name: str = str(said).removeprefix("iotgw:")
    if _ITEM.fullmatch(name):
        return name
    if match := _UUID.fullmatch(name.lower()):
        return "dl" + "".join(match.groups())
    return f"dl{name.lower()}" if _HEX64.fullmatch(name) else ""


def _digits(item: str) -> str:
    match = _ITEM.fullmatch(item)
    return match[1] if match else ""
