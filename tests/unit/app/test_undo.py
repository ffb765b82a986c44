"""What was begun ends the other way round, each step when the one before has ended."""

import pytest
from twisted.internet.defer import Deferred, ensureDeferred

from iotgw.app.undo import Undo
from iotgw.core.errors import Unavailable


def test_the_last_ends_first_and_is_waited_for():
    done, slow = [], Deferred()
    undo = Undo("work")
    undo.append(lambda: done.append("first"))
    undo.append(lambda: slow)
    undo.append(lambda: done.append("last"))
    ended = ensureDeferred(undo.all())
    assert done == ["last"]
    slow.callback(None)
    assert done == ["last", "first"]
    assert ended.called


def test_each_step_is_done_once():
    done, undo = [], Undo("work")
    undo.append(lambda: done.append(1))
    for _ in range(2):
        ensureDeferred(undo.all())
    assert done == [1]


def test_a_step_that_fails_keeps_no_other_from_being_done():
    done, undo = [], Undo("work")
    undo.append(lambda: done.append(1))

    def fails():
        raise Unavailable("gone")

    undo.append(fails)
    ensureDeferred(undo.all())
    assert done == [1]


def test_a_bug_is_not_hidden():
    undo = Undo("work")
    undo.append(lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        undo.all().send(None)
