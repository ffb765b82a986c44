"""Who is told of which record: a target's records in flight, each with the ``settle`` that it came with."""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.ports.integrations import Settle
from iotgw.core.verdict import Verdict


class Settles:
    """Positions of records in flight. A send of a test message, or of a target's earlier settings, has a ``settle`` of its
    own."""

    def __init__(self) -> None:
        self._of: dict[int, Settle] = {}

    def __len__(self) -> int:
        """How many are in flight."""
        return len(self._of)

    def __contains__(self, seq: object) -> bool:
        """Whether a position is in flight."""
        return seq in self._of

    def put(self, seq: int, settle: Settle) -> None:
        """A record leaves."""
        self._of[seq] = settle

    def report(self, seqs: Iterable[int], verdict: Verdict) -> None:
        """These are settled. Positions that are not in flight are left out."""
        by: dict[Settle, list[int]] = {}
        for seq in seqs:
            settle = self._of.pop(seq, None)
            if settle is not None:
                by.setdefault(settle, []).append(seq)
        for settle, mine in by.items():
            settle(mine, verdict)

    def report_all(self, verdict: Verdict) -> None:
        """All are settled."""
        self.report(list(self._of), verdict)
