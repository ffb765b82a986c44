"""A batch of uplinks on its way through a converter."""

from __future__ import annotations

from iotgw.core.model import Conversion, Job, Outcome, StoredUplink


class ConversionBatch:
    """Uplinks under conversion. ``outcomes`` and ``receipts`` are set when the conversions are back. An uplink that is
    only stored has no outcome."""

    __slots__ = ("debugged", "last", "outcomes", "receipts", "refused", "uplinks")

    def __init__(self, uplinks: list[StoredUplink]) -> None:
        self.uplinks = uplinks
        self.last = uplinks[-1].seq
        """The last position that must be durable before any outcome of the batch counts."""
        self.refused: set[int] = set()
        self.outcomes: list[Outcome] | None = None
        self.receipts: list[tuple[Job, Conversion]] = []
        self.debugged: list[tuple[Job, Conversion]] = []
        """Those of which everything is kept."""

    def refuse(self, positions: set[int]) -> None:
        """Note that the journal refused the uplinks at these positions."""
        self.refused |= positions.intersection([stored.seq for stored in self.uplinks])
        self.last = max([stored.seq for stored in self.uplinks if stored.seq not in self.refused], default=0)

    def forget_refused(self) -> None:
        """Drop the uplinks that the journal refused, with whatever their conversion made."""
        refused = self.refused
        assert self.outcomes is not None
        self.uplinks = [stored for stored in self.uplinks if stored.seq not in refused]
        self.outcomes = [outcome for outcome in self.outcomes if outcome.seq not in refused]
        self.receipts = [receipt for receipt in self.receipts if receipt[0].seq not in refused]
        self.debugged = [pair for pair in self.debugged if pair[0].seq not in refused]
