"""A simulated device that posts its readings over coaps: a DTLS handshake with a pre-shared key, then CoAP."""

from __future__ import annotations

import random

from msgspec import Struct

from iotgw.dtls.client import PskClient
from iotgw.simulate.coap import CoapSensor
from iotgw.simulate.device import Reaction


class Key(Struct, frozen=True):
    """A PSK identity, in which ``{id}`` becomes the device's name, and its secret."""

    identity: str
    secret: bytes


class CoapsSensor(CoapSensor):
    """`CoapSensor` with a session for each reading, as of a device that slept in between."""

    def __init__(self, rng: random.Random, key: Key, path: str = "/i/demo-coap") -> None:
        super().__init__(rng, path)
        self._key = key
        self._session: PskClient | None = None
        self._request = b""

    def uplink(self, now_ms: int) -> bytes:
        """The ClientHello; the request follows when the handshake is done."""
        self._request = super().uplink(now_ms)
        identity = self._key.identity.replace("{id}", self.identity)
        self._session = PskClient(identity.encode(), self._key.secret)
        return self._session.outgoing()

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Go on with the handshake, then with CoAP, and say goodbye when the gateway has the reading."""
        session = self._session
        if session is None:
            return Reaction()
        plaintexts = session.feed(data)
        if session.done and self._request:
            session.write(self._request)
            self._request = b""
        is_done, is_answer, downlinks = session.closed, False, 0
        for plaintext in plaintexts:
            reaction = super().received(plaintext, now_ms)
            if reaction.send:
                session.write(reaction.send)
            is_done |= reaction.is_done
            is_answer |= reaction.is_answer
            downlinks += reaction.downlinks
        if is_done:
            session.close()
        return Reaction(session.outgoing(), is_done, is_answer, downlinks, session.problem)
