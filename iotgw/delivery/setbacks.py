"""Who was in flight when the target was down: to find the one message that brings it down."""

from __future__ import annotations

from collections.abc import Sequence

SUSPECT = 3
"""A record that so often found the target down while others got through is suspected itself."""


class Setbacks:
    """Counts, per position, how often the target was down for it although others were delivered in between."""

    def __init__(self) -> None:
        self._found: dict[int, tuple[int, int]] = {}

    def note(self, seq: int, delivered: int) -> bool:
        """It found the target down; ``delivered`` is the number of all deliveries until now. True when it
        is to be suspected."""
        count, before = self._found.get(seq, (0, -1))
        if before == delivered:
            return False  # the target was down for everybody since
        self._found[seq] = (count + 1, delivered)
        return count + 1 >= SUSPECT

    def forget(self, seqs: Sequence[int]) -> None:
        """These came to an end."""
        if self._found:
            for seq in seqs:
                self._found.pop(seq, None)
