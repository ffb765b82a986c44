"""Simulated LwM2M devices: thermometers (3303) that register, send a temperature, and answer what they are asked."""

from __future__ import annotations

import random
from typing import Final

from iotgw.core.errors import ProtocolError
from iotgw.simulate.device import Reaction, imei, walk
from iotgw.simulate.lwm2m_objects import FETCH, TEMPERATURE, DeviceAnswer, Lwm2mObjects
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, decode, encode, options, uri_options
from iotgw.wire.lwm2m import formats
from iotgw.wire.lwm2m.node import Node

LINKS = b'</>;rt="oma.lwm2m";ct="60 110 112 11542 11543",</1/0>,</3/0>,</5/0>,</3303/0>'
FAULTS: Final[dict[str, str]] = {
    "silence": "answers nothing that it is asked",
    "address": "updates its registration from another port each time, instead of registering",
    "formats": "answers in a format that isn't the one that it names",
    "non": "notifies what is observed by non-confirmable messages, twice and out of order",
}
PATIENCE = 3.0


class Lwm2mThermometer:
    """Registers with each uplink, since its address is another one each time, and sends its temperature (``/dp``) when it is
    registered. It can be read, observed (it answers with its present value), written, restarted and updated. ``path`` stands before ``rd``.
    It ``stays`` for so many seconds after it has said all, and has one of the `FAULTS`."""

    def __init__(self, rng: random.Random, path: str = "", fault: str = "", stay: float = 0.0) -> None:
        self.identity = f"urn:imei:{imei(rng)}"
        self.patience = PATIENCE + stay
        self._stays = stay > 0
        self._fault = fault
        self._rng = rng
        self._path = path.strip("/")
        self._objects = Lwm2mObjects(rng.uniform(15, 25))
        self._message_id = rng.randrange(1 << 16)
        self._has_sent = False
        self._location = ""

    @property
    def executed(self) -> int:
        """How often it was restarted."""
        return self._objects.executed

    @property
    def image(self) -> bytes:
        """The firmware that it was given."""
        return bytes(self._objects.image)

    def uplink(self, now_ms: int) -> bytes:
        """A registration, or an update of it."""
        self._objects.celsius = walk(self._rng, self._objects.celsius, 0.4, -20, 45)
        self._has_sent = False
        if self._fault == "address" and self._location:
            return self._request(n.POST, self._location)
        whole = f"{self._path}/rd" if self._path else "rd"
        query = f"?ep={self.identity}&lt=300&lwm2m=1.1&b=U"
        return self._request(n.POST, whole + query, LINKS, n.LINK_FORMAT)

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Once it is registered, it sends; once that is taken, it has said all. Requests are answered."""
        try:
            message = decode(data)
        except ProtocolError:
            return Reaction()
        if not message.code:
            is_ping = message.type == n.CON and self._fault != "silence"  # RFC 7252 §4.3
            return Reaction(encode(n.RST, n.EMPTY, message.mid)) if is_ping else Reaction()
        if message.code < n.CREATED:
            return Reaction() if self._fault == "silence" else self._asked(message)
        acknowledged = encode(n.ACK, n.EMPTY, message.mid) if message.type == n.CON else b""
        if message.token == FETCH:
            return self._fetched(message)
        if message.code == n.NOT_FOUND and self._location:
            self._location = ""  # the gateway doesn't know it any more
            return Reaction(self.uplink(now_ms))
        if message.code >= n.BAD_REQUEST:
            return Reaction(acknowledged, True, error=f"the gateway answered {n.dotted(message.code)}")
        if message.code == n.CREATED:
            self._location = "/".join(part.decode() for part in message.options.get_all(n.LOCATION_PATH))
        if not self._has_sent:
            self._has_sent = True
            pack = formats.encode(formats.SENML_CBOR, [self._reading()], TEMPERATURE)
            whole = f"{self._path}/dp" if self._path else "dp"
            return Reaction(self._request(n.POST, whole, pack, formats.SENML_CBOR))
        return Reaction(acknowledged, is_done=not self._stays, is_answer=True)

    def _reading(self) -> Node:
        return Node(TEMPERATURE, round(self._objects.celsius, 1))

    def _request(self, code: int, path: str, payload: bytes = b"", form: int | None = None) -> bytes:
        pairs = () if form is None else ((n.CONTENT_FORMAT, form),)
        mid = self._next()
        return encode(n.CON, code, mid, mid.to_bytes(2, "big"), options(*uri_options(path), *pairs), payload)

    def _next(self) -> int:
        self._message_id = (self._message_id + 1) & 0xFFFF
        return self._message_id

    def _asked(self, request: Message) -> Reaction:
        outcome = self._objects.answer(request)
        observes = outcome.code == n.CONTENT and request.options.get_uint(n.OBSERVE) == 0
        if self._fault == "formats" and outcome.code == n.CONTENT:
            outcome = DeviceAnswer(outcome.code, b"\xff{", ((n.CONTENT_FORMAT, formats.TLV),))
        pairs = (*outcome.pairs, (n.OBSERVE, 1)) if observes else outcome.pairs
        answer = encode(n.ACK, outcome.code, request.mid, request.token, options(*pairs), outcome.payload)
        also: tuple[bytes, ...] = ()
        if outcome.fetches >= 0:
            also = (self._objects.fetch(outcome.fetches, self._next()),)
        if observes and self._fault == "non":
            also = self._notifications(request, outcome)
        return Reaction(answer, downlinks=1, also=also)

    def _notifications(self, request: Message, outcome: DeviceAnswer) -> tuple[bytes, ...]:
        """A newer one, its copy, and one that it has overtaken."""
        made = [
            encode(n.NON, n.CONTENT, self._next(), request.token, options(*outcome.pairs, (n.OBSERVE, number)), outcome.payload)
            for number in (3, 2)
        ]  # fmt: skip
        return made[0], made[0], made[1]

    def _fetched(self, response: Message) -> Reaction:
        number = self._objects.fetched(response)
        return Reaction(self._objects.fetch(number, self._next()) if number >= 0 else b"")
