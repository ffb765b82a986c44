"""Services that start one after another and stop the other way round."""

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from iotgw.app.ordered import OrderedServices, PartService


class Part:
    """A part whose start and stop are over when the test says so; ``said`` is what all of them did."""

    def __init__(self, name, said):
        self.name = name
        self.said = said
        self.started, self.stopped = Deferred(), Deferred()

    def start(self):
        self.said.append(f"{self.name} starts")
        return self.started

    def stop(self):
        self.said.append(f"{self.name} stops")
        return self.stopped


class Told(OrderedServices):
    """Says what it is told of a failed start."""

    said: list

    def start_failed(self, failure):
        self.said.append(f"failed: {failure.getErrorMessage()}")


class House:
    def __init__(self, *names):
        self.said = []
        self.clock = Clock()
        self.top = Told(self.clock, patience=5.0)
        self.top.said = self.said
        self.parts = {name: Part(name, self.said) for name in names}
        for name, part in self.parts.items():
            PartService(name, part.start, part.stop).setServiceParent(self.top)

    def __getitem__(self, name):
        return self.parts[name]

    def over(self, deferred):
        """Whether it has fired; what it fired with is looked at elsewhere."""
        return deferred.called


@pytest.fixture
def house():
    return House("store", "spine", "door")


def up(house, *names):
    for name in names:
        house[name].started.callback(None)


def test_each_waits_for_the_one_before_it(house):
    started = house.top.startService()
    assert house.said == ["store starts"]
    up(house, "store")
    assert house.said == ["store starts", "spine starts"]
    up(house, "spine")
    assert not house.over(started)
    up(house, "door")
    assert house.over(started) and house.said[-1] == "door starts"


def test_they_stop_the_other_way_round_each_waiting(house):
    up(house, *house.parts)
    house.top.startService()
    del house.said[:]
    stopped = house.top.stopService()
    assert house.said == ["door stops"]
    house["door"].stopped.callback(None)
    house["spine"].stopped.callback(None)
    assert house.said == ["door stops", "spine stops", "store stops"] and not house.over(stopped)
    house["store"].stopped.callback(None)
    assert house.over(stopped)


def test_when_one_cannot_start_those_before_it_stop_and_those_behind_it_never_start(house):
    for part in house.parts.values():
        part.stopped.callback(None)
    failed = []
    house.top.startService().addErrback(failed.append)
    up(house, "store")
    house["spine"].started.errback(OSError("no room"))
    assert house.said == ["store starts", "spine starts", "failed: no room", "store stops"]
    assert failed[0].check(OSError)
    assert house.over(house.top.stopService()) and house.said[-1] == "store stops"


def test_it_has_failed_only_when_the_others_have_stopped(house):
    failed = house.top.startService()
    up(house, "store")
    house["spine"].started.errback(OSError("no room"))
    assert not house.over(failed)
    house["store"].stopped.callback(None)
    assert house.over(failed)
    failed.addErrback(lambda failure: None)


def test_a_start_that_raises_at_once_is_one_that_fails():
    def raises():
        raise OSError("at once")

    top = Told(Clock(), 5.0)
    top.said = []
    PartService("only", raises).setServiceParent(top)
    top.startService().addErrback(lambda failure: None)
    assert top.said == ["failed: at once"]


def test_a_stop_while_one_starts_waits_for_it_and_starts_no_further_one(house):
    for part in house.parts.values():
        part.stopped.callback(None)
    started = house.top.startService()
    up(house, "store")
    stopped = house.top.stopService()
    assert house.said == ["store starts", "spine starts"]
    up(house, "spine")
    assert house.said[2:] == ["spine stops", "store stops"]
    assert house.over(started) and house.over(stopped)


def test_a_stop_waits_for_a_start_that_fails_too(house):
    for part in house.parts.values():
        part.stopped.callback(None)
    house.top.startService().addErrback(lambda failure: None)
    up(house, "store")
    stopped = house.top.stopService()
    house["spine"].started.errback(OSError("no room"))
    assert house.said[2:] == ["failed: no room", "store stops"]
    assert house.over(stopped)


def test_a_stop_does_not_wait_for_ever(house):
    house["store"].stopped.callback(None)
    house.top.startService()
    up(house, "store")
    stopped = house.top.stopService()
    house.clock.advance(4.9)
    assert not house.over(stopped)
    house.clock.advance(0.2)
    assert house.over(stopped) and house.said[2:] == ["store stops"]
    assert not house.clock.getDelayedCalls()


def test_one_that_cannot_be_stopped_keeps_none_of_the_others(house):
    up(house, *house.parts)
    house.top.startService()
    del house.said[:]
    house["door"].stopped.errback(OSError("stuck"))
    house["spine"].stopped.callback(None)
    house["store"].stopped.callback(None)
    assert house.over(house.top.stopService())
    assert house.said == ["door stops", "spine stops", "store stops"]


def test_what_never_started_stops_at_once(house):
    assert house.over(house.top.stopService()) and house.said == []
