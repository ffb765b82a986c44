"""SIGHUP, from the first moment on."""

import os
import signal

import pytest

from iotgw.app.hangups import Hangups


@pytest.fixture
def hang_up():
    """Sends one to this process; what was there before the test is put back."""
    before = signal.getsignal(signal.SIGHUP)
    yield lambda: os.kill(os.getpid(), signal.SIGHUP)
    signal.signal(signal.SIGHUP, before)


def test_one_that_came_before_anybody_listened_is_heard_once(hang_up):
    heard = []
    hangups = Hangups()
    hang_up()
    hang_up()
    hangups.listen(lambda: heard.append(1))
    hangups.listen(lambda: heard.append(2))
    assert heard == [1]


def test_each_is_heard_while_somebody_listens(hang_up):
    heard = []
    hangups = Hangups()
    hangups.listen(lambda: heard.append(1))
    assert heard == []
    hang_up()
    hang_up()
    assert heard == [1, 1]


def test_a_gateway_that_stops_hears_no_more(hang_up):
    heard = []
    hangups = Hangups()
    hangups.listen(lambda: heard.append(1))
    hangups.ignore()
    hang_up()
    assert heard == []
