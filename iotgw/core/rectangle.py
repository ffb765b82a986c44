"""A rectangle on the Earth, in degrees (WGS 84)."""

from __future__ import annotations

import re

from msgspec import Struct

_NUMBER = r"-?[0-9]{1,3}(?:\.[0-9]{1,15})?"
TEXT = ",".join([_NUMBER] * 4)
"""What a rectangle's text matches: south, west, north, east."""


class Rectangle(Struct, frozen=True):
    """Its sides. One whose ``west`` is greater than its ``east`` lies across the date line."""

    south: float
    west: float
    north: float
    east: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether a point is in it, or on its sides."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east

    @property
    def height(self) -> float:
        """Degrees from south to north."""
        return self.north - self.south

    @property
    def width(self) -> float:
        """Degrees from west to east."""
        return self.east - self.west + (360 if self.west > self.east else 0)


WORLD = Rectangle(-90, -180, 90, 180)


def read(text: str) -> Rectangle:
    """The rectangle of ``south,west,north,east``. Raises ValueError."""
    if re.fullmatch(TEXT, text, re.ASCII) is None:
        raise ValueError(f"expected south,west,north,east in degrees, got {text[:100]!r}")
    south, west, north, east = map(float, text.split(","))
    if not -90 <= south <= north <= 90:
        raise ValueError(
            f"expected latitudes of -90 to 90, the southern one first, got {south:g} and {north:g}"
        )
    if not (-180 <= west <= 180 and -180 <= east <= 180):
        raise ValueError(f"expected longitudes of -180 to 180, got {west:g} and {east:g}")
    return Rectangle(south, west, north, east)
