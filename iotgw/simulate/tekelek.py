"""A simulated TEK 811: an ultrasonic sensor over a tank that is slowly emptied and sometimes filled.

It sends its logger, and answers commands as the manual says: S-registers, sampling buffer, status, position.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime

from iotgw.simulate.device import Reaction, imei, walk
from iotgw.wire.tekelek import crc16

PRODUCT = 7
HARDWARE = 0x21
FIRMWARE = 0x23
ALWAYS_ACTIVE = 0x80
RTC_SET = 0x20


def frame(
    identity: str, message_type: int, body: bytes, contact: int = 1, csq: int = 20, battery: int = 19
) -> bytes:
    """A whole frame of a TEK 811; ``body`` is what stands between header and CRC."""
    size = len(body) + 2
    header = bytes((PRODUCT, HARDWARE, FIRMWARE, contact, ALWAYS_ACTIVE, csq, RTC_SET | battery & 0x1F))
    header += bytes.fromhex(f"0{identity}") + bytes((message_type | size >> 8 << 6, size & 0xFF))
    return header + body + crc16(header + body).to_bytes(2, "big")


class TekelekSensor:
    """One TEK 811."""

    patience = 60.0

    def __init__(self, rng: random.Random) -> None:
        self.identity = imei(rng)
        self._rng = rng
        self._ullage = rng.uniform(40, 180)
        self._celsius = rng.uniform(5, 20)
        self._count = rng.randrange(1000)
        self._battery = rng.randrange(10, 25)
        self._csq = rng.randrange(8, 31)
        self._history: list[bytes] = []
        self._registers = {"S0": "84", "S1": "05", "S2": "7F2000", "S3": "82", "S11": "TEK811", "S18": "200"}
        self._line = b""

    def uplink(self, now_ms: int) -> bytes:
        """The scheduled upload of its logger."""
        self._measure()
        return self._logger(4, now_ms, contact=1)

    def _measure(self) -> None:
        rng = self._rng
        self._ullage = (
            rng.uniform(20, 60) if self._ullage > 190 else walk(rng, self._ullage + 0.5, 1, 15, 195)
        )
        self._celsius = walk(rng, self._celsius, 0.5, -20, 40)
        value = int(self._ullage)
        quality = rng.choice((8, 9, 10, 10))
        sample = bytes(
            (rng.randrange(7, 11), round((self._celsius + 30) * 2), quality << 2 | value >> 8, value & 0xFF)
        )
        self._history = [sample, *self._history[:27]]

    def _logger(self, message_type: int, now_ms: int, contact: int) -> bytes:
        clock = datetime.fromtimestamp(now_ms / 1000, UTC)
        self._count = (self._count + 1) & 0xFFFF
        slots = self._history if message_type == 4 else self._history[:10]
        head = self._count.to_bytes(2, "big") + bytes(
            (0x60 | clock.hour, 0, 0, max(0, 69 - 2 * self._csq), 0x84, 3, clock.minute)
        )
        body = head + b"".join(slots).ljust(112, b"\x00")
        return self._frame(message_type, body, contact)

    def _frame(self, message_type: int, body: bytes, contact: int = 4) -> bytes:
        return frame(self.identity, message_type, body, contact, self._csq, self._battery)

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """Does what a line of commands asks for."""
        self._line += data
        line, ended, self._line = self._line.rpartition(b"\r\n")
        if not ended:
            return Reaction()
        send, is_done, count = b"", False, 0
        for command in line.decode("ascii", "replace").replace("\r\n", ",").split(",")[1:]:
            name, _, value = command.partition("=")
            if (name, value) in (("R1", "80"), ("R6", "03")):
                is_done = True
            elif (name, value) != ("R3", "ACTIVE") and name != "Z":
                count += 1
                send += self._answer(name, value, now_ms)
        return Reaction(send, is_done, is_done, count)

    def _answer(self, name: str, value: str, now_ms: int) -> bytes:
        if name.startswith("S"):
            self._registers[name] = value
        elif name == "R1" and value in ("01", "20"):
            return self._logger(4 if value == "01" else 8, now_ms, contact=4)
        elif name == "R1" and value in ("02", "04", "08"):
            text = ",".join(f"{key}={held}" for key, held in self._registers.items())
            return self._frame(6, text.encode("ascii"))
        elif name == "R1" and value == "40":
            return b"RDY,0"
        elif name == "R6" and value == "02":
            return self._frame(
                16, b',89882390000150984717,BG96MAR02A07M1G,"4G","20810","LTE BAND 20",6300,-89,'
            )
        elif name == "R7":
            stamp = datetime.fromtimestamp(now_ms / 1000, UTC)
            time, date = stamp.strftime("%H%M%S.0"), stamp.strftime("%d%m%y")
            text = f",35,{time},5255.9950N,00832.4417E,1.1,38.0,3,0.00,0.0,0.0,{date},07,"
            return self._frame(17, text.encode("ascii"))
        return b""
