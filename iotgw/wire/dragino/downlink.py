"""Downlinks to a Dragino node: a few bytes, in the form that its transport wants.

G1 on TCP and UDP takes raw bytes (at most 10 are kept by the firmware); MQTT and CoAP take hexadecimal
text; G2 and G3 also take AT commands as text.
"""

from __future__ import annotations

from typing import Literal

Encoding = Literal["raw", "asciihex", "text"]


def encode_downlink(payload: bytes, encoding: Encoding = "raw") -> bytes:
    """The bytes that go out.

    ``raw`` sends the payload as it is, ``asciihex`` as upper-case hexadecimal text. ``text`` wraps AT
    commands as newer firmware expects them: ``{"Config":"[AT+TDC=90;ATZ]"}``; text that is wrapped
    already, or that isn't an AT command, goes out as it is.
    """
    if encoding == "asciihex":
        return payload.hex().upper().encode("ascii")
    if encoding == "text" and payload[:2].upper() == b"AT" and b'"' not in payload:
        return b'{"Config":"[' + payload.strip() + b']"}'
    return payload
