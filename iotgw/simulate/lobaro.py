"""A simulated Lobaro wMBus gateway over its legacy UDP: one CBOR envelope per datagram, never answered."""

from __future__ import annotations

import random

import cbor2

from iotgw.simulate.device import Reaction, imei, walk

_TELEGRAM = bytes.fromhex("49449344790501883408780dff5f350082670035c8bf55ad3c5b1ed6661c65940b88f47f")


class LobaroGateway:
    """One gateway."""

    patience = 0.0

    def __init__(self, rng: random.Random) -> None:
        self.identity = imei(rng, "35266509")
        self._rng = rng
        self._counter = 0
        self._celsius = rng.uniform(10, 25)

    def uplink(self, now_ms: int) -> bytes:
        """A telegram that it heard."""
        self._counter += 1
        self._celsius = walk(self._rng, self._celsius, 0.3, -10, 45)
        data = {
            "rssi": self._rng.randrange(-105, -50),
            "vbat": self._rng.randrange(3400, 3700),
            "telegram": _TELEGRAM,
            "timestamp": now_ms // 1000,
            "temperature": round(self._celsius * 10),
        }
        return cbor2.dumps({"d": data, "i": self.identity, "n": self._counter})

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Nothing is expected."""
        return Reaction(is_done=True, is_answer=True, downlinks=1)
