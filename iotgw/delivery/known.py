"""What the stream brings again after a restart, or a seek, although it has come to an end or has a row of its own."""

from __future__ import annotations

from collections.abc import Iterable, Set


class Known:
    """Positions that don't count when they are met again: ``rows`` are parked records and dead letters; up to
    ``done`` all have come to an end but those that are still ``open``."""

    def __init__(self, rows: Set[int] = frozenset(), done: int = 0, open: Iterable[int] = ()) -> None:
        self._rows = rows
        self._open = frozenset(open)
        self.done = done
        self.until = max(done, max(rows, default=0))
        """Beyond it nothing is known."""

    def __contains__(self, seq: int) -> bool:
        return seq in self._rows or (seq <= self.done and seq not in self._open)

    def open_after(self, position: int) -> list[int]:
        """The open ones beyond a position, in order."""
        return sorted(seq for seq in self._open if seq > position)
