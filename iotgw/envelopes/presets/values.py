"""Reads single values of a platform's message: bytes, dates, the best gateway, ids of downlinks. Nothing here raises
on what a peer sent, except where it is said."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from iotgw.core.expressions.functions import decode_base64, decode_hex, is_number, to_number
from iotgw.core.model import Metadata
from iotgw.envelopes.presets.form import Encoding, Unit
from iotgw.envelopes.presets.preset import Gateways

EARLIEST_MS = 946_684_800_000
"""The beginning of the year 2000: what a platform says of an earlier time isn't one."""
LATEST_MS = 253_402_300_799_999
MOST_GATEWAYS = 256

_ITEM = re.compile(r"dl([0-9a-f]{16})")
_UUID = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-8([0-9a-f]{3})-8([0-9a-f])67-6f7467770000")
_HEX64 = re.compile(r"[0-9A-Fa-f]{16}")


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


def best_gateway(gateways: Gateways, occasion: Any) -> Metadata:
    """``rssi``, ``snr`` and ``gatewayId`` of the gateway that heard a frame best; empty if none says its signal."""
    heard = gateways.at.run(occasion)
    if isinstance(heard, dict):
        heard = [heard]
    best: Any = None
    loudest: int | float | None = None
    for each in heard[:MOST_GATEWAYS] if isinstance(heard, list) else ():
        rssi = to_number(gateways.rssi.run(each))
        if rssi is not None and (loudest is None or rssi > loudest):
            best, loudest = each, rssi
    if loudest is None:
        return {}
    found: Metadata = {"rssi": loudest}
    if (snr := to_number(gateways.snr.run(best))) is not None:
        found["snr"] = snr
    name = gateways.id.run(best) if gateways.id is not None else None
    if isinstance(name, str) and name:
        found["gatewayId"] = name
    return found


def text(value: Any, longest: int = 255) -> str:
    """A name that a platform said, also as a number; empty for what is none or is too long."""
    if isinstance(value, str):
        return value if len(value) <= longest else ""
    return repr(value) if is_number(value) and abs(value) < 1e18 else ""


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
