"""Limits in ThingsBoard's form."""

from __future__ import annotations

import pytest

from iotgw.core.rate_limit import RateLimit, Reached, Rule, read_rules
from iotgw.core.windows import Windows


def limit(text: str, keys: int = 1) -> RateLimit:
    return RateLimit(read_rules(text), keys)


def test_a_limit_is_counts_and_seconds() -> None:
    assert read_rules("100:1,2000:60") == (Rule(100, 1), Rule(2000, 60))
    assert read_rules("") == ()
    assert str(Rule(100, 1)) == "100:1"


@pytest.mark.parametrize(
    "text",
    ["100", "100:", ":1", "0:1", "1:0", "-1:1", "1:1,", ",1:1", "1:1;2:2", " 1:1", "1.5:1", "1:1,1:2,1:3,1:4,1:5,1:6", "9999999999:1", "²:1"],
)  # fmt: skip
def test_what_is_no_limit_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 100:1,2000:60"):
        read_rules(text)


def test_as_many_pass_as_a_window_lets_and_the_next_window_begins_anew() -> None:
    rates = limit("3:10")
    for at in (100.0, 101.0, 102.0):
        assert rates.beyond("", at) is None
        rates.take("", at)
    assert rates.beyond("", 103.0) == Reached("beyond", Rule(3, 10), 3, 7.0)
    assert rates.beyond("", 110.0) is None


def test_of_several_rules_the_one_that_holds_longest_tells_the_wait() -> None:
    rates = limit("2:1,3:60")
    rates.take("", 0.0)
    rates.take("", 0.0)
    assert rates.beyond("", 0.5) == Reached("beyond", Rule(2, 1), 2, 0.5)
    rates.take("", 1.0)
    assert rates.beyond("", 1.5) == Reached("beyond", Rule(3, 60), 3, 58.5)


def test_a_window_tells_once_that_it_is_nearly_full_and_once_that_it_is_full() -> None:
    rates = limit("10:60")
    told = [rates.take("", 0.0) for _ in range(10)]
    assert [(each.level, each.used) if each else None for each in told] == [
        *[None] * 7, ("near", 8), None, ("full", 10),
    ]  # fmt: skip
    assert [rates.take("", 60.0) is None for _ in range(7)] == [True] * 7
    assert limit("1:5").take("", 0.0) == Reached("full", Rule(1, 5), 1, 5.0)


def test_keys_have_windows_of_their_own_and_only_so_many_are_known() -> None:
    rates = limit("1:60", keys=2)
    rates.take("a", 0.0)
    assert rates.beyond("a", 1.0) is not None
    assert rates.beyond("b", 1.0) is None
    for key in ("b", "c"):
        rates.take(key, 1.0)
    assert rates.beyond("a", 1.0) is None  # forgotten
    assert rates.beyond("c", 1.0) is not None


def test_a_flood_of_keys_takes_no_more_memory() -> None:
    windows = Windows(60, keys=100)
    for number in range(10_000):
        windows.begin(number, 0.0)
    assert len(windows) == 100
