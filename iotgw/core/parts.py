"""Parts of a record: what a target gets one by one of a record that is split.

A part is a record itself, with a body of its own, so that formats and templates need not know of it. Its key is that of its record,
with its number.
"""

from __future__ import annotations

from typing import Any, Literal

from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord

Split = Literal["device", "reading", "value", "entity"]
"""What a target gets in one request of its own: all that a message says of a device, one reading (the values of one time), one value
of one time, or one key with its readings."""
NAMED = ("value", "entity")
"""Splits whose parts have a key, and a value."""
MOST = 1 << 14
"""Parts of a record, and more than any has."""


class Part(TelemetryRecord, frozen=True, gc=False, kw_only=True):
    """Part ``number`` (from 1) of ``whole``. ``name`` is the key that it is about, if it is about one.

    ``seq`` is no position in the stream. No other part has it. ``shared`` is where those who work on parts keep what they made of the record, for its
    other parts.
    """

    number: int
    whole: TelemetryRecord
    shared: dict[Any, Any]
    name: str = ""


class PartEpochs(Epochs):
    """The names of parts, by those of their records. ``split`` is how they were split."""

    def __init__(self, epochs: Epochs, split: Split) -> None:
        self._of = epochs
        self.split = split
        self.current = epochs.current
        self.uplink = epochs.uplink
        self.telemetry = 1 << 62  # nobody makes a key of a part's position

    def of_uplink(self, seq: int) -> str:
        """See `Epochs.of_uplink`."""
        return self._of.of_uplink(seq)

    def of_telemetry(self, seq: int) -> str:
        """See `Epochs.of_telemetry`."""
        return self._of.of_telemetry(seq)

    def id_of(self, record: TelemetryRecord) -> str:
        """See `Epochs.id_of`."""
        return self._of.id_of(record.whole if isinstance(record, Part) else record)

    def key(self, record: TelemetryRecord) -> str:
        """The key of a part's record, a dot, and the part's number."""
        if not isinstance(record, Part):
            return self._of.key(record)
        whole = record.shared.get(self)
        if whole is None:
            whole = record.shared[self] = self._of.key(record.whole)
        return f"{whole}.{record.number}"

    def number(self, record: TelemetryRecord) -> str:
        """The same of `Epochs.number`."""
        if isinstance(record, Part):
            return f"{self._of.number(record.whole)}.{record.number}"
        return self._of.number(record)

    def position(self, id: str) -> int | None:
        """See `Epochs.position`."""
        return self._of.position(id)
