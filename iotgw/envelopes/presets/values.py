"""Reads single values of a platform's message: bytes, dates, the best gateway, ids of downlinks. Nothing here raises
on what a peer sent, except where it is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

import msgspec

from iotgw.core.expressions.functions import decode_base64, decode_hex, is_number, to_number
from iotgw.envelopes.presets.form import BatchForm, Encoding, Unit

EARLIEST_MS = 946_684_800_000
"""The beginning of the year 2000: what a platform says of an earlier time isn't one."""
LATEST_MS = 253_402_300_799_999
LARGEST_FRAME = 1 << 20
"""Bytes of a device's own message in JSON, about."""


def frame(value: Any, encoding: Encoding) -> bytes | None:
    """The bytes of an encoded payload; None if it isn't one."""
    if encoding == "json":
        return msgspec.json.encode(value) if is_within(value, LARGEST_FRAME) else None
    if not isinstance(value, str):
        return None
    if encoding == "base64":
        return decode_base64(value)
    return decode_hex(value) if encoding == "hex" else value.encode("utf-8", "replace")


def lines_of(data: bytes, batch: BatchForm) -> dict[str, Any] | None:
    """The messages in a field of a form; None if the body is no such form."""
    if not data.isascii():
        return None
    try:
        fields = parse_qs(
            data.decode("ascii"), strict_parsing=True, max_num_fields=16, keep_blank_values=True
        )
    except ValueError:
        return None
    if batch.field not in fields:
        return None
    lines = [line.strip() for line in "\n".join(fields[batch.field]).splitlines()]
    rows = (line.split(batch.separator, len(batch.names) - 1) for line in lines if line)
    return {batch.field: [dict(zip(batch.names, row, strict=False)) for row in rows]}


def date_ms(value: Any, unit: Unit) -> int | None:
    """A date in ms since 1970; None for what is none, or is before the year 2000."""
    if unit == "iso" and type(value) is str and len(value) <= 64:
        try:
            read = datetime.fromisoformat(value)
            found: int | None = int((read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    elif unit in ("ms", "s"):
        number = to_number(value)
        found = (
            None
            if number is None or not abs(number) <= LATEST_MS
            else int(number * (1000 if unit == "s" else 1))
        )
    elif unit == "iso" or not isinstance(value, str) or len(value) > 64:
        return None
    else:
        try:
            found = int(datetime.strptime(value, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    return found if found is not None and EARLIEST_MS <= found <= LATEST_MS else None


def text(value: Any, longest: int = 255) -> str:
    """A name that a platform said, also as a number; empty for what is none or is too long."""
    if isinstance(value, str):
        return value if len(value) <= longest else ""
    return repr(value) if is_number(value) and abs(value) < 1e18 else ""


def is_within(value: Any, most: int) -> bool:
    """Whether a JSON value has about ``most`` bytes or fewer as text. What is larger is not looked at as a whole."""
    waiting, size = [value], 0
    while waiting:
        each = waiting.pop()
        kind = type(each)
        if kind is str:
            size += len(each)
        elif kind is int:
            size += 1 + each.bit_length() // 3
        elif kind is list or kind is dict:
            size += len(each)
        size += 2
        if size > most:
            return False
        if kind is list:
            waiting += each
        elif kind is dict:
            waiting += each
            waiting += each.values()
    return True
