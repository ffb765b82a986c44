"""The in-order hand-over that streams and subscriptions share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from iotgw.core.model import Answer, Status
from iotgw.datasources.feed import Feed


class Gateway:
    """An intake in a test's hands: ``room`` as the test says, and answers when it says so."""

    def __init__(self) -> None:
        self.room = True
        self.handed: list[int] = []
        self.open: dict[int, Callable[[Answer], None]] = {}
        self.listening: list[bool] = []
        self._waiting: list[Callable[[], None]] = []

    def receive(self, payload, metadata, answer, received_ms=0, listens=True, key=""):
        assert self.room, "handed over without room"
        number = int(payload)
        assert number not in self.open
        self.handed.append(number)
        self.listening.append(listens)
        self.open[number] = answer

    def when_room(self, callback):
        if self.room:
            callback()
        else:
            self._waiting.append(callback)

    def answer(self, number: int, status: Status = Status.STORED, after: float = 0.0) -> None:
        self.open.pop(number)(Answer(status, retry_after=after))

    def drain(self) -> None:
        self.room = True
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            callback()


class Source:
    """A source that submits its numbers, and notes what becomes of them."""

    def __init__(self, is_prefixed: bool = False, **more) -> None:
        self.gateway = Gateway()
        self.clock = Clock()
        self.paused: list[bool] = []
        self.replies: list[tuple[int, Status]] = []
        self.settled = 0
        self.prefixes: list[int] = []
        if is_prefixed:
            more["settled_up_to"] = self.prefixes.append
        self.feed = Feed(
            self.gateway,
            self.clock,
            lambda: self.paused.append(True),
            lambda: self.paused.append(False),
            settled=self._settled,
            **more,
        )
        self.last = 0

    def _settled(self) -> None:
        self.settled += 1

    def submit(self, count: int = 1, **more) -> None:
        for _ in range(count):
            number, reply = self._next()
            assert self.feed.submit(b"%d" % number, {}, reply, **more) == number

    def write(self, is_kept: bool = False) -> None:
        number, reply = self._next()

        def write() -> Deferred[bool]:
            written: Deferred[bool] = Deferred()
            self.gateway.receive(
                b"%d" % number, {}, lambda answer: written.callback(answer.status is not Status.BUSY)
            )
            return written

        assert self.feed.write(write, reply, is_kept) == number

    def _next(self) -> tuple[int, Callable[[Answer], None]]:
        self.last += 1
        number = self.last
        return number, lambda answer: self.replies.append((number, answer.status))

    @property
    def handed(self) -> list[int]:
        return self.gateway.handed


def test_messages_are_handed_over_as_they_come_and_replied_to_as_they_are_answered():
    source = Source()
    source.submit(3)
    source.gateway.answer(2)
    source.gateway.answer(1, Status.FAILED)
    assert source.handed == [1, 2, 3]
    assert source.replies == [(2, Status.STORED), (1, Status.FAILED)]
    assert (source.settled, source.feed.unsettled, source.paused) == (2, 1, [])


def test_without_room_the_source_is_paused_once_and_goes_on_in_order():
    source = Source()
    source.gateway.room = False
    source.submit(3)
    assert (source.handed, source.paused, source.feed.is_waiting) == ([], [True], True)
    source.gateway.drain()
    assert (source.handed, source.paused, source.feed.is_waiting) == ([1, 2, 3], [True, False], False)


def test_a_group_that_the_journal_refused_comes_again_in_its_order_and_before_what_waits():
    source = Source()
    source.submit(3)
    for number in (1, 2, 3):
        source.gateway.answer(number, Status.BUSY, after=2.0)
    source.submit(1)
    source.clock.advance(1.9)
    assert source.handed == [1, 2, 3] and source.paused == [True]
    source.clock.advance(0.1)
    assert source.handed == [1, 2, 3, 1, 2, 3, 4] and source.paused == [True, False]
    assert source.replies == []


def test_the_longest_time_that_was_asked_for_is_kept():
    source = Source()
    source.submit(2)
    source.gateway.answer(1, Status.BUSY, after=1.0)
    source.gateway.answer(2, Status.BUSY, after=5.0)
    source.clock.advance(4.9)
    assert source.handed == [1, 2]
    source.clock.advance(0.2)
    assert source.handed == [1, 2, 1, 2]


def test_a_message_that_is_refused_at_once_is_not_tried_in_a_loop():
    source = Source()
    source.gateway.receive = lambda payload, metadata, answer, **_: (
        source.gateway.handed.append(int(payload)),
        answer(Answer(Status.BUSY, retry_after=1.0)),
    )
    source.submit(2)
    assert source.handed == [1]
    source.clock.advance(1.0)
    assert source.handed == [1, 1]


def test_what_the_source_does_not_keep_is_handed_over_after_it_left():
    source = Source()
    source.gateway.room = False
    source.submit(1)
    source.submit(1, is_kept=True)
    source.submit(1)
    source.feed.close()
    source.gateway.drain()
    assert source.handed == [1, 3] and source.paused == [True]


def test_what_was_refused_after_the_source_left_is_its_own_to_bring_again_if_it_keeps_it():
    source = Source()
    source.submit(1, is_kept=True)
    source.submit(1)
    source.feed.close()
    for number in (1, 2):
        source.gateway.answer(number, Status.BUSY)
    source.clock.advance(1.0)
    assert source.handed == [1, 2, 2]
    source.gateway.answer(2)
    assert source.feed.unsettled == 0


def test_a_feed_that_is_closed_with_nothing_to_hand_over_leaves_no_timer():
    source = Source()
    source.submit(1, is_kept=True)
    source.gateway.answer(1, Status.BUSY)
    source.feed.close()
    assert source.clock.getDelayedCalls() == []


def test_a_source_with_too_much_unsettled_is_paused_until_half_of_it_is_settled():
    source = Source(most=4)
    source.submit(4)
    assert source.paused == [True]
    source.gateway.answer(3)
    assert source.paused == [True]
    source.gateway.answer(1)
    assert source.paused == [True, False]


def test_the_prefix_waits_for_the_earliest():
    source = Source(is_prefixed=True)
    source.submit(4)
    for number in (2, 3, 1, 4):
        source.gateway.answer(number)
    assert source.prefixes == [3, 4]


def test_a_message_that_stays_unsettled_stops_a_source_that_acknowledges_prefixes():
    source = Source(is_prefixed=True, most=4)
    source.submit(4)
    for number in (2, 3, 4):
        source.gateway.answer(number)
    assert source.paused == [True] and source.feed.unsettled == 4
    source.gateway.answer(1)
    assert source.paused == [True, False] and source.prefixes == [4]


@pytest.mark.parametrize("listens", [True, False])
def test_whether_an_answer_can_carry_a_downlink_is_passed_on(listens):
    source = Source()
    source.submit(1, listens=listens)
    assert source.gateway.listening == [listens]


def test_what_else_must_be_durable_takes_its_turn_and_is_tried_again_until_it_is():
    source = Source(is_prefixed=True)
    source.submit(1)
    source.write(is_kept=True)
    source.submit(1)
    assert source.handed == [1, 2, 3]
    source.gateway.answer(1)
    source.gateway.answer(3)
    source.gateway.answer(2, Status.BUSY)
    assert (source.prefixes, source.paused) == ([1], [True])
    source.clock.advance(1)
    assert source.handed == [1, 2, 3, 2]
    source.gateway.answer(2)
    assert (source.prefixes, source.paused) == ([1, 3], [True, False])


class AnyOrder(RuleBasedStateMachine):
    """Whatever the gateway answers, and whenever the source leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.source = Source(is_prefixed=True, most=12)
        self.gateway = self.source.gateway
        self.pending: set[int] = set()
        """Submitted, and neither in the gateway's hands nor settled."""
        self.kept: set[int] = set()
        self.done: set[int] = set()
        self.is_closed = False
        receive = self.gateway.receive

        def checked(payload, *args, **more):
            number = int(payload)
            assert number == min(self.pending)
            self.pending.discard(number)
            receive(payload, *args, **more)

        self.gateway.receive = checked

    @precondition(lambda self: not self.is_closed)
    @rule(count=st.integers(1, 5), is_kept=st.booleans(), is_message=st.booleans())
    def submit(self, count, is_kept, is_message):
        if self.source.paused and self.source.paused[-1]:
            return  # a source that is paused reads nothing
        for _ in range(count):
            self.pending.add(self.source.last + 1)
            if is_kept:
                self.kept.add(self.source.last + 1)
            if is_message:
                self.source.submit(1, is_kept=is_kept)
            else:
                self.source.write(is_kept)

    @precondition(lambda self: self.gateway.open)
    @rule(data=st.data(), status=st.sampled_from(Status), after=st.sampled_from([0.0, 0.5, 3.0]))
    def answer(self, data, status, after):
        number = data.draw(st.sampled_from(sorted(self.gateway.open)))
        if status is not Status.BUSY:
            self.done.add(number)
        elif not (self.is_closed and number in self.kept):
            self.pending.add(number)
        self.gateway.answer(number, status, after)

    @rule()
    def fill(self):
        self.gateway.room = False

    @rule()
    def drain(self):
        self.gateway.drain()

    @rule(seconds=st.sampled_from([0.1, 1.0, 10.0]))
    def wait(self, seconds):
        self.source.clock.advance(seconds)

    @rule()
    def close(self):
        self.is_closed = True
        self.pending -= self.kept
        self.source.feed.close()

    @invariant()
    def only_what_is_settled_is_replied_to_once(self):
        assert sorted(number for number, _ in self.source.replies) == sorted(self.done)
        assert all(status is not Status.BUSY for _, status in self.source.replies)

    @invariant()
    def the_prefix_is_settled_and_as_long_as_can_be(self):
        prefixes = self.source.prefixes
        assert prefixes == sorted(set(prefixes))
        reported = prefixes[-1] if prefixes else 0
        assert set(range(1, reported + 1)) <= self.done
        assert self.is_closed or reported + 1 not in self.done

    @invariant()
    def the_source_is_paused_and_resumed_in_turn_and_while_something_waits(self):
        paused = self.source.paused
        assert paused == [number % 2 == 0 for number in range(len(paused))]
        if not self.is_closed and self.pending:
            assert paused and paused[-1]

    @invariant()
    def there_is_one_timer_at_most(self):
        assert len(self.source.clock.getDelayedCalls()) <= 1

    def teardown(self):
        for _ in range(100):
            self.gateway.drain()
            self.source.clock.advance(10.0)
            for number in sorted(self.gateway.open):
                self.done.add(number)
                self.gateway.answer(number)
        lost = set(range(1, self.source.last + 1)) - self.done
        assert lost <= self.kept, "only what the source brings again is let go of"
        assert self.is_closed or not lost
        if not self.is_closed:
            assert not self.source.paused or not self.source.paused[-1]
            assert self.source.feed.unsettled == 0


AnyOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase


def test_answers_that_come_at_once_need_no_stack():
    class Quick(Gateway):
        def receive(self, payload, metadata, answer, *more, **named):
            super().receive(payload, metadata, answer, *more, **named)
            answer(Answer(Status.TOO_LARGE))

    gateway, answers = Quick(), []
    gateway.room = False
    feed = Feed(gateway, Clock(), lambda: None, lambda: None)
    for number in range(3000):
        feed.submit(b"%d" % number, {}, answers.append)
    gateway.room = True
    waiting, gateway._waiting = gateway._waiting, []
    for callback in waiting:
        callback()
    assert gateway.handed == list(range(3000))
    assert len(answers) == 3000


def test_a_feed_is_quiet_when_the_gateway_has_answered_whatever_it_said():
    gateway, quiet = Gateway(), []
    feed = Feed(gateway, Clock(), lambda: None, lambda: None)
    feed.when_quiet(lambda: quiet.append("at once"))
    feed.submit(b"1", {}, lambda answer: None, is_kept=True)
    feed.submit(b"2", {}, lambda answer: None, is_kept=True)
    feed.close()
    feed.when_quiet(lambda: quiet.append("later"))
    gateway.open[1](Answer(Status.BUSY))
    assert quiet == ["at once"]
    gateway.open[2](Answer(Status.STORED))
    assert quiet == ["at once", "later"]
