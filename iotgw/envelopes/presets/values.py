"""Reads single values of a platform's message: bytes, dates, the best gateway, ids of downlinks. Nothing here raises
on what a peer sent, except where it is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from iotgw.core.expressions.functions import decode_base64, decode_hex, is_number, to_number
from iotgw.envelopes.presets.form import Encoding, Unit

EARLIEST_MS = 946_684_800_000
"""The beginning of the year 2000: what a platform says of an earlier time isn't one."""
LATEST_MS = 253_402_300_799_999


def frame(value: Any, encoding: Encoding) -> bytes | None:
    """The bytes of an encoded payload; None if it isn't one."""
    if encoding == "json":
        return msgspec.json.encode(value)
    if not isinstance(value, str):
        return None
    if encoding == "base64":
        return decode_base64(value)
    return decode_hex(value) if encoding == "hex" else value.encode("utf-8", "replace")


def date_ms(value: Any, unit: Unit) -> int | None:
    """A date in ms since 1970; None for what is none, or is before the year 2000."""
    if unit in ("ms", "s"):
        number = to_number(value)
        found = (
            None if number is None or abs(number) > LATEST_MS else int(number * (1000 if unit == "s" else 1))
        )
    elif not isinstance(value, str) or len(value) > 64:
        return None
    else:
        try:
            read = (
                datetime.fromisoformat(value) if unit == "iso" else datetime.strptime(value, "%Y%m%dT%H%M%SZ")
            )
            found = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    return found if found is not None and EARLIEST_MS <= found <= LATEST_MS else None


def text(value: Any, longest: int = 255) -> str:
    """A name that a platform said, also as a number; empty for what is none or is too long."""
    if isinstance(value, str):
        return value if len(value) <= longest else ""
    return repr(value) if is_number(value) and abs(value) < 1e18 else ""
