"""Requests for messages: how many run at once, and when the next one follows."""

from __future__ import annotations

import pytest

from iotgw import testing
from iotgw.datasources.polling import Polling


class Asked:
    def __init__(self, most=3, **more):
        self.clock = testing.MemoryReactor()
        self.running = []
        self.polling = Polling(
            self.clock, self.running.append, most, lambda failures: 10.0 * failures, **more
        )
        self.polling.start()

    def answer(self, count, after=5.0):
        self.clock.advance(after)
        self.running.pop(0)(count)


@pytest.fixture
def asked():
    return Asked()


def test_one_request_waits_while_nothing_comes(asked):
    for _ in range(3):
        assert len(asked.running) == 1
        asked.answer(0)


def test_more_run_while_messages_come_and_one_when_they_end(asked):
    asked.answer(10, after=0)
    assert len(asked.running) == 2
    asked.answer(10, after=0)
    assert len(asked.running) == 3
    asked.answer(10, after=0)
    assert len(asked.running) == 3
    asked.answer(0)
    assert len(asked.running) == 2
    asked.answer(0)
    assert len(asked.running) == 1


def test_answers_with_few_messages_take_the_requests_back_one_by_one():
    asked = Asked(many=5)
    for _ in range(3):
        asked.answer(5)
    assert len(asked.running) == 3
    asked.answer(4)
    assert len(asked.running) == 2
    for _ in range(3):
        asked.answer(1)
    assert len(asked.running) == 1


def test_a_broker_that_has_nothing_at_once_is_not_asked_without_end(asked):
    asked.answer(0, after=0)
    assert asked.running == []
    asked.clock.advance(1)
    assert len(asked.running) == 1


def test_failures_are_waited_for_longer_and_longer(asked):
    asked.answer(-1)
    asked.clock.advance(9.9)
    assert asked.running == []
    asked.clock.advance(0.1)
    asked.answer(-1)
    asked.clock.advance(19.9)
    assert asked.running == []
    asked.clock.advance(0.1)
    assert len(asked.running) == 1


def test_the_time_that_a_broker_wants_is_waited_for(asked):
    asked.polling.not_before = asked.clock.seconds() + 100
    asked.answer(-1)
    asked.clock.advance(94.9)
    assert asked.running == []
    asked.clock.advance(0.1)
    assert len(asked.running) == 1


def test_nothing_is_asked_while_it_is_paused(asked):
    asked.polling.pause()
    asked.answer(10)
    assert asked.running == []
    asked.polling.resume()
    assert len(asked.running) == 2


def test_after_its_end_nothing_is_asked_and_no_timer_runs(asked):
    asked.answer(-1)
    asked.polling.stop()
    assert asked.clock.getDelayedCalls() == []
    asked.polling.resume()
    assert asked.running == []
