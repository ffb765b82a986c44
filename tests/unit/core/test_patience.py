"""Waiting no longer than somebody can."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from iotgw.core.errors import NotFound, Unavailable
from iotgw.core.patience import within


def waited(doing, clock):
    found = []
    within(5.0, doing, clock, "later").addBoth(found.append)
    return found


@pytest.mark.parametrize("result", [7, None])
def test_the_result_comes_when_it_is_there(result):
    clock, doing = Clock(), Deferred()
    found = waited(doing, clock)
    clock.advance(4)
    doing.callback(result)
    assert (found, clock.getDelayedCalls()) == ([result], [])


def test_a_failure_comes_as_it_is():
    clock, doing = Clock(), Deferred()
    found = waited(doing, clock)
    doing.errback(NotFound("gone"))
    assert found[0].check(NotFound)
    assert clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "end", [lambda doing: doing.callback(1), lambda doing: doing.errback(NotFound("gone"))]
)
def test_what_takes_longer_goes_on_and_nobody_hears_how_it_ended(end):
    clock, doing = Clock(), Deferred()
    found = waited(doing, clock)
    clock.advance(5)
    assert found[0].check(Unavailable)
    assert found[0].getErrorMessage() == "later"
    assert not doing.called
    end(doing)
    assert len(found) == 1
