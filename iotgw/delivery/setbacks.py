"""Which records were in flight when the target went down, to find a message that brings it down."""

from __future__ import annotations

from collections.abc import Sequence

SUSPECT = 3
"""A record becomes suspect when the target was down for it this often while others got through."""


class Setbacks:
    """Counts, per position, how often the target was down for it although others were delivered in between."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int]] = {}

    def note(self, seq: int, delivered: int) -> bool:
        """The target was down for a record; ``delivered`` is the number of all deliveries so far. Returns True
        if the record is suspect."""
        count, before = self._found.get(seq, (0, -1))
        if before == delivered:
            return False  # the target has been down for all records since
        self._found[seq] = (count + 1, delivered)
        return count + 1 >= SUSPECT

    def forget(self, seqs: Sequence[int]) -> None:
        """These records are settled."""
        if self._found:
            for seq in seqs:
                self._found.pop(seq, None)
