"""What a simulated device is: bytes out, bytes in. It knows no socket and no clock; the runner has both."""

from __future__ import annotations

import random
from typing import Protocol

from msgspec import Struct


class Reaction(Struct, frozen=True):
    """What a device does about what it heard: bytes to send, and whether it has heard enough."""

    send: bytes = b""
    is_done: bool = False
    is_answer: bool = False
    """Whether this was the server's word that the uplink arrived."""
    downlinks: int = 0
    """How many commands it was given."""
    error: str = ""
    """Why it gives up, in one line."""
    also: tuple[bytes, ...] = ()
    """Further datagrams, after what it sends."""


class Device(Protocol):
    """One simulated device."""

    @property
    def identity(self) -> str:
        """Its IMEI or name."""

    @property
    def patience(self) -> float:
        """Seconds that it listens after its last word."""

    def uplink(self, now_ms: int) -> bytes:
        """What it sends now."""

    def received(self, data: bytes, now_ms: int) -> Reaction:
        """What it does about bytes from the server."""


def imei(rng: random.Random, tac: str = "86643000") -> str:
    """A made-up IMEI with a right check digit (3GPP TS 23.003 annex B)."""
    body = tac + f"{rng.randrange(10**6):06}"
    total = 0
    for place, digit in enumerate(body):
        value = int(digit) * (1 + place % 2)
        total += value // 10 + value % 10
    return body + str(-total % 10)


def walk(rng: random.Random, value: float, step: float, low: float, high: float) -> float:
    """The next value of a random walk between two walls."""
    return min(high, max(low, value + rng.uniform(-step, step)))
