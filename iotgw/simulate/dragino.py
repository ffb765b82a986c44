"""A simulated NDDS75: distance in mm with eight records of history, as raw bytes (generation G1)."""

from __future__ import annotations

import random

from iotgw.simulate.device import Reaction, imei, walk

INTERVAL = 900


class DraginoNode:
    """One NDDS75."""

    patience = 3.0

    def __init__(self, rng: random.Random) -> None:
        self.identity = imei(rng, "86778705")
        self._rng = rng
        self._distance = rng.uniform(300, 4000)
        self._battery = rng.randrange(3100, 3600)
        self._signal = rng.randrange(5, 31)
        self._interval = INTERVAL

    def uplink(self, now_ms: int) -> bytes:
        """A frame: the distance now, and eight before."""
        now = now_ms // 1000
        readings = []
        for _ in range(9):
            self._distance = walk(self._rng, self._distance, 15, 280, 7500)
            readings.append(round(self._distance).to_bytes(2, "big"))
        header = bytes.fromhex(f"f{self.identity}") + b"\x00\x98"
        header += self._battery.to_bytes(2, "big") + bytes((self._signal, 1, 0))
        records = (
            reading + (now - place * self._interval).to_bytes(4, "big")
            for place, reading in enumerate(reversed(readings))
        )
        return header + b"".join(records)

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Takes a downlink: ``01`` sets the interval, in seconds."""
        if data[:1] == b"\x01" and len(data) == 4:
            self._interval = max(60, int.from_bytes(data[1:], "big"))
        return Reaction(is_done=True, is_answer=True, downlinks=1)
