"""What any journal does, and what one on a disk does besides."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from iotgw.core.errors import Unavailable
from iotgw.core.model import Counters, DeliveryState, Outcome, Output, State, Uplink
from iotgw.testing.contracts.history import HistoryContract
from iotgw.testing.contracts.journal_world import event, nobody, output, parked
from iotgw.testing.contracts.messages import MessagesContract
from iotgw.testing.contracts.telemetry_stream import TelemetryStreamContract
from iotgw.testing.contracts.uplink_stream import UplinkStreamContract


class JournalContract(UplinkStreamContract, TelemetryStreamContract, MessagesContract, HistoryContract):
    """For `IJournal`: all of it."""

    def test_a_stopped_journal_says_so(self) -> None:
        journal = self.part
        self.teardown_method()
        self.raises(Unavailable, lambda: journal.read_telemetry(0, 1))


class DiskJournalContract(JournalContract):
    """For a journal whose storage can't take everything: one text or number that it has no form for costs its own
    message only."""

    def an_output_costs_only_its_own_message(self, bad: Output) -> None:
        """Of two outcomes in one commit, one can't be stored."""
        good, other = self.store(b"a", b"b")
        self.settle(
            [
                Outcome(good, State.CONVERTED, "c/1", (output("d1"),)),
                Outcome(other, State.CONVERTED, "c/1", (bad,)),
            ]
        )
        message = self.wait(self.part.message(other))
        assert message is not None and message.error is not None
        assert (message.state, message.error.stage) == (State.FAILED, "store")
        assert "expected valid Unicode" in message.error.message
        fine = self.wait(self.part.message(good))
        assert fine is not None and fine.state is State.CONVERTED
        assert [each.state for each in self.listener.outcomes] == [State.CONVERTED, State.FAILED]

    def an_uplink_is_refused_alone(self, **bad: Any) -> None:
        """Of two uplinks in one commit, one can't be stored."""
        uplink: Uplink = replace(self.uplink(b"bad"), **bad)
        self.part.append(uplink, (nobody, "bad"))
        self.store(b"good")
        assert [identity for _, (_, identity) in self.listener.lost] == ["bad"]
        assert [stored.uplink.payload for stored, _ in self.listener.entries] == [b"good"]
        assert len(self.wait(self.part.read_uplinks("ds1", 0, 9))) == 1

    def test_an_output_whose_device_has_no_valid_name_costs_only_its_own_message(self) -> None:
        self.an_output_costs_only_its_own_message(output("d\ud800"))

    def test_an_output_whose_type_is_no_valid_text_costs_only_its_own_message(self) -> None:
        self.an_output_costs_only_its_own_message(output(device_type="\udfff"))

    def test_an_output_whose_body_is_no_valid_text_costs_only_its_own_message(self) -> None:
        self.an_output_costs_only_its_own_message(output(body=b'"\xff"'))

    def test_an_uplink_of_a_datasource_with_no_valid_id_is_refused_alone(self) -> None:
        self.an_uplink_is_refused_alone(datasource="ds\ud800")

    def test_an_uplink_of_a_tenant_with_no_valid_name_is_refused_alone(self) -> None:
        self.an_uplink_is_refused_alone(tenant="\ud800")

    def test_an_uplink_whose_metadata_is_no_valid_text_is_refused_alone(self) -> None:
        self.an_uplink_is_refused_alone(metadata=b'"\xff"')

    def test_an_uplink_of_no_possible_time_is_refused_alone(self) -> None:
        self.an_uplink_is_refused_alone(received_ms=1 << 63)

    def test_an_event_that_cannot_be_stored_is_dropped(self) -> None:
        self.part.emit(replace(event(), device_name="\ud800"))
        self.part.emit(event())
        self.until(lambda: self.listener.records)
        assert self.listener.records == self.wait(self.part.read_telemetry(0, 9))

    def test_an_error_of_any_text_can_be_parked(self) -> None:
        (record,) = self.convert(*self.store(b"a"))
        self.progress("int1", 1, [parked(record, DeliveryState.DEAD, error="\ud800!")])
        (item,) = self.wait(self.part.read_parked("int1", None, 0, 9))
        assert item.error == "?!"

    def test_progress_that_cannot_be_stored_does_not_stop_the_journal(self) -> None:
        self.progress("int1", 1, dropped={"x": object()})
        self.store(b"a")
        self.progress("int1", 2, queued=1)
        assert self.reopen().integrations() == {"int1": (2, Counters(queued=1))}

    def test_an_outcome_of_an_uplink_that_is_gone_does_not_stop_the_journal(self) -> None:
        (record,) = self.convert(99)
        assert (record.uplink, record.tenant) == (99, "default")
        self.store(b"a")
