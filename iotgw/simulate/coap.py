"""A simulated device that posts its readings over CoAP, as confirmable messages."""

from __future__ import annotations

import random

from iotgw.errors import ProtocolError
from iotgw.simulate.device import Reaction
from iotgw.simulate.plain import JsonSensor
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options


class CoapSensor(JsonSensor):
    """`JsonSensor` over ``POST``. ``path`` is that of the upload, such as ``/i/demo-coap``."""

    patience = 3.0

    def __init__(self, rng: random.Random, path: str = "/i/demo-coap") -> None:
        super().__init__(rng)
        self._path = path.lstrip("/")
        self._message_id = rng.randrange(1 << 16)

    def uplink(self, now_ms: int) -> bytes:
        """A request."""
        self._message_id = (self._message_id + 1) & 0xFFFF
        token = self._message_id.to_bytes(2, "big")
        opts = options(*uri_options(self._path), (n.CONTENT_FORMAT, n.JSON))
        return encode(n.CON, n.POST, self._message_id, token, opts, super().uplink(now_ms).strip())

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """2.xx is the gateway's word; its payload is a downlink; a separate response is acknowledged."""
        try:
            message = decode(data)
        except ProtocolError:
            return Reaction()
        if not message.code:
            return Reaction()  # an empty acknowledgement: the response follows
        send = encode(n.ACK, 0, message.mid, b"", options(), b"") if message.type == n.CON else b""
        is_good = message.code >> 5 == 2
        return Reaction(send, True, is_good, int(is_good and bool(message.payload)))
