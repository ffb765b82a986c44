"""What any journal tells of devices over time, and of failures."""

from __future__ import annotations

from typing import Any

from msgspec import json

from iotgw.core.message_query import MessageQuery
from iotgw.core.model import ConversionError, DeliveryState, Outcome, State
from iotgw.core.series import Bucket, SeriesQuery, SeriesValue
from iotgw.core.times import DateMs, SteadyMs
from iotgw.testing.contracts.journal_world import JournalWorld, output, parked


class HistoryContract(JournalWorld):
    """For `IMessages`, its series and failures."""

    def measured(self, *values: tuple[int, dict[str, Any]], device: str = "dev", **more: Any) -> int:
        """A message with readings: times in seconds, and values by key. Returns its position."""
        (seq,) = self.store(b"x", **more)
        telemetry = [{"ts": at * 1000, "values": some} for at, some in values]
        body = json.encode({"deviceName": device, "telemetry": telemetry})
        self.settle([Outcome(seq, State.CONVERTED, "c/1", (output(device, body=body),))])
        return seq

    def buckets(self, every: int, before: int = 0, limit: int = 99, **more: Any) -> dict[str, list[Bucket]]:
        """What ``dev`` measured, in buckets of so many seconds."""
        query = SeriesQuery(tenant="default", device="dev", every_ms=every * 1000, **more)
        return self.wait(self.part.series(query, before, limit)).buckets

    def test_readings_are_gathered_in_buckets(self) -> None:
        self.measured((100, {"t": 20, "word": "hot"}), (105, {"t": 21.5}))
        self.measured((110, {"t": 20, "on": True}))
        self.measured((105, {"t": 99}), device="other")
        self.measured((105, {"t": 99}), tenant="acme")
        assert self.buckets(10) == {
            "t": [Bucket(100_000, 2, 20, 21.5, 20.75), Bucket(110_000, 1, 20, 20, 20)],
            "word": [Bucket(100_000, 1)],
            "on": [Bucket(110_000, 1)],
        }
        assert self.buckets(60, keys=("t",)) == {"t": [Bucket(60_000, 3, 20, 21.5, 20.5)]}
        assert self.buckets(10, until_ms=DateMs(105_000), keys=("t",)) == {
            "t": [Bucket(100_000, 1, 20, 20, 20)]
        }

    def test_how_much_came_is_told_step_by_step(self) -> None:
        minute = 60_000
        began = self.now_ms - self.now_ms % minute
        for count in (3, 0, 2):
            for _ in range(count):
                self.measured((100, {"t": 20}))
            self.clock.advance(60)
        found = self.wait(self.part.flow(SteadyMs(began), SteadyMs(self.now_ms + minute), minute))
        steps = {each.at_ms: (each.received, each.outputs) for each in found if each.received}
        assert steps == {began: (3, 3), began + 2 * minute: (2, 2)}
        assert self.wait(self.part.flow(SteadyMs(0), SteadyMs(began), minute)) == []

    def test_single_readings_are_of_any_kind(self) -> None:
        self.measured((100, {"t": 20, "word": "hot", "list": [1], "on": True}))
        self.measured((90, {"t": None}))
        query = SeriesQuery(tenant="default", device="dev")
        assert self.wait(self.part.series(query, 0, 99)).readings == {
            "t": [SeriesValue(90_000, None), SeriesValue(100_000, 20)],
            "word": [SeriesValue(100_000, "hot")],
            "list": [SeriesValue(100_000, [1])],
            "on": [SeriesValue(100_000, True)],
        }

    def test_a_conversion_that_was_replaced_measured_nothing(self) -> None:
        seq = self.measured((100, {"t": 20}))
        body = json.encode({"deviceName": "dev", "telemetry": [{"ts": 100_000, "values": {"t": 30}}]})
        self.settle([Outcome(seq, State.CONVERTED, "c/2", (output(body=body),))])
        assert self.buckets(10) == {"t": [Bucket(100_000, 1, 30, 30, 30)]}

    def test_readings_come_by_pages_of_messages(self) -> None:
        for at in (10, 20, 30):
            self.measured((at, {"t": at}))
        query = SeriesQuery(tenant="default", device="dev")
        seen, before = [], 0
        while True:
            page = self.wait(self.part.series(query, before, 2))
            seen.append([reading.ts for reading in page.readings.get("t", [])])
            before = page.next
            if not before:
                break
        assert sorted(at for page_ in seen for at in page_) == [10_000, 20_000, 30_000]
        assert len(seen[0]) <= 2

    def failed(
        self, *messages: str, datasource: str = "ds1", converter: str = "c/1", **more: Any
    ) -> list[int]:
        """Messages that failed with these errors, in line 3."""
        seqs = self.store(*[b"x"] * len(messages), datasource=datasource, **more)
        errors = [ConversionError(message, line=3) for message in messages]
        outcomes = [
            Outcome(seq, State.FAILED, converter, (), error) for seq, error in zip(seqs, errors, strict=True)
        ]
        self.settle(outcomes, datasource)
        return seqs

    def test_failures_are_told_in_groups(self) -> None:
        self.failed("got 7", "got 8", "no such thing")
        self.clock.advance(20)
        (last,) = self.failed("got 9", datasource="ds2")
        self.failed("got 9", tenant="acme", datasource="ds3")
        found = self.wait(self.part.failures(MessageQuery(tenant="default", state=State.FAILED), 0))
        got, other = found.groups
        assert (got.kind, got.where, got.count, got.sample) == ("conversion", "c/1", 3, last)
        assert (got.error.message, got.error.line, set(got.datasources)) == ("got 9", 3, {"ds1", "ds2"})
        assert got.last_ms - got.first_ms == 20_000
        assert (other.error.message, other.count) == ("no such thing", 1)
        assert found.next == 0
        assert self.found(group=got.id, state=State.FAILED) == [last, 2, 1]
        some = MessageQuery(tenant="default", state=State.FAILED, datasource="ds2")
        assert [group.count for group in self.wait(self.part.failures(some, 0)).groups] == [1]
        some = MessageQuery(tenant="default", state=State.FAILED, since=self.instant(-5))
        assert [group.count for group in self.wait(self.part.failures(some, 0)).groups] == [1]

    def test_dead_letters_are_told_in_groups_by_their_errors(self) -> None:
        first, second, third = self.convert(*self.store(b"a", b"b", b"c"))
        dead, waits = DeliveryState.DEAD, DeliveryState.RETRYING
        rows = [parked(first, dead, error="400: value 1"), parked(second, dead, error="400: value 2")]
        self.progress("int1", 3, [*rows, parked(third, waits, error="400: value 3")])
        self.wait(self.part.committed())
        everything = MessageQuery(tenant="default")
        (group,) = self.wait(self.part.dead_deliveries(everything, ("int1", "int2")))
        assert (group.kind, group.where, group.count, group.sample) == ("delivery", "int1", 2, second.uplink)
        assert group.error.message.startswith("400: value")
        assert self.wait(self.part.dead_deliveries(everything, ("int2",))) == []
        assert self.wait(self.part.dead_deliveries(MessageQuery(tenant="acme"), ("int1",))) == []
        assert (
            self.wait(self.part.dead_deliveries(MessageQuery(tenant="default", device="x"), ("int1",))) == []
        )
