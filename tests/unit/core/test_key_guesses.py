"""An address that guesses routing keys is limited, and one that has a wrong one is not."""

import pytest
from twisted.internet.task import Clock

from iotgw.core import key_guesses as module
from iotgw.core.key_guesses import ADDRESSES, MOST, PAIRS, WINDOW, KeyGuesses


class World:
    def __init__(self):
        self.clock = Clock()
        self.guesses = KeyGuesses(self.clock)

    def guess(self, count=MOST, host="a"):
        return [self.guesses.wrong(host, f"key-{number}") for number in range(count)]


@pytest.fixture
def world():
    return World()


def test_who_tries_many_different_keys_is_limited_for_a_while(world):
    assert world.guess() == [False] * (MOST - 1) + [True]
    assert not world.guesses.may("a", "right")
    world.clock.advance(WINDOW)
    assert world.guesses.may("a", "right")
    assert not world.guesses.wrong("a", "key")


def test_a_device_with_an_old_key_and_the_others_behind_its_address_are_not(world):
    assert not any(world.guesses.wrong("a", "old") for _ in range(1000))
    assert world.guesses.may("a", "right")


def test_others_are_not(world):
    world.guess()
    assert world.guesses.may("b", "right")


def test_a_key_that_was_used_before_goes_on_being_used(world):
    assert world.guesses.may("a", "right")
    world.guess()
    assert world.guesses.may("a", "right")
    assert not world.guesses.may("a", "another")


def test_neither_addresses_nor_keys_fill_the_memory(world):
    for number in range(ADDRESSES + 9):
        world.guess(1, f"host-{number}")
    for number in range(PAIRS + 9):
        world.guesses.may("b", f"key-{number}")
    for number in range(1000):
        world.guesses.wrong("c", f"key-{number}")
    assert (len(world.guesses._wrong), len(world.guesses._right)) == (ADDRESSES, PAIRS)
    assert max(len(keys) for _, keys in world.guesses._wrong.values()) == module.MOST
