"""The names that stored things have outside of the gateway: message ids and delivery keys.

A position alone is no name. A copy of the journal that is put back gives the positions after it to other messages.
So each start of a journal opens an *epoch* of its own, with a random name, and the journal keeps at which positions
each epoch began. A name is made of a position and of the epoch in which that position was given.
"""

from __future__ import annotations

import secrets
from bisect import bisect_left

from msgspec import Struct

from iotgw.core.model import TelemetryRecord
from iotgw.core.numbers import whole


def new_name() -> str:
    """A name for an epoch, such as no other has: 40 random bits in hexadecimal."""
    return secrets.token_hex(5)


class Epoch(Struct, frozen=True):
    """An epoch: uplinks after position ``uplink`` and telemetry after position ``telemetry`` are named by it, up to
    where the next epoch begins."""

    name: str
    uplink: int = 0
    telemetry: int = 0


class Epochs:
    """The epochs of one journal, oldest first; ``current`` is that of this process.

    Names of what this process stored cost two comparisons. Older epochs are found by bisection.
    """

    split = ""
    """How records are split into parts, where these are the names of parts (`iotgw.core.parts.PartEpochs`)."""

    def __init__(self, current: str = "") -> None:
        self.begin([], Epoch(current))

    def begin(self, earlier: list[Epoch], current: Epoch) -> None:
        """Take over the epochs of a journal that was opened; each begins where the one before it ends."""
        self._all = [*earlier, current]
        self._names = [epoch.name for epoch in self._all]
        self._uplinks = [epoch.uplink for epoch in self._all]
        self._telemetry = [epoch.telemetry for epoch in self._all]
        self.current = current.name
        self.uplink = current.uplink
        """Uplinks after this position are of the current epoch."""
        self.telemetry = current.telemetry
        """The same for telemetry records."""

    def __str__(self) -> str:
        """The current epoch, for packages of others that put it into a text of their own."""
        return self.current

    def knows(self, epoch: str) -> bool:
        """Whether an epoch is one of this journal's."""
        return epoch in self._names

    def of_uplink(self, seq: int) -> str:
        """The epoch of an uplink's position. What has no position (0 or less) is of the current one."""
        if seq > self.uplink or seq <= 0:
            return self.current
        return self._names[max(0, bisect_left(self._uplinks, seq) - 1)]

    def of_telemetry(self, seq: int) -> str:
        """The epoch of a telemetry record's position, as `of_uplink`."""
        if seq > self.telemetry or seq <= 0:
            return self.current
        return self._names[max(0, bisect_left(self._telemetry, seq) - 1)]

    def message_id(self, seq: int) -> str:
        """The id of the message at an uplink's position: ``{epoch}-{position}``."""
        return f"{self.of_uplink(seq)}-{seq}"

    def id_of(self, record: TelemetryRecord) -> str:
        """The id of the message that a record came from. An event came from none: it has its own epoch, and 0."""
        epoch = self.of_uplink(record.uplink) if record.uplink else self.of_telemetry(record.seq)
        return f"{epoch}-{record.uplink}"

    def key(self, record: TelemetryRecord) -> str:
        """What tells a record's delivery from all others: ``{message id}.{position}``. Where the record was made in a
        later epoch than the message came in, ``{message id}.{epoch}-{position}``."""
        uplink, seq = record.uplink, record.seq
        if uplink > self.uplink and seq > self.telemetry:
            return f"{self.current}-{uplink}.{seq}"
        made = self.of_telemetry(seq)
        came = self.of_uplink(uplink) if uplink else made
        return f"{came}-{uplink}.{seq}" if came == made else f"{came}-{uplink}.{made}-{seq}"

    def number(self, record: TelemetryRecord) -> str:
        """A record's position, as nothing else is called: ``{epoch}-{position}``."""
        return f"{self.of_telemetry(record.seq)}-{record.seq}"

    def position(self, id: str) -> int | None:
        """The position of the message that an id names; None where the id is none of this journal's."""
        epoch, _, seq = id.rpartition("-")
        position = whole(seq)
        if position is None or self.of_uplink(position) != epoch:
            return None
        return position if position > self._uplinks[0] else None


def message_id(epochs: Epochs, seq: int) -> str:
    """As `Epochs.message_id`, for packages of others."""
    return epochs.message_id(seq)
