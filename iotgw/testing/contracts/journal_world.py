"""The base of the journal's suites: a journal with a listener that records its calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

from zope.interface import implementer

from iotgw.core.message_query import Instant, MessageQuery
from iotgw.core.model import (
    Answer,
    Counters,
    DeliveryState,
    Kind,
    Outcome,
    Output,
    Parked,
    Progress,
    State,
    TelemetryRecord,
    Uplink,
)
from iotgw.core.ports.journal import Entries, IJournal, IJournalListener
from iotgw.core.times import DateMs, SteadyMs
from iotgw.testing.contracts.base import Contract


@implementer(IJournalListener)
class HeardJournal:
    """Records its calls. ``commits`` counts the calls of `stored`, ``rooms`` those of `room_again`.
    ``at_storing`` and ``at_records`` are called at that moment, for tests that need it."""

    def __init__(self) -> None:
        self.storings: list[Entries] = []
        self.entries: Entries = []
        self.lost: Entries = []
        self.spilled_entries: Entries = []
        self.postponed_entries: Entries = []
        self.outcomes: list[Outcome] = []
        self.records: list[TelemetryRecord] = []
        self.reasons: list[str] = []
        self.damages: list[tuple[str, int, int, str]] = []
        self.commits = self.rooms = 0
        self.at_storing: Callable[[], None] = lambda: None
        self.at_records: Callable[[list[TelemetryRecord]], object] = lambda records: None

    def storing(self, entries: Entries) -> None:
        """See `IJournalListener.storing`."""
        self.storings.append(entries)
        self.at_storing()

    def stored(self, entries: Entries) -> None:
        """See `IJournalListener.stored`."""
        self.commits += 1
        self.entries += entries

    def spilled(self, entries: Entries) -> None:
        """See `IJournalListener.spilled`."""
        self.spilled_entries += entries

    def postponed(self, entries: Entries) -> None:
        """See `IJournalListener.postponed`."""
        self.postponed_entries += entries

    def refused(self, entries: Entries, reason: str) -> None:
        """See `IJournalListener.refused`."""
        self.lost += entries
        self.reasons.append(reason)

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """See `IJournalListener.settled`."""
        self.outcomes += outcomes
        self.records += records
        self.at_records(records)

    def room_again(self) -> None:
        """See `IJournalListener.room_again`."""
        self.rooms += 1

    def damaged(self, table: str, first: int, last: int, what: str) -> None:
        """See `IJournalListener.damaged`."""
        self.damages.append((table, first, last, what))


class JournalWorld(Contract[IJournal]):
    """What a test does with a journal. `open` starts it with `listener`."""

    @cached_property
    def listener(self) -> HeardJournal:
        """Who hears what becomes durable; a new one after `reopen`."""
        return HeardJournal()

    def reopen(self) -> IJournal:
        """Close the journal, and open the next on the same storage."""
        self.teardown_method()
        self.__dict__.pop("listener", None)
        return self.part

    def uplink(
        self,
        payload: bytes = b"x",
        datasource: str = "ds1",
        tenant: str = "default",
        metadata: bytes = b'{"peer":"::1"}',
    ) -> Uplink:
        """An uplink that comes now."""
        return Uplink(tenant, datasource, DateMs(self.now_ms), payload, metadata)

    def found(
        self, before: int = 0, limit: int = 99, tenant: str = "default", **conditions: Any
    ) -> list[int]:
        """The positions of the messages that a search finds at once."""
        page = self.wait(self.part.search(MessageQuery(tenant=tenant, **conditions), before, limit))
        return [message.seq for message in page.messages]

    def instant(self, seconds: float) -> Instant:
        """A time on the clock, so far from now."""
        at_ms = self.now_ms + int(seconds * 1000)
        return Instant(DateMs(at_ms), SteadyMs(at_ms))

    def append(self, *payloads: bytes, **more: Any) -> list[int]:
        """Append uplinks; returns their positions."""
        return [self.part.append(self.uplink(each, **more), (nobody, None)) for each in payloads]

    def store(self, *payloads: bytes, **more: Any) -> list[int]:
        """Append uplinks, and wait until they are durable."""
        positions = self.append(*payloads, **more)
        self.until(lambda: any(stored.seq == positions[-1] for stored, _ in self.listener.entries))
        return positions

    def settle(
        self, outcomes: list[Outcome], datasource: str = "ds1", cursor: int | None = None
    ) -> list[TelemetryRecord]:
        """Settle outcomes, and wait until they are durable; returns the records that came of them."""
        heard, before = len(self.listener.outcomes), len(self.listener.records)
        self.part.settle(
            datasource, max(each.seq for each in outcomes) if cursor is None else cursor, outcomes
        )
        self.until(lambda: len(self.listener.outcomes) >= heard + len(outcomes))
        return self.listener.records[before:]

    def convert(
        self, *positions: int, device: str = "dev", datasource: str = "ds1", received_ms: int = 0
    ) -> list[TelemetryRecord]:
        """Settle uplinks as converted, each for one device."""
        return self.settle(
            [
                Outcome(seq, State.CONVERTED, "conv/1", (output(device),), received_ms=DateMs(received_ms))
                for seq in positions
            ],
            datasource,
        )

    def progress(
        self,
        integration: str,
        cursor: int,
        parked: Sequence[Parked] = (),
        released: Sequence[int] = (),
        **counters: Any,
    ) -> None:
        """An integration's progress, and the second in which it is written."""
        self.part.progress(
            Progress(integration, cursor, Counters(**counters), tuple(parked), tuple(released))
        )
        self.clock.advance(1.0)


def nobody(answer: Answer) -> None:
    """The reply of an uplink whose sender waits for no answer."""


def output(
    device: str = "dev",
    device_type: str = "default",
    body: bytes = b'{"telemetry":[{"ts":1,"values":{"t":1}}]}',
) -> Output:
    """What a converter made for a device."""
    return Output(device, device_type, body)


def event(body: bytes = b'{"event":"started"}', received_ms: int = 1_700_000_000_000) -> TelemetryRecord:
    """A record that is no telemetry."""
    return TelemetryRecord(0, 0, "default", "ds1", DateMs(received_ms), "dev", "default", body, Kind.EVENT)


def parked(
    record: TelemetryRecord, state: DeliveryState, attempts: int = 1, next_try_ms: int = 0, error: str = "400"
) -> Parked:
    """A delivery of the integration ``int1`` that failed."""
    return Parked("int1", record, state, attempts, next_try_ms, error)
