"""The names of records of several partitions, which a target gets together. Their positions are places (`iotgw.core.places`), and so are those of their uplinks."""

from __future__ import annotations

from msgspec.structs import replace

from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import Part
from iotgw.core.places import part_of, place, seq_of

_NONE = 1 << 100
"""Higher than every place: nobody makes a name of a place by himself."""


def placed(record: TelemetryRecord, part: int) -> TelemetryRecord:
    """A record of a partition, by its place. A test message, which has none, stays as it is."""
    if record.seq < 0:
        return record
    return replace(
        record, seq=place(part, record.seq), uplink=place(part, record.uplink) if record.uplink else 0
    )


def original(record: TelemetryRecord) -> TelemetryRecord:
    """The record, or part of one, that is called so in its partition."""
    if record.seq < 0:
        return record
    if isinstance(record, Part):
        return replace(record, whole=original(record.whole))
    return replace(record, seq=seq_of(record.seq), uplink=seq_of(record.uplink))


class PlacedEpochs(Epochs):
    """``parts`` are the epochs of each partition's journal; ``own`` are those by which what has no place is called."""

    def __init__(self, own: Epochs, parts: dict[int, Epochs]) -> None:
        self._own = own
        self._parts = parts
        self.current = own.current
        self.uplink = self.telemetry = _NONE

    def _of(self, position: int) -> Epochs:
        return self._parts.get(part_of(position), self._own) if position > 0 else self._own

    def of_uplink(self, seq: int) -> str:
        """See `Epochs.of_uplink`."""
        return self._of(seq).of_uplink(seq_of(seq) if seq > 0 else seq)

    def of_telemetry(self, seq: int) -> str:
        """See `Epochs.of_telemetry`."""
        return self._of(seq).of_telemetry(seq_of(seq) if seq > 0 else seq)

    def message_id(self, seq: int) -> str:
        """See `Epochs.message_id`."""
        return self._of(seq).message_id(seq_of(seq) if seq > 0 else seq)

    def id_of(self, record: TelemetryRecord) -> str:
        """See `Epochs.id_of`."""
        return self._of(record.seq).id_of(original(record))

    def key(self, record: TelemetryRecord) -> str:
        """See `Epochs.key`."""
        return self._of(record.seq).key(original(record))

    def number(self, record: TelemetryRecord) -> str:
        """See `Epochs.number`."""
        return self._of(record.seq).number(original(record))

    def knows(self, epoch: str) -> bool:
        """See `Epochs.knows`."""
        return any(epochs.knows(epoch) for epochs in [self._own, *self._parts.values()])

    def position(self, id: str) -> int | None:
        """See `Epochs.position`."""
        return self._own.position(id)
