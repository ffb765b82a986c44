"""A Dragino frame: its generation, its device, and where the model's own data begins.

| generation | header |
|---|---|
| G0 | id 6 (last 12 digits of the IMEI), version 2, battery 2, signal 1 |
| G1 | id 8 (nibble f and 15 digits), version 2, battery 2, signal 1 |
| G2 | id 8, IMSI 8 (as id), version 2 with the model in its high byte, battery 2, signal 1 |
| G3 | as G2, with a position in the data; told from G2 by the data's layout |
| JSON | text that begins with ``{``; its records are often no valid JSON |
| KW | the door sensor NDS01: ``KW`` … ``IOT``, with a length of its own |

A frame may come as raw bytes or as hexadecimal text (MQTT, CoAP).
"""

from __future__ import annotations

import re

from msgspec import Struct

SMALLEST = 11
"""Bytes of the shortest header, that of G0."""

BLANK = b" \t\r\n\0"
"""Line ends and terminators that may surround text."""
_SIGNALS = frozenset((*range(32), 99))
"""CSQ; 99 is unknown."""
_FULL = 6000
"""mV; higher than any of these batteries."""

_HEX_TEXT = re.compile(rb"[0-9A-Fa-f]{22,}")
_IMEI = re.compile(rb'"IMEI"\s*:\s*"?(\d{12,16})')
_IMSI = re.compile(rb'"IMSI"\s*:\s*"?(\d{14,15})')
_MODEL = re.compile(rb'"Model"\s*:\s*"([\x20-\x21\x23-\x7e]{1,40})"')
_KW = b"KW"
_KW_TAIL = b"IOT"


class DraginoFrame(Struct, frozen=True):
    """One uplink. ``payload`` is raw bytes (hexadecimal text undone) or, for JSON, the text as it came.

    ``data`` is where the model's data begins, right after the signal byte. ``identity`` is the IMEI, or
    its last 12 digits for G0. ``version``, ``battery`` (mV) and ``signal`` (CSQ) are None where there is no
    header; ``model`` is what the frame itself says, mostly nothing.
    """

    generation: str
    encoding: str
    payload: bytes
    identity: str
    imsi: str = ""
    model: str = ""
    data: int = 0
    version: int | None = None
    battery: int | None = None
    signal: int | None = None


def parse(data: bytes) -> DraginoFrame | str:
    """Parse a frame; returns what was expected, in one line, if the bytes are none."""
    text = data.strip(BLANK)
    if text[:1] == b"{":
        return _json(text)
    if data.startswith(_KW):
        return _kw(data)
    encoding = "raw"
    if _HEX_TEXT.fullmatch(text) and len(text) % 2 == 0:
        data = bytes.fromhex(text.decode("ascii"))
        encoding = "asciihex"
        if data.startswith(_KW):
            return _kw(data, encoding)
    return _binary(data, encoding)


def _binary(data: bytes, encoding: str) -> DraginoFrame | str:
    if len(data) < SMALLEST:
        return f"expected a Dragino frame of at least {SMALLEST} bytes, got {len(data)}"
    imsi = ""
    if data[0] >> 4 == 0xF:
        generation, start = "G1", 8
        identity = data[:8].hex()[1:]
        if len(data) > 8 and data[8] >> 4 == 0xF:
            # a G1 version word is 00xx, so a nibble f here is an IMSI
            generation, start = "G2", 16
            imsi = data[8:16].hex()[1:].rstrip("f")
    else:
        generation, start = "G0", 6
        identity = data[:6].hex()
    if not identity.isdecimal() or not (imsi or "0").isdecimal():
        return f"expected a Dragino frame beginning with the digits of an IMEI, got {data[:8].hex()}"
    if len(data) < start + 5:
        return f"expected the {start + 5} bytes of a {generation} header, got {len(data)}"
    version, battery = (int.from_bytes(data[at : at + 2], "big") for at in (start, start + 2))
    signal = data[start + 4]
    if generation == "G0" and (battery > _FULL or signal not in _SIGNALS):
        # without the nibble f, other bytes than frames begin with digits too, such as text
        return f"expected a G0 frame's battery in mV and CSQ at offset 8, got {battery} and {signal}"
    return DraginoFrame(
        generation,
        encoding,
        data,
        identity,
        imsi,
        data=start + 5,
        version=version,
        battery=battery,
        signal=signal,
    )


def _json(data: bytes) -> DraginoFrame | str:
    # Dragino's records are {1,4,…}, which is no JSON: the few common fields are looked up as text
    found = _IMEI.search(data)
    if found is None:
        return 'expected "IMEI" with 12 to 16 digits in Dragino\'s JSON'
    imsi, model = _IMSI.search(data), _MODEL.search(data)
    return DraginoFrame(
        "JSON",
        "text",
        data,
        found[1].decode(),
        imsi[1].decode() if imsi else "",
        model[1].decode() if model else "",
    )


def _kw(data: bytes, encoding: str = "raw") -> DraginoFrame | str:
    size = kw_size(data)
    if not size or len(data) < size:
        return f"expected the {size or 'length'} bytes of a KW frame, got {len(data)}"
    identity = data[6:21].decode("ascii", "replace")
    if data[size - 3 : size] != _KW_TAIL or not (identity.isascii() and identity.isdecimal()):
        return "expected a KW frame with an IMEI of 15 digits and the tail IOT"
    return DraginoFrame("KW", encoding, data[:size], identity, model="NDS01", data=21)


def kw_size(data: bytes | bytearray) -> int:
    """The whole size of the KW frame at the start: the length counts what is between device type and tail."""
    return 6 + data[4] + 3 if len(data) > 4 else 0
