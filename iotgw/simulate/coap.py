"""Simulated devices that send their readings over CoAP, as confirmable messages: one of no vendor, and vendors'."""

from __future__ import annotations

import random

from iotgw.core.errors import ProtocolError
from iotgw.simulate.device import Device, Reaction
from iotgw.simulate.dragino import DraginoNode
from iotgw.simulate.lobaro import LobaroGateway
from iotgw.simulate.plain import JsonSensor
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import decode, encode, options, uri_options


class CoapDevice:
    """What ``device`` sends, as the payload of a request to ``path``."""

    patience = 3.0
    method = n.POST
    content_format = n.JSON

    def __init__(self, rng: random.Random, device: Device, path: str) -> None:
        self.identity = device.identity
        self._device = device
        self._path = path.lstrip("/")
        self._message_id = rng.randrange(1 << 16)

    def uplink(self, now_ms: int) -> bytes:
        """A request."""
        self._message_id = (self._message_id + 1) & 0xFFFF
        token = self._message_id.to_bytes(2, "big")
        opts = options(*uri_options(self._path), (n.CONTENT_FORMAT, self.content_format))
        return encode(n.CON, self.method, self._message_id, token, opts, self._payload(now_ms))

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """2.xx is the gateway's word; its payload is a downlink, and so is a request.

        What is confirmable is acknowledged.
        """
        try:
            message = decode(data)
        except ProtocolError:
            return Reaction()
        kind = message.code >> 5
        if not message.code:
            return Reaction()  # an empty acknowledgement: the response follows
        if not kind:
            self._downlink(message.payload, now_ms)
            send = encode(n.ACK, n.CHANGED, message.mid, message.token, options(), b"")
            return Reaction(send if message.type == n.CON else b"", downlinks=1)
        send = encode(n.ACK, 0, message.mid, b"", options(), b"") if message.type == n.CON else b""
        downlinks = int(kind == 2 and bool(message.payload))
        if downlinks:
            self._downlink(message.payload, now_ms)
        return Reaction(send, True, kind == 2, downlinks)

    def _payload(self, now_ms: int) -> bytes:
        return self._device.uplink(now_ms)

    def _downlink(self, payload: bytes, now_ms: int) -> None:
        self._device.received(payload, now_ms)


class CoapSensor(CoapDevice):
    """A `JsonSensor`. ``path`` is that of the upload, such as ``/i/demo-coap``."""

    def __init__(self, rng: random.Random, path: str = "/i/demo-coap") -> None:
        super().__init__(rng, JsonSensor(rng), path)

    def _payload(self, now_ms: int) -> bytes:
        return super()._payload(now_ms).strip()


class DraginoCoapNode(CoapDevice):
    """A `DraginoNode` with ``AT+PRO=1``: hexadecimal text in both directions."""

    method = n.PUT
    content_format = n.TEXT_PLAIN

    def __init__(self, rng: random.Random, path: str = "/mqtt/coap") -> None:
        super().__init__(rng, DraginoNode(rng), path)

    def _payload(self, now_ms: int) -> bytes:
        return super()._payload(now_ms).hex().encode()

    def _downlink(self, payload: bytes, now_ms: int) -> None:
        try:
            super()._downlink(bytes.fromhex(payload.decode("ascii")), now_ms)
        except ValueError:
            return  # no hexadecimal text: a node ignores it


class LobaroCoapGateway(CoapDevice):
    """A `LobaroGateway`: its envelope in CBOR."""

    content_format = n.CBOR

    def __init__(self, rng: random.Random, path: str = "/lobaro") -> None:
        super().__init__(rng, LobaroGateway(rng), path)
