"""The forms in which an attempt at a downlink is named: as platforms take names of others, and give them back.

A name tells the attempt, so that a network's late word on an earlier one isn't taken for one on a later one.
"""

from __future__ import annotations

import re
from typing import Any

from iotgw.core.downlink_item import attempt_name

_ITEM = re.compile(r"dl[0-9a-f]{16}")
_NAME = re.compile(r"dl[0-9a-f]{16}(\.[0-9]{1,3})?")
_UUID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-8([0-9a-f]{3})-8([0-9a-f])67-6f746777([0-9a-f]{4})")
_HEX64 = re.compile(r"[0-9A-Fa-f]{16}")


def as_text(item: str, attempt: int = 1) -> str:
    """An attempt's name where a platform takes any text."""
    return f"iotgw:{attempt_name(item, attempt)}"


def as_uuid(item: str, attempt: int = 1) -> str:
    """It as a UUID (version 8, RFC 9562 §5.8), for platforms that take no other. Empty if the id has
    another form than the queue gives it."""
    digits = _digits(item)
    if not digits:
        return ""
    return f"{digits[:8]}-{digits[8:12]}-8{digits[12:15]}-8{digits[15]}67-6f746777{attempt - 1 & 0xFFFF:04x}"


def as_hex64(item: str, attempt: int = 1) -> str:
    """It as 16 upper-case hexadecimal digits; empty as in `as_uuid`. The last digit, which is 0 in the queue's ids, counts the attempts: each sixteenth
    has the same name."""
    digits = _digits(item)
    return f"{digits[:15]}{int(digits[15], 16) + attempt - 1 & 15:x}".upper() if digits else ""


def item_of(said: Any) -> str:
    """The attempt's name (`attempt_name`) that a platform gives back in any of these forms; empty for somebody else's."""
    if not isinstance(said, str) or len(said) > 64:
        return ""
    name: str = str(said).removeprefix("iotgw:")
    if _NAME.fullmatch(name):
        return name
    if match := _UUID.fullmatch(name.lower()):
        return attempt_name("dl" + "".join(match.groups()[:4]), int(match[5], 16) + 1)
    if _HEX64.fullmatch(name):
        return attempt_name(f"dl{name[:15].lower()}0", int(name[15], 16) + 1)
    return ""


def _digits(item: str) -> str:
    return item[2:] if _ITEM.fullmatch(item) else ""
