"""Simulated devices of no vendor: a JSON document a time, for plain TCP, UDP and HTTP."""

from __future__ import annotations

import random

import msgspec

from iotgw.simulate.device import Reaction, walk


class JsonSensor:
    """A thermometer that sends ``{"deviceName", "temperature", "humidity", "ts"}`` and a line end."""

    patience = 1.0

    def __init__(self, rng: random.Random) -> None:
        self.identity = f"sensor-{rng.randrange(16**6):06x}"
        self._rng = rng
        self._celsius = rng.uniform(15, 25)
        self._humidity = rng.uniform(30, 60)

    def uplink(self, now_ms: int) -> bytes:
        """A reading."""
        self._celsius = walk(self._rng, self._celsius, 0.4, -20, 45)
        self._humidity = walk(self._rng, self._humidity, 1, 5, 95)
        reading = {
            "deviceName": self.identity,
            "deviceType": "simulated",
            "ts": now_ms,
            "temperature": round(self._celsius, 1),
            "humidity": round(self._humidity, 1),
        }
        return msgspec.json.encode(reading) + b"\n"

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Whatever comes back is a downlink."""
        return Reaction(is_answer=True, downlinks=1)
