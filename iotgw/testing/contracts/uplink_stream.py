"""What any journal does with uplinks."""

from __future__ import annotations

from iotgw.core.model import Kind, Outcome, State
from iotgw.testing.contracts.journal_world import JournalWorld, event, nobody, output


class UplinkStreamContract(JournalWorld):
    """For `IUplinkStream`."""

    def test_what_is_given_up_unread_has_failed(self) -> None:
        """It has no outcome, but its datasource's accounts balance."""
        self.store(b"a", b"b", b"c")
        self.part.settle("ds1", self.part.last_uplink, [], lost=3)
        self.wait(self.part.durable())
        counts = self.reopen().counts()["ds1"]
        assert (counts["received"], counts["failed"]) == (3, 3)
        assert self.part.unconverted() == []

    def test_the_keys_of_a_datasources_latest_uplinks_come_in_order(self) -> None:
        positions = [
            self.part.append(self.uplink(b"x", metadata=metadata), (nobody, None))
            for metadata in (b'{"uplinkKey":"a"}', b"{}", b'{"uplinkKey":1}', b'{"uplinkKey":"b"}')
        ]
        self.wait(self.part.durable())
        for _ in range(2):
            found = self.wait(self.part.latest_keys("ds1", 10))
            assert found == [("a", positions[0]), ("b", positions[3])]
            assert self.wait(self.part.latest_keys("ds1", 1)) == [("b", positions[3])]
            assert self.wait(self.part.latest_keys("another", 10)) == []
            self.reopen()

    def test_each_start_opens_an_epoch_and_what_was_stored_before_keeps_its_name(self) -> None:
        epoch = self.part.epochs.current
        assert epoch and "-" not in epoch
        (before,) = self.store(b"1")
        assert self.part.epochs.message_id(before) == f"{epoch}-{before}"
        epochs = self.reopen().epochs
        (after,) = self.store(b"2")
        assert epochs.current != epoch
        assert epochs.message_id(before) == f"{epoch}-{before}"
        assert epochs.message_id(after) == f"{epochs.current}-{after}"
        assert epochs.position(f"{epoch}-{before}") == before
        assert epochs.position(f"{epochs.current}-{after}") == after
        assert epochs.position(f"{epoch}-{after}") is None
        assert epochs.position(f"{epochs.current}-{before}") is None

    def test_a_delivery_is_named_by_the_epochs_of_its_message_and_of_its_own_position(self) -> None:
        first = self.part.epochs.current
        early, late = self.store(b"1", b"2")
        (record,) = self.convert(early)
        assert self.part.epochs.key(record) == f"{first}-{early}.{record.seq}"
        epochs = self.reopen().epochs
        (later,) = self.convert(late)
        assert epochs.key(record) == f"{first}-{early}.{record.seq}"
        assert epochs.key(later) == f"{first}-{late}.{epochs.current}-{later.seq}"
        assert epochs.id_of(later) == f"{first}-{late}"

    def test_an_event_is_named_by_the_epoch_in_which_it_was_recorded(self) -> None:
        first = self.part.epochs.current
        self.part.emit(event())
        self.until(lambda: self.listener.records)
        (record,) = self.listener.records
        epochs = self.reopen().epochs
        assert (epochs.id_of(record), epochs.key(record)) == (f"{first}-0", f"{first}-0.{record.seq}")

    def test_an_uplink_comes_back_with_its_position_and_who_waits_for_it(self) -> None:
        uplink = self.uplink(b"\x00\xffabc")
        waiter = (nobody, "imei")
        seq = self.part.append(uplink, waiter)
        assert self.part.last_uplink == seq
        self.until(lambda: self.listener.entries)
        ((stored, token),) = self.listener.entries
        assert (stored.seq, stored.uplink) == (seq, uplink)
        assert token is waiter

    def test_what_one_turn_brings_is_one_commit(self) -> None:
        self.store(*[b"%d" % n for n in range(300)])
        assert self.listener.commits == 1
        assert [stored.uplink.payload for stored, _ in self.listener.entries] == [
            b"%d" % n for n in range(300)
        ]

    def test_uplinks_are_on_their_way_before_they_are_stored(self) -> None:
        heard_before: list[int] = []
        self.listener.at_storing = lambda: heard_before.append(len(self.listener.entries))
        positions = self.store(b"a", b"b")
        assert heard_before == [0]
        assert [[stored.seq for stored, _ in group] for group in self.listener.storings] == [positions]

    def test_who_waits_for_rest_is_called_when_no_commit_is_under_way(self) -> None:
        heard: list[object] = []
        self.part.at_rest(lambda: heard.append("idle"))
        assert heard == ["idle"]

        def begun() -> None:
            self.part.at_rest(lambda: heard.append(len(self.listener.entries)))
            assert heard == ["idle"]

        self.listener.at_storing = begun
        self.append(b"a")
        self.until(lambda: len(heard) == 2)
        assert heard == ["idle", 1]  # after the listener

    def test_positions_grow_over_a_restart(self) -> None:
        first = self.store(b"a", b"b")
        self.reopen()
        second = self.store(b"c")
        assert first[0] < first[1] < second[0]
        assert self.part.last_uplink == second[0]

    def test_no_position_is_given_below_a_cursor(self) -> None:
        """A datasource that was made while uplinks were refused begins after their positions."""
        self.part.settle("new", 1000, [])
        self.progress("int1", 2000)
        self.reopen()
        assert self.store(b"a", datasource="new")[0] > 1000
        assert self.convert(self.part.last_uplink, datasource="new")[0].seq > 2000

    def test_stopping_writes_what_is_queued(self) -> None:
        self.append(b"a", b"b")
        heard = self.listener
        self.reopen()
        assert len(heard.entries) == 2
        assert len(self.wait(self.part.read_uplinks("ds1", 0, 10))) == 2

    def test_a_datasource_reads_its_own_uplinks_in_order(self) -> None:
        self.store(b"a", datasource="ds1")
        self.store(b"b", datasource="ds2")
        self.store(b"c", b"d", datasource="ds1")
        read = self.wait(self.part.read_uplinks("ds1", 0, 2))
        assert [stored.uplink.payload for stored in read] == [b"a", b"c"]
        more = self.wait(self.part.read_uplinks("ds1", read[-1].seq, 2))
        assert [stored.uplink for stored in more] == [self.uplink(b"d")]
        assert self.wait(self.part.read_uplinks("unknown", 0, 2)) == []

    def test_outcomes_make_telemetry_records(self) -> None:
        (seq,) = self.store(b"a", tenant="acme")
        records = self.settle([Outcome(seq, State.CONVERTED, "c/3", (output("d1"), output("d2", "meter")))])
        assert [
            (r.uplink, r.tenant, r.datasource, r.device_name, r.device_type, r.kind) for r in records
        ] == [
            (seq, "acme", "ds1", "d1", "default", Kind.TELEMETRY),
            (seq, "acme", "ds1", "d2", "meter", Kind.TELEMETRY),
        ]
        assert records[0].received_ms == self.now_ms
        assert self.part.head == records[1].seq
        assert self.wait(self.part.read_telemetry(0, 10)) == records
        assert self.wait(self.part.read_telemetry(records[0].seq, 10)) == records[1:]
        assert self.wait(self.part.read_telemetry(0, 1)) == records[:1]

    def test_the_time_of_an_uplink_may_be_told_with_its_outcome(self) -> None:
        (seq,) = self.store(b"a")
        (record,) = self.convert(seq, received_ms=77)
        assert record.received_ms == 77

    def test_a_conversion_cursor_moves_with_its_outcomes(self) -> None:
        seqs = self.store(b"a", b"b")
        self.settle([Outcome(seqs[0], State.FILTERED, "c/1")])
        self.reopen()
        assert self.part.conversion_cursors() == {"ds1": seqs[0]}
        assert [s.seq for s in self.wait(self.part.read_uplinks("ds1", seqs[0], 9))] == seqs[1:]

    def test_a_cursor_moves_without_outcomes_and_never_back(self) -> None:
        self.part.settle("ds1", 7, [])
        self.part.settle("ds1", 3, [])
        self.reopen()
        assert self.part.conversion_cursors() == {"ds1": 7}

    def test_outcomes_without_haste_are_written_within_a_second(self) -> None:
        (seq,) = self.store(b"a")
        self.part.settle("ds1", seq, [Outcome(seq, State.FILTERED, "c/1")], haste=False)
        self.clock.advance(1.0)
        self.until(lambda: self.listener.outcomes)

    def test_events_are_in_the_telemetry_stream(self) -> None:
        self.part.emit(event())
        self.until(lambda: self.listener.records)
        (record,) = self.listener.records
        assert (record.kind, record.uplink, record.seq) == (Kind.EVENT, 0, self.part.head)
        assert self.wait(self.part.read_telemetry(0, 9)) == [record]
