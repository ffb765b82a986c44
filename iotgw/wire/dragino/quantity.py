"""The quantities in a model's data, and how surprising a value is for each of them.

Surprise is self-information: minus the logarithm of how likely a value is, in bits. The model that makes
a frame the least surprising is the likeliest one to have sent it. The likelihoods are rough: they tell usual
values from possible ones, and an impossible value costs more than meaningless bytes would.
"""

from __future__ import annotations

from math import log2

from msgspec import Struct

NOTHING = 2.0
"""Surprise of a zero or a missing probe, which are common for any quantity; in bits."""
RARE = 6.0
"""Extra bits for a value that is possible but unusual."""
IMPOSSIBLE = 16.0
"""Extra bits for an impossible value."""
MISSING = 0xFFFF
"""A temperature's raw value without a probe."""


class Quantity(Struct, frozen=True):
    """One number of ``size`` bytes: raw values ``low`` to ``high`` are usual, ``least`` to ``most`` possible.

    ``is_count`` says that small numbers are likelier than large ones, ``is_temperature`` that a leading
    nibble F is a minus.
    """

    name: str
    size: int
    low: int
    high: int
    least: int = 0
    most: int = 0
    is_count: bool = False
    is_temperature: bool = False

    def value(self, raw: int) -> int:
        """The number in these bytes."""
        if self.is_temperature and raw >= 0xF000:
            # some firmware sends sign and magnitude, some two's complement: take the value nearer to zero
            return -min(raw & 0x0FFF, 0x10000 - raw)
        return raw

    def surprise(self, raw: int, before: int | None = None) -> float:
        """Surprise of a raw value in bits; low if it is near the value ``before`` it."""
        if self.size == 1 and self.high - self.low <= 1:
            # a flag, or a byte that is always the same
            return float(self.high - self.low) if self.low <= raw <= self.high else 8 + IMPOSSIBLE
        if not raw or (self.is_temperature and raw == MISSING):
            return NOTHING
        value = self.value(raw)
        if self.is_count:
            bits = _integer(value)
        elif self.low <= value <= self.high:
            bits = log2(self.high - self.low + 1)
        elif self.least <= value <= self.most:
            bits = log2(self.most - self.least + 1) + RARE
        else:
            return 8 * self.size + IMPOSSIBLE
        if before is None:
            return bits + 1
        return min(bits + 1, _integer(abs(value - before)) + 2)


def _integer(number: int) -> float:
    """Surprise in bits if only this is known: small numbers are likelier (as in Elias's delta code)."""
    bits = log2(number + 1)
    return bits + 2 * log2(bits + 1)


def flag(name: str) -> Quantity:
    """A byte that is 0 or 1."""
    return Quantity(name, 1, 0, 1)


def count(name: str, size: int) -> Quantity:
    """A number of times, or of minutes."""
    return Quantity(name, size, 0, (1 << 8 * size) - 1, is_count=True)


def temperature(name: str, divisor: int = 10) -> Quantity:
    """A temperature outdoors or in the soil; -40 to 125 °C are possible."""
    return Quantity(name, 2, -20 * divisor, 50 * divisor, -40 * divisor, 125 * divisor, is_temperature=True)
