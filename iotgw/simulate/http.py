"""A simulated device that posts its readings over HTTP/1.1 and closes."""

from __future__ import annotations

import random

from iotgw.simulate.device import Reaction
from iotgw.simulate.plain import JsonSensor


class HttpSensor(JsonSensor):
    """`JsonSensor` over ``POST``. ``path`` is that of the upload, such as ``/i/demo-http``."""

    patience = 10.0

    def __init__(self, rng: random.Random, path: str = "/i/demo-http") -> None:
        super().__init__(rng)
        self._path = path
        self._heard = b""

    def uplink(self, now_ms: int) -> bytes:
        """A request."""
        self._heard = b""
        body = super().uplink(now_ms)
        head = (
            f"POST {self._path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """2xx is the gateway's word; a body is a downlink."""
        self._heard += data
        head, ended, body = self._heard.partition(b"\r\n\r\n")
        if not ended:
            return Reaction()
        return Reaction(
            is_done=True, is_answer=head.split(b" ")[1:2][0][:1] == b"2", downlinks=int(bool(body))
        )
