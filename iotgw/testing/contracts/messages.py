"""What any journal shows a person."""

from __future__ import annotations

from typing import Any

from iotgw.core.model import ConversionError, Outcome, State
from iotgw.testing.contracts.journal_world import JournalWorld, output


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
