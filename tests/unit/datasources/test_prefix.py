"""The durable prefix of a partition, however answers come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from iotgw.datasources.prefix import DurablePrefix


def test_nothing_is_durable_before_the_first_message_is():
    prefix = DurablePrefix()
    prefix.begin(10, 1)
    later = prefix.begin(17, 1)
    assert not prefix.settle(later)
    assert prefix.reached is None


def test_the_prefix_grows_over_all_that_was_settled_early():
    prefix = DurablePrefix()
    first, second, third = (prefix.begin(position, 1) for position in (10, 12, 13))
    prefix.settle(second)
    assert prefix.settle(first)
    assert prefix.reached == 12
    assert prefix.settle(third)
    assert prefix.reached == 13


def test_a_message_is_durable_when_all_its_uplinks_are():
    prefix = DurablePrefix()
    mark = prefix.begin(1, 2)
    assert not prefix.settle(mark)
    assert prefix.settle(mark)
    assert prefix.reached == 1


def test_a_message_without_uplinks_waits_for_those_before_it():
    prefix = DurablePrefix()
    first = prefix.begin(1, 1)
    prefix.begin(2, 0)
    assert prefix.reached is None
    prefix.settle(first)
    assert prefix.reached == 2


def test_a_message_without_uplinks_is_durable_at_once_where_nothing_is_before_it():
    prefix = DurablePrefix()
    prefix.begin(1, 0)
    assert prefix.reached == 1


@given(st.lists(st.integers(0, 3), max_size=30), st.randoms(use_true_random=False))
def test_in_any_order_the_prefix_is_what_has_no_gap(uplinks, random):
    prefix = DurablePrefix()
    marks, left = [], []
    answers = [number for number, count in enumerate(uplinks) for _ in range(count)]
    begun = 0
    while begun < len(uplinks) or answers:
        ready = [number for number in answers if number < begun]
        if begun < len(uplinks) and (not ready or random.random() < 0.5):
            marks.append(prefix.begin(begun * 10, uplinks[begun]))
            left.append(uplinks[begun])
            begun += 1
        else:
            number = random.choice(ready)
            answers.remove(number)
            left[number] -= 1
            before = prefix.reached
            grew = prefix.settle(marks[number])
            assert grew is (prefix.reached != before)
        gap = next((number for number, open_ in enumerate(left) if open_), len(left))
        assert prefix.reached == ((gap - 1) * 10 if gap else None)
        assert len(prefix) == len(left) - gap
