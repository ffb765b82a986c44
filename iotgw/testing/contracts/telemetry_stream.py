"""What any journal does for deliveries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from iotgw.core.model import Attempt, Counters, DeliveryState, Parked, ParkedState, Progress, TelemetryRecord
from iotgw.core.stream import StreamReader
from iotgw.core.times import DateMs, SteadyMs
from iotgw.testing.contracts.journal_world import JournalWorld, parked


class TelemetryStreamContract(JournalWorld):
    """For `ITelemetryStream`."""

    def some_parked(self) -> list[Parked]:
        """Four records of ``int1``: three that are tried again, one that is dead."""
        r1, r2, r3, r4 = self.convert(*self.store(b"a", b"b", b"c", b"d"))
        items = [
            replace(
                parked(r1, DeliveryState.RETRYING, next_try_ms=5000),
                tries=(Attempt(4000, "503: später"), Attempt(4500, "502")),
            ),
            parked(r2, DeliveryState.RETRYING, attempts=0),
            parked(replace(r3, device_name="other"), DeliveryState.RETRYING, next_try_ms=3000),
            parked(r4, DeliveryState.DEAD),
        ]
        self.progress("int1", r4.seq, items)
        return items

    def test_progress_is_written_within_a_second_and_outlasts_a_restart(self) -> None:
        self.progress("int1", 5, queued=5, delivered=3, dropped={"overflow": 2})
        counters = Counters(queued=5, delivered=3, dropped={"overflow": 2})
        assert self.reopen().integrations() == {"int1": (5, counters)}

    def test_who_waits_for_its_progress_hears_when_it_is_durable(self) -> None:
        self.part.progress(Progress("int1", 7, Counters()))
        self.wait(self.part.committed())
        assert self.reopen().integrations()["int1"][0] == 7

    def test_a_forgotten_integration_leaves_nothing(self) -> None:
        (record,) = self.convert(*self.store(b"a"))
        self.progress("int1", 1, [parked(record, DeliveryState.DEAD)])
        self.progress("int2", 1)
        self.part.forget("int1")
        assert self.wait(self.part.read_parked("int1", None, 0, 9)) == []
        assert list(self.reopen().integrations()) == ["int2"]

    def test_parked_deliveries_come_back_whole(self) -> None:
        items = self.some_parked()
        journal = self.reopen()
        assert self.wait(journal.read_parked("int1", None, 0, 9)) == items
        assert self.wait(journal.read_parked("int1", None, items[1].record.seq, 1)) == [items[2]]
        assert self.wait(journal.read_parked("int1", DeliveryState.DEAD, 0, 9)) == [items[3]]
        assert self.wait(journal.read_parked("int2", None, 0, 9)) == []

    def test_parked_deliveries_are_found_by_integration_and_position(self) -> None:
        items = self.some_parked()
        last = items[3].record.seq
        self.progress("int2", last, [replace(items[0], integration="int2", error="other")])
        wanted = {
            "int1": [items[0].record.seq, last, last + 1],
            "int2": [items[0].record.seq, last],
            "int3": [1],
        }
        found = self.wait(self.part.parked_among(wanted))
        assert found == {
            (each.integration, each.record.seq): ParkedState(
                each.state, each.attempts, each.next_try_ms, each.error, each.tries
            )
            for each in (items[0], items[3], replace(items[0], integration="int2", error="other"))
        }
        assert self.wait(self.part.parked_among({})) == {}

    def test_parked_behind_is_by_device_and_position(self) -> None:
        items = self.some_parked()
        found = self.wait(self.part.parked_behind("int1", "dev", items[0].record.seq, 9))
        assert found == [items[1]]  # a dead letter waits behind nobody

    def test_parked_deliveries_change_and_go(self) -> None:
        items = self.some_parked()
        changed = replace(items[0], attempts=2, next_try_ms=9000, error="503", tries=(Attempt(8000, "503"),))
        self.progress("int1", items[3].record.seq, [changed], [items[1].record.seq])
        assert self.wait(self.part.read_parked("int1", None, 0, 9)) == [changed, items[2], items[3]]

    def test_a_read_of_parked_deliveries_sees_the_progress_queued_before_it(self) -> None:
        gone = tuple(item.record.seq for item in self.some_parked())
        self.part.progress(Progress("int1", 99, Counters(), (), gone))
        assert self.wait(self.part.read_parked("int1", None, 0, 9)) == []

    def test_the_last_word_on_a_parked_delivery_holds(self) -> None:
        (record,) = self.convert(*self.store(b"a"))
        item = parked(record, DeliveryState.RETRYING)
        self.part.progress(Progress("int1", 1, Counters(), (item,)))
        self.part.progress(Progress("int1", 1, Counters(), (), (record.seq,)))
        assert self.wait(self.part.read_parked("int1", None, 0, 9)) == []
        self.part.progress(Progress("int1", 1, Counters(), (), (record.seq,)))
        self.part.progress(Progress("int1", 1, Counters(), (item,)))
        assert self.wait(self.part.read_parked("int1", None, 0, 9)) == [item]

    def _at(self, date_ms: int) -> Any:
        return self.part.time_to_seq(DateMs(date_ms), SteadyMs(date_ms))

    def test_time_to_seq_finds_the_first_record_received_then(self) -> None:
        records: list[TelemetryRecord] = []
        for _ in range(4):
            records += self.convert(*self.store(b"a", b"b"))
            self.clock.advance(7)
        (again,) = self.convert(records[0].uplink)  # an old message, converted again
        for record in records[::2]:
            assert self.wait(self._at(record.received_ms)) == record.seq
            assert self.wait(self._at(record.received_ms - 6999)) == record.seq
        assert self.wait(self._at(0)) == records[0].seq
        assert self.wait(self._at(self.now_ms)) == again.seq + 1

    def test_a_reader_of_the_stream_gets_each_record_once(self) -> None:
        """Reads that run beside commits, and live records, as delivery joins them."""
        got: list[int] = []
        self.convert(*self.store(*[b"x"] * 50))

        def take(limit: int) -> None:
            got.extend(record.seq for record in reader.take(limit))

        def weigh(records: Iterable[TelemetryRecord]) -> int:
            return sum(len(record.body) for record in records)

        reader = StreamReader[TelemetryRecord](self.part.read_telemetry, 0, 8, lambda: None, weigh)
        self.listener.at_records = reader.offer
        reader.fill()
        for _ in range(30):
            self.convert(*self.store(*[b"y"] * 7))
            take(5)

        def drained() -> bool:
            take(100)
            return reader.caught_up

        self.until(drained)
        assert got == [record.seq for record in self.listener.records]
