"""What any journal shows a person."""

from __future__ import annotations

from typing import Any

from iotgw.core.message_query import ENTRY, LOOK, KeptApart, MessageQuery
from iotgw.core.model import ConversionError, DeliveryState, Outcome, State
from iotgw.testing.contracts.journal_world import JournalWorld, output, parked


class MessagesContract(JournalWorld):
    """For `IMessages`."""

    def listed(self, tenant: str = "default", **conditions: Any) -> list[int]:
        """The positions of the messages that are found."""
        return [each.seq for each in self.wait(self.part.messages(tenant, 0, 99, **conditions))]

    def test_a_message_shows_all_that_became_of_it(self) -> None:
        a, b, c, d = self.store(b"a", b"b", b"c", b"d")
        error = ConversionError("boom", line=3, column=4, stack="at Decoder")
        (record,) = self.settle(
            [
                Outcome(a, State.CONVERTED, "c/1", (output(),)),
                Outcome(b, State.FILTERED, "c/1"),
                Outcome(c, State.FAILED, "c/1", (), error),
            ]
        )
        messages = [self.wait(self.part.message(seq)) for seq in (a, b, c, d)]
        assert [m and (m.seq, m.state, m.converter, m.error, m.records) for m in messages] == [
            (a, State.CONVERTED, "c/1", None, (record,)),
            (b, State.FILTERED, "c/1", None, ()),
            (c, State.FAILED, "c/1", error, ()),
            (d, State.RECEIVED, "", None, ()),
        ]
        assert messages[0] is not None
        assert messages[0].uplink == self.uplink(b"a")
        assert self.wait(self.part.message(d + 99)) is None

    def test_a_second_outcome_replaces_the_first(self) -> None:
        (seq,) = self.store(b"a")
        self.settle([Outcome(seq, State.FAILED, "c/1", (), ConversionError("boom"))])
        (first,) = self.settle([Outcome(seq, State.CONVERTED, "c/2", (output("d1"),))])
        (second,) = self.settle([Outcome(seq, State.CONVERTED, "c/3", (output("d2"),))])
        message = self.wait(self.part.message(seq))
        assert message is not None
        assert (message.state, message.converter, message.error) == (State.CONVERTED, "c/3", None)
        assert message.records == (second,)
        assert self.wait(self.part.read_telemetry(0, 9)) == [first, second]  # consumers see both
        stats = self.wait(self.part.stats())
        assert (stats["received"], stats["converted"], stats["failed"], stats["waiting"]) == (1, 1, 0, 0)

    def test_two_outcomes_in_one_commit_count_once(self) -> None:
        (seq,) = self.store(b"a")
        self.part.settle("ds1", seq, [Outcome(seq, State.FAILED, "c/1")])
        self.settle([Outcome(seq, State.FILTERED, "c/1")])
        self.until(lambda: len(self.listener.outcomes) == 2)
        stats = self.wait(self.part.stats())
        assert (stats["failed"], stats["filtered"], stats["waiting"]) == (0, 1, 0)

    def test_messages_are_listed_newest_first_by_page(self) -> None:
        seqs = self.store(*[b"%d" % n for n in range(5)])
        page = self.wait(self.part.messages("default", 0, 3))
        assert [m.seq for m in page] == seqs[:1:-1]
        page = self.wait(self.part.messages("default", page[-1].seq, 3))
        assert [m.seq for m in page] == seqs[1::-1]

    def test_messages_are_filtered(self) -> None:
        a, b = self.store(b"a", b"b", datasource="ds1")
        c, d, e = self.store(b"c", b"d", b"e", datasource="ds2")
        (other,) = self.store(b"o", tenant="acme", datasource="ds3")
        self.convert(a, b, device="d1")
        self.settle(
            [
                Outcome(c, State.CONVERTED, "c/1", (output("d1"), output("d1"), output("d2"))),
                Outcome(d, State.FAILED, "c/1", (), ConversionError("x")),
            ],
            "ds2",
        )
        self.convert(other, device="d1", datasource="ds3")
        assert self.listed() == [e, d, c, b, a]
        assert self.listed(datasource="ds1") == [b, a]
        assert self.listed(device="d1") == [c, b, a]
        assert self.listed(device="d1", datasource="ds2") == [c]
        assert self.listed(device="d2") == [c]
        assert self.listed(state=State.FAILED) == [d]
        assert self.listed(state=State.FILTERED) == []
        assert self.listed(state=State.CONVERTED) == [c, b, a]
        assert self.listed(state=State.CONVERTED, device="d1") == [c, b, a]
        assert self.listed(state=State.RECEIVED) == [e]
        assert self.listed(state=State.RECEIVED, datasource="ds1") == []
        assert self.listed("acme") == [other]

    def test_messages_are_searched_by_when_they_came(self) -> None:
        seqs = []
        for _ in range(4):
            seqs += self.store(b"x")
            self.clock.advance(20)
        a, b, c, d = seqs
        assert self.found(since=self.instant(-40)) == [d, c]
        assert self.found(until=self.instant(-40)) == [b, a]
        assert self.found(since=self.instant(-60), until=self.instant(-20)) == [c, b]
        assert self.found(since=self.instant(1)) == []
        assert self.found(until=self.instant(-1000)) == []

    def test_messages_are_searched_by_a_text_in_their_metadata(self) -> None:
        (a,) = self.store(b"a", metadata=b'{"peer":"10.0.0.7","note":"say \\"hi\\""}')
        (b,) = self.store(b"b", metadata='{"peer":"10.0.0.8","note":"Tür"}'.encode())
        assert self.found(text="10.0.0.") == [b, a]
        assert self.found(text="10.0.0.7") == [a]
        assert self.found(text='say "hi"') == [a]
        assert self.found(text="Tür") == [b]
        assert self.found(text="%") == []
        assert self.found(text="10.0.0.", datasource="ds2") == []

    def test_a_device_has_messages_without_output_that_name_it_if_that_is_asked_for(self) -> None:
        (a,) = self.store(b"a", metadata=b'{"deviceName":"d1"}')
        (b,) = self.store(b"b", metadata=b'{"deviceName":"d11"}')
        (c,) = self.store(b"c", metadata=b'{"deviceName":"d1"}')
        (d,) = self.store(b"d")
        self.settle([Outcome(seq, State.FAILED, "c/1", (), ConversionError("x")) for seq in (a, b)])
        self.settle([Outcome(c, State.FILTERED, "c/1"), Outcome(d, State.CONVERTED, "c/1", (output("d1"),))])
        assert self.found(device="d1") == [d]
        assert self.found(device="d1", or_named=True) == [d, c, a]
        assert self.found(device="d1", or_named=True, state=State.FAILED) == [a]
        assert self.found(device="d1", or_named=True, limit=2) == [d, c]
        assert self.found(c, device="d1", or_named=True) == [a]
        assert self.found(device="d1", state=State.FAILED) == []

    def test_messages_are_searched_by_their_parked_deliveries_and_their_outputs(self) -> None:
        a, b, c = self.store(b"a", b"b", b"c")
        first, second = self.convert(a, b)
        self.settle([Outcome(c, State.FILTERED, "c/1")])
        dead, waits = DeliveryState.DEAD, DeliveryState.RETRYING
        self.progress("int1", 2, [parked(first, dead), parked(second, waits)])
        self.wait(self.part.committed())
        assert self.found(parked=KeptApart(("int1",), (int(dead),))) == [a]
        assert self.found(parked=KeptApart(("int1",), (int(dead), int(waits)))) == [b, a]
        assert self.found(parked=KeptApart(("int2",), (int(dead),))) == []
        assert self.found(has_output=True) == [b, a]
        assert self.found(records=[(second.seq, second.seq + 9)]) == [b]
        assert self.found(records=[]) == []

    def test_a_search_says_where_it_goes_on_and_how_far_it_came(self) -> None:
        seqs = []
        for _ in range(3):
            seqs += self.store(b"x")
            self.clock.advance(20)
        self.store(b"o", tenant="acme")
        a, b, c = seqs
        everything = MessageQuery(tenant="default")
        page = self.wait(self.part.search(everything, 0, 2))
        assert [message.seq for message in page.messages] == [c, b]
        assert page.next == b
        assert page.looked_back_to == page.messages[-1].uplink.received_ms
        last = self.wait(self.part.search(everything, page.next, 2))
        assert ([message.seq for message in last.messages], last.next) == ([a], 0)
        assert last.looked_back_to == last.messages[0].uplink.received_ms

    def test_a_search_finds_no_more_than_can_be_shown_at_once(self) -> None:
        seqs = [self.store(bytes(1 << 20))[0] for _ in range(8)]
        query, found, before, pages = MessageQuery(tenant="default"), list[int](), 0, 0
        while not pages or before:
            page = self.wait(self.part.search(query, before, 1000))
            assert 0 < sum(len(each.uplink.payload) for each in page.messages) <= LOOK * ENTRY
            found += [each.seq for each in page.messages]
            before, pages = page.next, pages + 1
        assert (found, pages) == (seqs[::-1], 2)
        assert [each.seq for each in self.wait(self.part.messages("default", 0, 1000))] == seqs[::-1]

    def test_uplinks_that_are_only_kept_are_filtered_messages(self) -> None:
        a, b, c = self.store(b"a", b"b", b"c")
        self.part.settle("ds1", b, [], kept=2)
        self.store(b"d", datasource="ds2")
        states = [message.state for message in self.wait(self.part.messages("default", 0, 9, "ds1"))]
        assert states == [State.RECEIVED, State.FILTERED, State.FILTERED]
        assert self.listed(state=State.FILTERED) == [b, a]
        assert self.listed(state=State.RECEIVED, datasource="ds1") == [c]
        self.settle([Outcome(a, State.FAILED, "c/1")])
        assert self.listed(state=State.FILTERED) == [b]
        stats = self.wait(self.part.stats())
        assert stats["datasources"]["ds1"] == {"received": 3, "filtered": 1, "failed": 1}

    def test_what_came_in_is_converted_filtered_failed_or_waits(self) -> None:
        a, b, c, d = self.store(b"a", b"b", b"c", b"d")
        self.convert(a)
        self.settle([Outcome(b, State.FAILED, "c/1"), Outcome(c, State.FILTERED, "c/1")])
        stats = self.wait(self.reopen().stats())
        assert stats["received"] == 4
        done = stats["converted"] + stats["failed"] + stats["filtered"]
        assert stats["received"] == done + stats["waiting"]
        assert stats["datasources"]["ds1"] == {"received": 4, "converted": 1, "failed": 1, "filtered": 1}
        assert stats["uplink"] == {"first": a, "last": d, "oldest": self.now_ms}
        assert stats["bytes"] > 0
        assert stats["room"] is True

    def test_what_waits_in_quarantine_is_told_in_order_until_it_has_another_outcome(self) -> None:
        waits = ConversionError("?", "devices", "Quarantined", devices=("x", "y"))
        seqs = self.store(*[b"x"] * 5)
        states = [State.FILTERED, State.CONVERTED, State.FAILED, State.FILTERED, State.FILTERED]
        errors = [waits, waits, waits, None, ConversionError("?", name="Other")]
        self.settle([
            Outcome(seq, state, "c/1", (), error) for seq, state, error in zip(seqs, states, errors, strict=True)
        ])  # fmt: skip
        found = self.wait(self.part.quarantined(0, 10))
        assert [(each[0], each[4]) for each in found] == [(seqs[0], ("x", "y")), (seqs[1], ("x", "y"))]
        assert self.wait(self.part.quarantined(0, 1)) == found[:1]
        assert self.wait(self.part.quarantined(seqs[0], 10)) == found[1:]
        self.settle([Outcome(seqs[1], State.CONVERTED, "c/1")])
        assert self.wait(self.part.quarantined(0, 10)) == found[:1]
