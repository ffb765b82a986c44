"""The pause that a restore asks for: it holds over restarts, and ends for good."""

import os

import msgspec
import pytest

from iotgw import testing
from iotgw.app.pause import Pause
from iotgw.core.ports.pause import Paused
from iotgw.core.recorder import Recorder


class Held:
    """The deliveries, or the downlinks."""

    held = False

    def hold(self):
        self.held = True

    def release(self):
        self.held = False


class World:
    def __init__(self, folder):
        self.folder = folder
        self.again()

    def again(self):
        self.delivery, self.downlinks, self.events = Held(), Held(), testing.MemoryEvents()
        recorder = Recorder(self.events, testing.clock())
        self.pause = Pause(self.folder, self.delivery, self.downlinks, recorder)
        self.pause.start()

    @property
    def held(self):
        return (self.delivery.held, self.downlinks.held)


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "paused").write_bytes(msgspec.json.encode(Paused("restored from b1", 7)))
    return World(tmp_path)


def test_without_being_asked_for_there_is_none(tmp_path):
    world = World(tmp_path)
    assert (world.pause.paused, world.held, world.events.emitted) == (None, (False, False), [])


def test_it_is_said_with_its_reason_at_each_start(asked):
    for _ in range(2):
        assert asked.pause.paused == Paused("restored from b1", 7)
        assert asked.held == (True, True)
        assert [(event.type, event.severity) for event in asked.events.emitted] == [("paused", "warning")]
        assert "restored from b1" in asked.events.emitted[0].message
        asked.again()


def test_its_end_is_for_good(asked):
    asked.pause.resume()
    assert (asked.pause.paused, asked.held) == (None, (False, False))
    assert asked.events.types == ["paused", "resumed"]
    asked.again()
    assert (asked.pause.paused, asked.held) == (None, (False, False))


def test_its_end_twice_is_one(asked):
    asked.pause.resume()
    asked.pause.resume()
    assert asked.events.types == ["paused", "resumed"]


def test_a_file_that_somebody_made_by_hand_holds_too(tmp_path):
    (tmp_path / "paused").touch()
    os.utime(tmp_path / "paused", (1_700_000_000, 1_700_000_000))
    world = World(tmp_path)
    assert world.held == (True, True)
    assert "paused is there" in world.pause.paused.reason
    assert world.pause.paused.since == 1_700_000_000_000


def test_adopted_partitions_are_held_back_too(asked):
    adopted, gone = Held(), Held()
    asked.pause.covers(adopted)
    end = asked.pause.covers(gone)
    assert (adopted.held, gone.held) == (True, True)
    end()
    asked.pause.resume()
    assert (adopted.held, gone.held) == (False, True), "nobody starts what has ended"
    later = Held()
    asked.pause.covers(later)
    assert not later.held
