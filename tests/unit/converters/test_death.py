"""Whose doing a worker's end is: its script's, or somebody else's."""

import signal

import pytest

from iotgw.converters.cputime import OVER
from iotgw.converters.death import MEMORY, TIME, explain
from iotgw.converters.protocol import OUT_OF_MEMORY, RECYCLE


@pytest.mark.parametrize(
    ("status", "cause", "is_own"),
    [
        (int(OVER), TIME, True),
        (int(signal.SIGSEGV), "the worker was ended by SIGSEGV", True),
        (int(signal.SIGABRT), "the worker was ended by SIGABRT", True),
        (OUT_OF_MEMORY << 8, MEMORY, True),
        (70 << 8, "the worker ended with code 70", True),
        (int(signal.SIGKILL), "the worker was ended by SIGKILL", False),
        (int(signal.SIGTERM), "the worker was ended by SIGTERM", False),
        (int(signal.SIGALRM), "the worker was ended by SIGALRM", False),
        (0, "the worker ended with code 0", False),
        (None, "the worker went away", False),
    ],
)
def test_a_death_is_a_scripts_own_where_something_shows_it(status, cause, is_own):
    death = explain(status)
    assert (death.cause, death.is_own, death.is_peaceful) == (cause, is_own, False)


def test_a_worker_that_asks_to_be_replaced_has_died_of_nothing():
    assert explain(RECYCLE << 8).is_peaceful and not explain(RECYCLE << 8).is_own


def test_a_worker_that_the_watchdog_ended_for_its_time_died_of_that():
    assert explain(int(signal.SIGKILL), is_overrun=True).cause == TIME
    assert explain(int(signal.SIGSEGV), is_overrun=True).cause != TIME
