"""What any intake does: the gateway as a datasource sees it."""

from __future__ import annotations

from iotgw.core.model import Answer, Downlink, Metadata, Status
from iotgw.core.ports.intake import IIntake
from iotgw.testing.contracts.base import Contract

ITEM = Downlink("1", "meter", b"go")


class IntakeContract(Contract[IIntake]):
    """For `IIntake` of a datasource that answers when an uplink is stored.

    Many methods: one for each thing that a datasource relies on.
    """

    max_payload = 1_000
    """Largest payload that the part accepts, in bytes."""

    def fill(self) -> None:
        """From now on the gateway is full."""
        raise NotImplementedError

    def drain(self) -> None:
        """The gateway has room again."""
        raise NotImplementedError

    def queue(self, device: str, content: bytes) -> None:
        """Queue a text for a device."""
        raise NotImplementedError

    def reports(self) -> list[tuple[str, str]]:
        """What was reported of downlinks: pairs of an item's id and ``sent``, ``delivered``, …"""
        raise NotImplementedError

    def stored_keys(self) -> list[str]:
        """The keys of the uplinks that were stored, in order."""
        raise NotImplementedError

    def receive(
        self, payload: bytes = b"x", metadata: Metadata | None = None, listens: bool = True
    ) -> list[Answer]:
        """Hand in an uplink; the list gets its answer."""
        answers: list[Answer] = []
        self.part.receive(payload, metadata or {}, answers.append, listens=listens)
        return answers

    def answer(self, payload: bytes = b"x", metadata: Metadata | None = None, listens: bool = True) -> Answer:
        """Hand in an uplink, and wait for its only answer."""
        answers = self.receive(payload, metadata, listens)
        self.until(lambda: answers)
        (answer,) = answers
        return answer

    def hold(self, answers: list[Answer]) -> object:
        """Hand in the uplink of a device that listens for five seconds."""
        return self.part.receive_and_hold(b"x", {"identity": "meter"}, answers.append, 5.0)

    def test_an_uplink_is_answered_once_it_is_stored(self) -> None:
        assert self.part.room
        answer = self.answer()
        assert (answer.status, answer.downlinks) == (Status.STORED, ())

    def test_without_a_converter_that_states_facts_no_message_waits_for_another(self) -> None:
        assert not self.part.sets_facts
        answer = self.answer()
        assert answer.reply is None and not answer.facts

    def test_a_larger_payload_than_the_gateway_takes_is_refused_at_once(self) -> None:
        (answer,) = self.receive(b"x" * (self.max_payload + 1))
        assert answer.status is Status.TOO_LARGE
        assert self.answer(b"x" * self.max_payload).status is Status.STORED

    def test_without_room_an_uplink_is_refused_at_once_with_the_time_to_wait(self) -> None:
        self.ready()
        self.fill()
        assert not self.part.room
        (answer,) = self.receive()
        assert answer.status is Status.BUSY
        assert answer.retry_after > 0

    def test_who_waits_for_room_is_called_once_when_there_is_some(self) -> None:
        calls: list[str] = []
        self.part.when_room(lambda: calls.append("at once"))
        assert calls == ["at once"]
        self.fill()
        self.part.when_room(lambda: calls.append("later"))
        assert calls == ["at once"]
        self.drain()
        self.until(lambda: len(calls) == 2)
        assert calls == ["at once", "later"]
        assert self.answer().status is Status.STORED

    def test_a_downlink_goes_with_the_answer_to_its_device(self) -> None:
        self.ready()
        self.queue("meter", b"go")
        assert self.answer(metadata={"identity": "another"}).downlinks == ()
        (downlink,) = self.answer(metadata={"identity": "meter"}).downlinks
        assert downlink.payload == b"go"
        assert self.answer(metadata={"identity": "meter"}).downlinks == ()

    def test_an_answer_that_can_carry_no_downlink_takes_none(self) -> None:
        self.ready()
        self.queue("meter", b"go")
        assert self.answer(metadata={"identity": "meter"}, listens=False).downlinks == ()
        assert len(self.answer(metadata={"identity": "meter"}).downlinks) == 1

    def test_a_device_that_can_be_reached_takes_what_waits(self) -> None:
        assert self.wait(self.part.downlinks("meter")) == ()
        for content in (b"a", b"b", b"c"):
            self.queue("meter", content)
        assert [each.payload for each in self.wait(self.part.downlinks("meter", 2))] == [b"a", b"b"]
        assert [each.payload for each in self.wait(self.part.downlinks("meter"))] == [b"c"]

    def test_the_answer_to_a_device_that_listens_waits_for_a_downlink(self) -> None:
        answers: list[Answer] = []
        self.hold(answers)
        self.clock.pump([0.1] * 10)
        assert answers == []
        self.queue("meter", b"go")
        self.until(lambda: answers)
        assert [each.payload for each in answers[0].downlinks] == [b"go"]

    def test_it_goes_without_one_when_the_time_is_over(self) -> None:
        answers: list[Answer] = []
        self.hold(answers)
        self.clock.pump([1.0] * 6)
        (answer,) = answers
        assert (answer.status, answer.downlinks) == (Status.STORED, ())

    def test_a_device_that_went_away_is_not_answered_and_takes_nothing(self) -> None:
        answers: list[Answer] = []
        let_go = self.part.receive_and_hold(b"x", {"identity": "meter"}, answers.append, 5.0)
        self.clock.pump([0.1] * 10)
        let_go()
        self.queue("meter", b"go")
        self.clock.pump([1.0] * 6)
        assert answers == []
        assert len(self.answer(metadata={"identity": "meter"}).downlinks) == 1

    def test_reports_about_downlinks_go_to_their_queue(self) -> None:
        self.part.downlink_sent(ITEM)
        self.part.downlink_delivered(ITEM)
        self.part.downlink_delivered(ITEM, is_certain=False)
        self.part.downlink_lost(ITEM, "no ack")
        self.part.downlink_lost(ITEM, "later", {"code": "5.03"})
        self.part.downlink_delivered(ITEM, result={"code": "2.04"})
        self.part.downlink_refused(ITEM, "no", {"code": "4.04"})
        self.part.downlink_carried_out(ITEM, {"code": "2.05"})
        self.part.downlink_returned(ITEM)
        self.part.downlink_offered(ITEM)
        states = [
            "sent",
            "delivered",
            "answered",
            "lost",
            "lost",
            "delivered",
            "refused",
            "carried out",
            "returned",
            "offered",
        ]
        assert self.reports() == [("1", state) for state in states]

    def test_an_uplink_with_the_key_of_another_one_is_answered_like_it_and_not_stored(self) -> None:
        answers: list[Answer] = []
        for key in ("a", "b", "a"):
            self.part.receive(b"x", {}, answers.append, key=key)
        self.until(lambda: len(answers) == 3)
        self.part.receive(b"x", {}, answers.append, key="b")
        self.until(lambda: len(answers) == 4)
        assert {answer.status for answer in answers} == {Status.STORED}
        assert self.stored_keys() == ["a", "b"]

    def test_an_uplink_that_was_not_taken_is_no_first_one(self) -> None:
        self.ready()
        self.fill()
        answers: list[Answer] = []
        self.part.receive(b"x", {}, answers.append, key="a")
        assert answers[0].status is Status.BUSY
        self.drain()
        self.part.receive(b"x", {}, answers.append, key="a")
        self.until(lambda: len(answers) == 2)
        assert answers[1].status is Status.STORED
        assert self.stored_keys() == ["a"]

    def test_earlier_keys_can_be_recalled_at_any_time(self) -> None:
        self.wait(self.part.recall())
        self.wait(self.part.recall())

    def test_a_guard_can_be_set_and_taken_away(self) -> None:
        assert self.part.guard is None
        self.part.guard = lambda metadata, outputs: "not yours"
        assert self.part.guard(b"{}", ()) == "not yours"
        self.part.guard = None
