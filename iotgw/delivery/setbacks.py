"""Counts which records were in flight when the target went down, to find one that brings it down."""

from __future__ import annotations

from collections.abc import Sequence

SUSPECT = 3
"""A record becomes suspect when the target was down for it this often, while others were delivered in between."""


class Setbacks:
    """Counts, for each position, how often the target was down although others were delivered in between."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int]] = {}

    def note(self, seq: int, delivered: int) -> bool:
        """The target was down for a record. ``delivered`` is the total number of deliveries so far. Returns True if the
        record is suspect."""
        count, before = self._found.get(seq, (0, -1))
        if before == delivered:
            return False  # nothing has been delivered since
        self._found[seq] = (count + 1, delivered)
        return count + 1 >= SUSPECT

    def forget(self, seqs: Sequence[int]) -> None:
        """Forget the counts of these positions."""
        if self._found:
            for seq in seqs:
                self._found.pop(seq, None)
