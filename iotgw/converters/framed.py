"""A device's own bytes, where an envelope has left them beside its message.

ThingsBoard's converters parse a platform's whole message. Those of the other dialects are made for the bytes that the
device sent: they get them from the metadata's ``frame`` (hexadecimal), dated by its ``time``.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

FRAME = b'"frame":'
"""What metadata with a frame has in it."""


class _Framed(Struct):
    frame: str | None = None
    time: int = 0


_framed = msgspec.json.Decoder(_Framed).decode


def unwrapped(metadata: bytes, received_ms: int) -> tuple[bytes, int] | None:
    """The device's bytes and their date in ms since 1970, which is ``received_ms`` where the metadata has none; None
    where the message is the device's own."""
    try:
        found = _framed(metadata)
        return None if found.frame is None else (bytes.fromhex(found.frame), found.time or received_ms)
    except (msgspec.MsgspecError, ValueError):
        return None
