"""How much there is of everything, second by second."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from zope.interface import Interface

Counted = Literal["datasource", "integration"]
FIGURES: dict[Counted, tuple[str, ...]] = {
    "datasource": ("received", "converted", "filtered", "failed", "refused", "waiting"),
    "integration": ("queued", "delivered", "expired", "dead", "dropped", "waiting"),
}
"""What is counted of each kind. The last figure is how many there are at a time, all others only grow, as a rule."""
FINE, COARSE = 1, 60
"""Seconds of a step, for a short time and for a longer one."""
FINE_STEPS, COARSE_STEPS = 300, 1440
STEPS = (1, 10, 60, 600, 3600)
"""Steps that can be asked for, in seconds."""


class Figures(Struct, frozen=True, gc=False):
    """What one thing has counted by now: a figure for each name in `FIGURES`."""

    kind: Counted
    tenant: str
    id: str
    name: str
    figures: tuple[int, ...]


class ISampled(Interface):
    """What counts: a room."""

    def samples() -> list[Figures]:
        """What each of its things has counted."""


class IRates(Interface):
    """How figures grew, in memory, since the start."""

    def points(kind: Counted, id: str, step: int, first: int, count: int) -> dict[str, list[int | None]]:
        """How much each figure grew in ``count`` steps of ``step`` seconds (one of `STEPS`); of the last figure, what it was at the end. The first
        begins at ``first``, in seconds of gateway time. None where that is not known."""
