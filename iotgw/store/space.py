"""How much a journal keeps, and whether there is room in it."""

from __future__ import annotations

from msgspec import Struct


class JournalLimits(Struct):
    """How much the journal keeps: age in milliseconds, size in bytes.

    Beyond ``max_bytes`` the oldest records go, except those that an integration or a converter still waits for. When
    these alone take more, the journal is *short* of room: integrations are asked to give up their oldest. What can't be
    given up may take up to ``ceiling`` times as much, and ``slack`` bytes more at least: giving up takes a moment, in which
    uplinks go on. Then the journal has no more room.
    """

    max_age_ms: int = 7 * 86_400_000
    max_bytes: int = 2 << 30
    ceiling: float = 2.0
    slack: int = 8 << 20

    @property
    def most(self) -> int:
        """The size in bytes at which the journal has no more room."""
        return max(int(self.max_bytes * self.ceiling), self.max_bytes + self.slack)


class Space(Struct, frozen=True):
    """Whether there is room in the journal.

    ``full``: even the ceiling is exceeded, and nothing may be deleted. ``short``: before there is room, integrations have
    to give up all telemetry up to this position; 0 while there is room.
    """

    full: bool = False
    short: int = 0
