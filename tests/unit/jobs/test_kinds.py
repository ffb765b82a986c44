"""Messages are converted again, and dead letters sent again, as jobs."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.clock import PlainCalendar
from iotgw.core.errors import Conflict, NotFound
from iotgw.core.model import ConversionError, DeliveryState, Message, Outcome, Parked, State, Uplink
from iotgw.jobs.reprocess import ReprocessJobs
from iotgw.jobs.retry import RetryJobs


class Again:
    """A journal with five failed messages, and a converter that was mended."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.journal = testing.MemoryJournal(self.clock)
        self.pipeline = testing.FakePipeline()
        self.order: list[int] = []
        self.problems: dict[int, Exception] = {}
        self.pipeline.converts = self.convert
        for number in range(1, 6):
            uplink = Uplink("default", "ds1", number * 1000, b"x", b"{}")  # type: ignore[arg-type]
            seq = self.journal.append(uplink, (lambda answer: None, None))
            error = ConversionError("boom" if number != 4 else "bang")
            self.journal.settle("ds1", seq, [Outcome(seq, State.FAILED, "c/1", (), error)])
        self.journal.flush()
        self.kind = ReprocessJobs(self.journal, self.pipeline, PlainCalendar(self.clock))

    def convert(self, message: Message) -> State:
        if message.seq in self.problems:
            raise self.problems[message.seq]
        self.order.append(message.seq)
        self.journal.settle("ds1", 0, [Outcome(message.seq, State.CONVERTED, "c/2")])
        self.journal.flush()
        return State.CONVERTED

    def run(self, cursor: int = 0, **what: Any) -> testing.FakeJobRun:
        job = testing.FakeJobRun(what, cursor=cursor)
        testing.fired(self.kind.run(job))
        return job


@pytest.fixture
def again() -> Again:
    return Again()


def test_what_failed_is_converted_again_oldest_first(again: Again) -> None:
    job = again.run()
    assert again.order == [1, 2, 3, 4, 5]
    assert (job.total, job.counts) == (5, {"converted": 5})
    assert (job.before, job.after) == ({"messages": 5}, {"messages": 0})


def test_a_filter_leaves_some(again: Again) -> None:
    again.run(since=2000, until=5000)
    assert again.order == [2, 3, 4]
    assert again.run(datasource="ds2").total == 0


def test_it_goes_on_after_those_that_are_done(again: Again) -> None:
    job = again.run(cursor=3)
    assert (again.order, job.total) == ([4, 5], 2)


def test_what_is_gone_or_waits_or_has_changed_is_counted(again: Again) -> None:
    again.problems = {1: NotFound("its datasource is gone"), 2: Conflict("it waits")}
    job = again.run()
    assert job.counts == {"missing": 1, "waiting": 1, "converted": 3}


def test_a_message_that_somebody_else_has_converted_meanwhile_is_left_alone(again: Again) -> None:
    def convert(message: Message) -> State:
        again.journal.settle("ds1", 0, [Outcome(5, State.CONVERTED, "c/2")])
        return again.convert(message)

    again.pipeline.converts = convert
    job = again.run()
    assert (again.order, job.counts) == ([1, 2, 3, 4], {"converted": 4, "changed": 1})


def letter(seq: int, attempts: int = 10, error: str = "400") -> Parked:
    return Parked(
        "int1",
        testing.telemetry(seq, f"dev-{seq % 2}", received_ms=5000),
        DeliveryState.DEAD,
        attempts,
        0,
        error,
    )


class Letters(testing.FakeDelivery):
    """Dead letters; ``becomes`` says what becomes of one that is sent again."""

    def __init__(self, *letters: Parked) -> None:
        super().__init__()
        self.dead = list(letters)
        self.becomes = dict.fromkeys((each.record.seq for each in letters), "delivered")

    def stats(self, id: str) -> dict[str, Any]:
        return {"dead": len(self.dead)}

    def retry(self, id: str, seq: int | None = None) -> Any:
        found = next(each for each in self.dead if each.record.seq == seq)
        became = self.becomes[found.record.seq]
        if became != "waits":
            self.dead.remove(found)
        if became == "fails":
            self.dead.append(letter(found.record.seq, found.attempts + 1))
            self.dead.sort(key=lambda each: each.record.seq)
        return super().retry(id, seq)


def send(letters: Letters, clock: Clock | None = None, cursor: int = 0, **what: Any) -> testing.FakeJobRun:
    clock = clock or Clock()
    job = testing.FakeJobRun({"integration": "int1", **what}, cursor=cursor)
    done = RetryJobs(letters, clock).run(job)
    clock.pump([1.0] * 70)
    testing.fired(done)
    return job


def test_dead_letters_are_sent_again_and_counted() -> None:
    letters = Letters(*map(letter, range(1, 251)))
    letters.becomes[7] = "fails"
    job = send(letters)
    assert (job.total, job.counts) == (250, {"delivered": 249, "failed": 1})
    assert (job.before, job.after) == ({"dead": 250}, {"dead": 1})


def test_dead_letters_of_a_filter_are_sent_again() -> None:
    letters = Letters(letter(1), letter(2), letter(3, error="404: not found"))
    assert send(letters, device="dev-1", error="404").counts == {"delivered": 1}
    assert [each.record.seq for each in letters.dead] == [1, 2]
    assert send(letters, receivedBefore=5000).total == 0
    assert send(letters, receivedBefore=5001).total == 2


def test_letters_of_a_target_that_is_away_are_waiting() -> None:
    letters = Letters(letter(1), letter(2))
    letters.becomes[2] = "waits"
    assert send(letters).counts == {"delivered": 1, "waiting": 1}


def test_sending_goes_on_after_those_that_are_done() -> None:
    letters = Letters(*map(letter, range(1, 6)))
    assert send(letters, cursor=3).counts == {"delivered": 2}
    assert [each.record.seq for each in letters.dead] == [1, 2, 3]
