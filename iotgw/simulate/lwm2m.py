"""Simulated LwM2M devices: thermometers (3303) that register, send a temperature, and answer what they are asked."""

from __future__ import annotations

import random

from iotgw.core.errors import ProtocolError
from iotgw.simulate.device import Reaction, imei, walk
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, decode, encode, options, uri_options
from iotgw.wire.lwm2m import formats, paths
from iotgw.wire.lwm2m.node import Node
from iotgw.wire.lwm2m.values import CodecError, Value

LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3/0>,</3303/0>'
_VALUE = (3303, 0, 5700)


class Lwm2mThermometer:
    """Registers with each uplink, since its address is another one each time, and sends its temperature (``/dp``) when it is
    registered. It can be read, observed (it answers with its present value), written and restarted. ``path`` stands before ``rd``."""

    patience = 3.0

    def __init__(self, rng: random.Random, path: str = "") -> None:
        self.identity = f"urn:imei:{imei(rng)}"
        self._rng = rng
        self._path = path.strip("/")
        self._celsius = rng.uniform(15, 25)
        self._message_id = rng.randrange(1 << 16)
        self._has_sent = False
        self.executed = 0

    def uplink(self, now_ms: int) -> bytes:
        """A registration."""
        self._celsius = walk(self._rng, self._celsius, 0.4, -20, 45)
        self._has_sent = False
        return self._request(f"rd?ep={self.identity}&lt=300&lwm2m=1.1&b=U", LINKS, n.LINK_FORMAT)

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Once it is registered, it sends; once that is taken, it has said all. Requests are answered."""
        try:
            message = decode(data)
        except ProtocolError:
            return Reaction()
        if not message.code:
            return Reaction()
        if message.code < n.CREATED:
            return Reaction(self._answer(message), downlinks=1)
        acknowledged = encode(n.ACK, n.EMPTY, message.mid) if message.type == n.CON else b""
        if message.code >= n.BAD_REQUEST:
            return Reaction(acknowledged, True, error=f"the gateway answered {n.dotted(message.code)}")
        if message.code == n.CREATED and not self._has_sent:
            self._has_sent = True
            pack = formats.encode(formats.SENML_CBOR, [Node(_VALUE, round(self._celsius, 1))], _VALUE)
            return Reaction(self._request("dp", pack, formats.SENML_CBOR))
        return Reaction(acknowledged, is_done=True, is_answer=True)

    def _request(self, path: str, payload: bytes, form: int) -> bytes:
        self._message_id = (self._message_id + 1) & 0xFFFF
        whole = f"{self._path}/{path}" if self._path else path
        opts = options(*uri_options(whole), (n.CONTENT_FORMAT, form))
        return encode(n.CON, n.POST, self._message_id, self._message_id.to_bytes(2, "big"), opts, payload)

    def _answer(self, request: Message) -> bytes:
        code, payload, form = self._outcome(request)
        pairs: list[tuple[int, int]] = [] if form is None else [(n.CONTENT_FORMAT, form)]
        if code == n.CONTENT and request.options.get_uint(n.OBSERVE) == 0:
            pairs.append((n.OBSERVE, 1))
        return encode(n.ACK, code, request.mid, request.token, options(*pairs), payload)

    def _outcome(self, request: Message) -> tuple[int, bytes, int | None]:
        try:
            path = paths.parse("/".join(request.options.path))
        except CodecError:
            return n.BAD_REQUEST, b"", None
        nodes = [Node(place, value) for place, value in self._values().items() if place[: len(path)] == path]
        if request.code == n.POST and path == (3, 0, 4):
            self.executed += 1
            return n.CHANGED, b"", None
        if request.code == n.PUT and not request.payload and request.options.queries:
            return n.CHANGED, b"", None
        if request.code != n.GET:
            return n.METHOD_NOT_ALLOWED, b"", None
        if not nodes or not path:
            return n.NOT_FOUND, b"", None
        accept = request.options.get_uint(n.ACCEPT)
        if accept == n.LINK_FORMAT:
            return n.CONTENT, ",".join(f"<{paths.text(node.path)}>" for node in nodes).encode(), accept
        form = formats.SENML_CBOR if accept is None else accept
        try:
            return n.CONTENT, formats.encode(form, nodes, path), form
        except CodecError:
            return n.NOT_ACCEPTABLE, b"", None

    def _values(self) -> dict[paths.Path, Value]:
        return {
            (3, 0, 0): "iotgw",
            (3, 0, 1): "simulated thermometer",
            (3, 0, 9): 87,
            _VALUE: round(self._celsius, 1),
            (3303, 0, 5701): "Cel",
        }
