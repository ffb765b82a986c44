"""What somebody asks of the stored messages, and what he is answered.

A search goes back in time. It looks at so much of the journal at a time, large messages included, and says how far it came: whoever wants
more goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil

import msgspec
from msgspec import Struct

from iotgw.core.failures import conversion_group
from iotgw.core.model import Message, State
from iotgw.core.times import DateMs, SteadyMs

LOOK = 200_000
"""How much one search looks at, in entries of an index. Other rows count as several of them, and what is read of a message, too."""
ENTRY = 32
"""Bytes of a message that count as an entry. So a search finds 6.4 MB at most, or one message."""


class Instant(Struct, frozen=True):
    """A date, and the gateway time of it (`iotgw.core.ports.clock.ICalendar.moment_ms`)."""

    date_ms: DateMs
    moment_ms: SteadyMs


class KeptApart(Struct, frozen=True):
    """Deliveries that are kept apart: of these integrations (ids), in these states (`iotgw.core.model.DeliveryState`)."""

    integrations: tuple[str, ...]
    states: tuple[int, ...]


class MessageQuery(Struct, frozen=True, kw_only=True):
    """The conditions that a message meets, all of them. None is no condition.

    ``datasource`` is an id. ``device``: the message had an output for it; with ``or_named``, a message without any output
    whose metadata has this name as a value is taken for one of it. ``text`` stands in the metadata's JSON. Messages were received
    from ``since`` on, and before ``until``. Of ``parked``, one is a delivery of the message. ``records`` are ranges of telemetry
    positions, first and last, and an output stands in one of them. ``has_output``: it had one.
    It failed as those of ``group`` did (`iotgw.core.failures.conversion_group`); only with the state FAILED.
    """

    tenant: str
    datasource: str | None = None
    state: State | None = None
    device: str | None = None
    or_named: bool = False
    text: str | None = None
    since: Instant | None = None
    until: Instant | None = None
    parked: KeptApart | None = None
    records: Sequence[tuple[int, int]] | None = None
    has_output: bool = False
    group: str | None = None

    @property
    def needle(self) -> bytes:
        """The text as it stands within a JSON text."""
        return _inside(self.text or "")

    @property
    def name_value(self) -> bytes:
        """The device's name as a value in a JSON text."""
        return b'"' + _inside(self.device or "") + b'"'

    def matches(self, message: Message) -> bool:
        """Whether a message meets the conditions, but for those of `parked`, of which a message knows nothing."""
        uplink, received_ms = message.uplink, message.uplink.received_ms
        return (
            uplink.tenant == self.tenant
            and self.datasource in (None, uplink.datasource)
            and self.state in (None, message.state)
            and (self.since is None or received_ms >= self.since.date_ms)
            and (self.until is None or received_ms < self.until.date_ms)
            and (self.text is None or self.needle in uplink.metadata)
            and (not self.has_output or bool(message.records))
            and (self.device is None or self._is_of_device(message))
            and (self.records is None or self._is_in_ranges(message))
            and (self.group is None or self._is_of_group(message))
        )

    def _is_of_device(self, message: Message) -> bool:
        if any(record.device_name == self.device for record in message.records):
            return True
        return self.or_named and not message.records and self.name_value in message.uplink.metadata

    def _is_of_group(self, message: Message) -> bool:
        return message.error is not None and conversion_group(message.converter, message.error) == self.group

    def _is_in_ranges(self, message: Message) -> bool:
        ranges = self.records or ()
        return any(first <= record.seq <= last for record in message.records for first, last in ranges)


class FoundMessages(Struct, frozen=True):
    """Messages, newest first.

    The search goes on with messages before position ``next``; 0 when it has come to its end. Everything that was received
    at ``looked_back_to`` or later has been looked at; 0 where nothing is stored.
    """

    messages: list[Message]
    next: int
    looked_back_to: DateMs


def affordable(sizes: Iterable[int], cost: float) -> tuple[int, int]:
    """Of messages with these sizes in bytes: how many of them may be read for so much, but at least one, and what they cost: all of it, where
    it doesn't do for the next one."""
    count = spent = 0
    for size in sizes:
        if count and spent + size // ENTRY > cost:
            return count, max(spent, ceil(cost))
        count, spent = count + 1, spent + size // ENTRY
    return count, spent


def _inside(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]
