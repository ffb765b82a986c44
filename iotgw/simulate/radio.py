"""A LoRaWAN uplink as a network server has it, and what the server makes of it for others."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from msgspec import Struct


class RadioFrame(Struct, frozen=True):
    """An uplink as a network server has it: the device, its bytes, port, counter, and the time in ms since 1970."""

    eui: str
    payload: bytes
    counter: int
    now_ms: int
    rssi: int
    port: int = 2

    @property
    def iso(self) -> str:
        """The time in ISO 8601."""
        text = datetime.fromtimestamp(self.now_ms / 1000, UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")

    @property
    def base64(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.payload).decode()


class Post(NamedTuple):
    """What a platform posts: what follows the path of the upload, the body as JSON, and further headers."""

    rest: str
    body: Any
    headers: dict[str, str] = {}


Form = Callable[[RadioFrame], Post]
