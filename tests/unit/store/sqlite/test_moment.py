"""The moment at which all writers stand still."""

import threading

import pytest

from iotgw.core.errors import Unavailable
from iotgw.store.sqlite import moment
from iotgw.store.sqlite.moment import Moment


def test_a_writer_that_is_too_busy_makes_no_moment_and_the_others_go_on(monkeypatch):
    monkeypatch.setattr(moment, "PATIENCE", 0.01)
    went_on = threading.Event()

    def stands(function):
        threading.Thread(target=lambda: (function(), went_on.set())).start()

    with pytest.raises(Unavailable), Moment([stands, lambda function: None]):
        pass
    assert went_on.wait(30)


def test_a_writer_that_went_on_too_early_spoils_the_moment(monkeypatch):
    monkeypatch.setattr(moment, "LONGEST", 0.01)
    writer = []

    def stands(function):
        writer.append(threading.Thread(target=function))
        writer[0].start()

    with pytest.raises(Unavailable, match="too long"), Moment([stands]):
        writer[0].join()
