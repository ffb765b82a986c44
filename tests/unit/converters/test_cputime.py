"""CPU time as the kernel counts it: a timer that ends a process, and what another process has used."""

import os
import signal
import sys
import time
import traceback

import pytest

from iotgw.converters.cputime import OVER, CpuTimer, used_by


class Ticking(CpuTimer):
    """As where there is no exact timer."""

    def _create(self):
        return False


TIMERS = pytest.mark.parametrize("timer", [CpuTimer, Ticking], ids=["exact", "ticking"])


def forked(run):
    """A child that ends with what ``run`` returns."""
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(OVER, signal.SIG_DFL)
        os._exit(run() or 0)
    except BaseException:
        traceback.print_exc(file=sys.stderr)
        os._exit(70)


def status(run):
    return os.waitpid(forked(run), 0)[1]


def spin():
    while True:
        pass


@TIMERS
def test_a_process_that_has_used_up_its_time_is_ended(timer):
    def run():
        timer().set(0.02)
        spin()

    assert os.WTERMSIG(status(run)) == OVER


@TIMERS
def test_time_that_a_process_does_not_work_in_does_not_count(timer):
    def run():
        timer().set(0.2)
        time.sleep(0.3)

    assert status(run) == 0


@TIMERS
def test_a_timer_that_is_set_anew_begins_anew_and_0_stops_it(timer):
    def run():
        mine = timer()
        for limit in (0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0):
            mine.set(limit)
            begun = time.process_time()
            while time.process_time() - begun < (0.05 if limit else 0.3):
                pass

    assert status(run) == 0


def test_the_exact_timer_is_never_early():
    def run():
        fired = []
        signal.signal(OVER, lambda *_: fired.append(time.process_time()))
        mine = CpuTimer()
        begun = time.process_time()
        mine.set(0.05)
        while not fired:
            os.getppid()
        return 0 if not mine.is_exact or fired[0] - begun >= 0.05 else 1

    assert status(run) == 0


def test_what_another_process_has_used_can_be_seen():
    pid = forked(spin)
    try:
        before = used_by(pid)
        while used_by(pid) == before:
            pass
        assert before is not None and used_by(pid) > before
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    assert used_by(pid) is None and used_by(0) is None
