from twisted.internet.task import Clock

from iotgw.core.allowance import Allowance


def test_one_per_key_and_minute_and_how_many_were_held_back() -> None:
    clock = Clock()
    allowance = Allowance(clock)
    assert [allowance.take("a"), allowance.take("a"), allowance.take("b"), allowance.take("a")] == [
        0,
        None,
        0,
        None,
    ]
    clock.advance(60)
    assert [allowance.take("a"), allowance.take("b")] == [2, 0]


def test_as_many_per_key_as_it_may_have() -> None:
    clock = Clock()
    allowance = Allowance(clock, 2)
    assert [allowance.take("a") for _ in range(4)] == [0, 0, None, None]
    clock.advance(60)
    assert allowance.take("a") == 2


def test_a_flood_of_keys_fills_neither_the_table_nor_the_log() -> None:
    clock = Clock()
    allowance = Allowance(clock, keys=10, total=100)
    lines = sum(allowance.take(f"peer {number}") is not None for number in range(10_000))
    assert lines == 100
    assert len(allowance._seen) == 10
    clock.advance(60)
    assert allowance.take("another") == 0
