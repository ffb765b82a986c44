"""A timer that rings at the earliest time."""

from twisted.internet.task import Clock

from iotgw.delivery.alarm import Alarm


def rung(*asked, until=100.0):
    """When an alarm rings that was asked for these times."""
    clock, times = Clock(), []
    alarm = Alarm(clock, lambda: times.append(round(clock.seconds())))
    for when in asked:
        alarm.at(when)
    clock.pump([1.0] * int(until))
    return times


def test_it_rings_once_at_the_earliest_time():
    assert rung(5.0, 9.0) == [5]
    assert rung(9.0, 5.0) == [5]


def test_a_time_that_has_passed_is_next():
    assert rung(-3.0) == [1]


def test_stopped_it_does_not_ring():
    clock, times = Clock(), []
    alarm = Alarm(clock, lambda: times.append(1))
    alarm.stop()
    alarm.at(2.0)
    alarm.stop()
    clock.advance(5)
    assert times == []
