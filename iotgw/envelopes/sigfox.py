"""SigFox's callbacks on an ``http`` datasource (``profile: sigfox``): who speaks, and when it listens.

A device that asks for a downlink (``ack``) gets one of 8 bytes in the answer to its callback. That is an
offer: the network sends it some seconds later, and the callback SERVICE/ACKNOWLEDGE tells with an ``infoCode``
what became of it (support.sigfox.com/docs/bidir, /docs/acknowledge).
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from iotgw.core import plain_json
from iotgw.core.model import Downlink

PAYLOAD = 8
"""Bytes of every downlink."""
ACKED = 0
PENDING = 5
"""Not over yet."""
OUTCOMES = (
    "acknowledged", "no answer", "invalid payload", "overrun of the downlinks", "network error", "pending",
    "no contract for downlinks", "too many requests", "base station reconfigured",
)  # fmt: skip
"""What an ``infoCode`` means, where SigFox sends no ``infoMessage``."""


class Callback(Struct, frozen=True, rename="camel"):
    """What is read of a callback; its template is the user's, with these names."""

    device: Annotated[str, Meta(min_length=1, max_length=64)]
    ack: bool | str = False
    info_code: int | None = None
    info_message: str = ""

    @property
    def listens(self) -> bool:
        """Whether the answer may carry a downlink."""
        return self.ack is True or str(self.ack).lower() == "true"

    @property
    def reason(self) -> str:
        """What became of an offer, in words."""
        code = self.info_code or 0
        known = OUTCOMES[code] if 0 <= code < len(OUTCOMES) else "unknown"
        return f"SigFox: {self.info_message or known} (infoCode {code})"


def fits(item: Downlink) -> bool:
    """Whether SigFox takes an item."""
    return len(item.payload) == PAYLOAD


def read(payload: bytes) -> Callback:
    """A callback. Raises ValueError when it is none."""
    try:
        return plain_json.decode(payload, Callback, strict=False)
    except plain_json.NotJson as error:
        raise ValueError(
            f'expected a SigFox callback such as {{"device": "{{device}}", "data": "{{data}}", "ack": {{ack}}}}: {error}'
        ) from error


def reply(items: list[tuple[str, Downlink]]) -> bytes:
    """The answer that carries an item for each of these devices."""
    return msgspec.json.encode({device: {"downlinkData": item.payload.hex()} for device, item in items})
