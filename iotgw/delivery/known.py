"""Positions that the stream brings again after a restart or a seek, although they are settled or have a row."""

from __future__ import annotations

from collections.abc import Iterable, Set


class Known:
    """Positions to skip when the stream brings them again.

    ``rows`` are the positions of parked records and dead letters. Up to ``done``, everything is settled except the
    positions in ``open``."""

    def __init__(self, rows: Set[int] = frozenset(), done: int = 0, open: Iterable[int] = ()) -> None:
        self._rows = rows
        self._open = frozenset(open)
        self.done = done
        self.until = max(done, max(rows, default=0))
        """No known position lies beyond this one."""

    def __contains__(self, seq: int) -> bool:
        return seq in self._rows or (seq <= self.done and seq not in self._open)

    def open_after(self, position: int) -> list[int]:
        """The open positions after ``position``, in order."""
        return sorted(seq for seq in self._open if seq > position)
