"""Records between the stream and their end: who may go, who waits, and where the low-water mark is."""

import pytest

from iotgw.delivery.flight import Flight
from tests.unit.delivery.worlds import record


def flight_of(*devices, ordered=True, together=False):
    """A flight that was given a record per device, from 1 on; and those that went."""
    flight, batch = Flight(ordered), []
    flight.admit(
        [record(seq, device) for seq, device in enumerate(devices, 1)], batch, set() if together else None
    )
    flight.launch(batch)
    return flight, [each.seq for each in batch]


def seqs(records):
    return [each.seq for each in records]


@pytest.mark.parametrize(
    ("ordered", "together", "went"),
    [(True, False, [1, 2]), (True, True, [1, 2, 3]), (False, False, [1, 2, 3])],
    ids=["one of each device", "a batch of one device", "no order"],
)
def test_who_may_go(ordered, together, went):
    flight, gone = flight_of("a", "b", "a", ordered=ordered, together=together)
    assert gone == went
    assert (len(flight.in_flight), flight.waiting) == (len(went), 3 - len(went))


def test_the_first_is_the_oldest_that_has_not_ended():
    flight, _ = flight_of("a", "b", "c")
    flight.land([2, 1])
    assert flight.first.seq == 3
    flight.land([3])
    assert flight.first is None


def test_what_lands_makes_room_for_the_next_of_its_device():
    flight, _ = flight_of("a", "a", "a")
    assert not flight.ready_lines
    landed, others = flight.land([1, 99])
    assert (seqs(landed), others) == ([1], [99])
    assert flight.ready_lines
    assert seqs(flight.take_line(1)) == [2]


def test_what_comes_back_goes_before_what_waits():
    flight, _ = flight_of("a", "a")
    flight.back([1, 99])
    assert seqs(flight.take_line(9)) == [1, 2]


def test_a_batch_that_has_to_go_apart_goes_one_by_one():
    flight, _ = flight_of("a", "a", together=True)
    flight.apart([1, 2])
    assert flight.next_mark() is False
    assert seqs(flight.take_line(9)) == [1]


def test_a_suspect_is_known_as_such_from_the_second_time_on():
    flight, _ = flight_of("a")
    assert not flight.suspect(1)
    assert flight.suspect(1)
    flight.back([1])
    assert flight.next_mark() is True


def test_a_record_that_is_lifted_takes_those_behind_it_along():
    flight, _ = flight_of("a", "b", "a", "a")
    lifted = flight.lift(1)
    assert seqs(flight.empty_line(lifted)) == [3, 4]
    flight.free(lifted)
    assert seqs(flight) == [2]
    assert not flight.ready_lines
    assert flight.lift(1) is None


def test_clearing_gives_what_waits_and_leaves_what_flies():
    flight, _ = flight_of("a", "b", "b", "a")
    assert seqs(flight.clear()) == [3, 4]
    assert seqs(flight) == [1, 2]
