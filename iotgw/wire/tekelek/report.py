"""What a Tekelek frame says about itself and its device, as flat metadata for converters.

The arithmetic of a model's samples is left to its converter; it gets the whole frame as ``payload`` and the
samples' times here. ``docs/datasources/tekelek.md`` has the table of keys.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Any

from iotgw.core.numbers import real
from iotgw.wire.tekelek.clock import logger_minutes, sample_times
from iotgw.wire.tekelek.frame import (
    ALARMS,
    CONTACT_REASONS,
    GPS,
    HEADER_SIZE,
    LOGGER_TYPES,
    READY,
    REGISTERS,
    STATUS,
    TEXT_TYPES,
    Header,
    parse,
)

LOGGER_FRAME_SIZE = 140
MESSAGE_NAMES = {
    2: "diagnostics",
    4: "scheduled",
    6: "registers",
    8: "alarm",
    9: "delayed",
    16: "status",
    17: "gps",
}


def metadata(frame: bytes, received_ms: int, zone: tzinfo = UTC) -> dict[str, Any]:
    """The metadata that all models have in common, from one frame as `TekelekFramer` cuts it.

    ``zone`` is the time zone of the device's clock. Never raises; an unknown value's key is missing.
    """
    if frame.startswith(READY):
        return {"messageName": "ready", "text": _text(frame)}
    header = parse(frame)
    if header is None:
        return {}
    facts = _header(header)
    if header.message_type in LOGGER_TYPES and len(frame) >= LOGGER_FRAME_SIZE:
        facts |= _logger(header, frame, received_ms, zone)
    elif header.message_type in TEXT_TYPES:
        text = _text(frame[HEADER_SIZE:-2])
        facts["text"] = text
        if header.message_type == REGISTERS:
            facts["registers"] = registers(text)
        elif header.message_type == STATUS:
            facts["fields"] = text.split(",")[1:]
        elif header.message_type == GPS:
            facts |= gps(text)
    return facts


def _header(header: Header) -> dict[str, Any]:
    product = header.product
    major, minor = header.firmware
    facts: dict[str, Any] = {
        "vendor": "Tekelek",
        "imei": header.imei,
        "deviceModel": product.model if product else f"product {header.code}",
        "productName": product.name if product else "",
        "productCode": header.code,
        "hardware": header.hardware,
        "firmware": f"{major}.{minor}",
        "messageType": header.message_type,
        "messageName": MESSAGE_NAMES.get(header.message_type, "unknown"),
        "contactReason": header.contact,
        "contactReasons": _bits(header.contact, CONTACT_REASONS),
        "alarm": header.alarm,
        "alarms": _bits(header.alarm, ALARMS),
        "csq": header.csq,
        "battery": header.battery,
        "rtcSet": header.rtc_set,
        "crcOk": header.crc_ok,
    }
    if header.csq <= 31:
        facts["rssiDbm"] = 2 * header.csq - 113
    if product is None:
        return facts
    if product.battery == "percent":
        facts["batteryPercent"] = round(header.battery * 100 / 31, 2)
    else:
        facts["batteryVolts"] = (30 + header.battery) / 10
    if product.lte:
        facts["lteActive" if product.lte == "lte" else "umtsActive"] = bool(header.status & 0x40)
    if product.reed_fault:
        facts["reedFault"] = bool(header.status & 0x80)
    return facts


def _logger(header: Header, frame: bytes, received_ms: int, zone: tzinfo) -> dict[str, Any]:
    product = header.product
    times, on_clock = sample_times(header, frame, received_ms, zone)
    word20 = frame[20] << 8 | frame[21]
    facts: dict[str, Any] = {
        "messageCount": frame[17] << 8 | frame[18],
        "triesRemaining": frame[19] >> 5,
        "rtcTime": f"{frame[19] & 0x1F:02}:{frame[25]:02}",
        "word20": word20,
        "byte22": frame[22],
        "loggerMinutes": logger_minutes(frame[23]),
        "loginTimeRaw": frame[24],
        # the workbook multiplies by 5, one manual says 10: both agree on the raw count
        "loginTimeSeconds": frame[24] * 5,
        "sampleTimes": list(times),
        "timeSource": "device" if on_clock else "receipt",
    }
    if product is None:
        return facts
    meaning = product.energy
    if product.model == "TEK822" and header.firmware <= (3, 0):
        meaning = "lastError"
    if meaning == "lastError":
        facts["lastError"] = word20 if product.model == "TEK822" else word20 & 0xFF
    elif meaning != "word20":
        facts[meaning] = word20
    if product.model in ("TEK822", "TEK898"):
        is_lte_m = bool(header.status & 0x40)
        facts["network"] = "NB-IoT" if frame[22] & 0x80 else "CAT-M1" if is_lte_m else "2G"
    elif product.model.startswith("TEK811") or product.model == "TEK908":
        facts["signalDbm"] = -((frame[22] & 0x7F) + 44)
    return facts


def _bits(value: int, names: tuple[str, ...]) -> list[str]:
    return [name for bit, name in enumerate(names) if value & 1 << bit]


def _text(data: bytes) -> str:
    return data.decode("ascii", "backslashreplace").strip("\x00\r\n")


_REGISTER = re.compile(r"(S\d{1,3})=([^,]*)")


def registers(text: str) -> dict[str, str]:
    """``S0=80,S1=05,…`` as a dict of texts; most are hexadecimal. Passwords (S11, S14) are left out."""
    return {name: value for name, value in _REGISTER.findall(text) if name not in ("S11", "S14")}


LARGEST = 1e15
"""No register holds more."""
_LATITUDE = re.compile(r"(\d{2})(\d{2}\.\d{1,12})([NS])", re.ASCII)
_LONGITUDE = re.compile(r"(\d{3})(\d{2}\.\d{1,12})([EW])", re.ASCII)


def gps(text: str) -> dict[str, Any]:
    """The position of message type 17: ``,seconds,hhmmss.s,ddmm.mN,dddmm.mW,hdop,m,fix,cog,km/h,kn,ddmmyy,n,``."""
    fields = text.split(",")[1:]
    if len(fields) < 12:
        return {"gpsFix": False}
    facts: dict[str, Any] = {"gpsFix": False, "gpsSeconds": _number(fields[0])}
    latitude, longitude = _LATITUDE.fullmatch(fields[2]), _LONGITUDE.fullmatch(fields[3])
    if latitude is None or longitude is None:
        return facts
    facts |= {
        "gpsFix": True,
        "latitude": _degrees(latitude),
        "longitude": _degrees(longitude),
        "hdop": _number(fields[4]),
        "altitude": _number(fields[5]),
        "gpsDimensions": _number(fields[6]),
        "course": _number(fields[7]),
        "speedKmh": _number(fields[8]),
        "satellites": _number(fields[11]),
    }
    try:
        time = datetime.strptime(fields[10] + fields[1][:6], "%d%m%y%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return facts
    return facts | {"gpsTime": int(time.timestamp() * 1000)}


def _degrees(match: re.Match[str]) -> float:
    degrees = int(match[1]) + float(match[2]) / 60
    return round(-degrees if match[3] in "SW" else degrees, 6)


def _number(text: str) -> float | int | None:
    """A field's number, or None."""
    text = text.strip()
    value = real(text, -LARGEST, LARGEST)
    if value is None or "e" in text.lower():
        return None
    return value if "." in text else int(value)
