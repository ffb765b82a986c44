"""A script that keeps dying is suspended for a while, and never for ever."""

from iotgw.converters.breaker import GOOD_RUN, PAUSE, PAUSE_CAP, STRIKES, ScriptBreaker


def struck(times, now=0.0):
    breaker = ScriptBreaker()
    return breaker, [breaker.strike(now, "why") for _ in range(times)]


def test_the_fifth_death_in_a_row_suspends_and_the_fourth_does_not():
    breaker, opened = struck(STRIKES)
    assert opened == [False] * (STRIKES - 1) + [True]
    assert breaker.suspended_for(0.0) == PAUSE and breaker.suspended_for(PAUSE) == 0


def test_deaths_that_are_not_in_a_row_do_not_suspend():
    breaker, _ = struck(STRIKES - 1)
    breaker.survived()
    assert not any(breaker.strike(0.0, "why") for _ in range(STRIKES - 1))


def test_after_a_suspension_one_death_is_enough_and_the_next_is_longer():
    breaker, _ = struck(STRIKES)
    assert breaker.strike(PAUSE, "again")
    assert breaker.suspended_for(PAUSE) == 2 * PAUSE
    for _ in range(20):
        breaker.strike(0.0, "again")
    assert breaker.suspended_for(0.0) == PAUSE_CAP


def test_a_suspect_is_trusted_again_after_a_run_of_good_calls():
    breaker, _ = struck(1)
    assert [breaker.survived() for _ in range(GOOD_RUN)] == [False] * (GOOD_RUN - 1) + [True]
    assert not breaker.is_suspect
