"""What a crash kept from the devices' states is read from the journal when the gateway starts."""

from types import SimpleNamespace

import pytest
import pytest_twisted
from twisted.internet import reactor

from iotgw import testing
from iotgw.app import services
from iotgw.core.recorder import Recorder


class Devices:
    def __init__(self, position, put_aside=""):
        self.position, self.put_aside, self.after = position, put_aside, None

    async def rebuild(self, journal, learn, after):
        self.after = after
        learn(["records"])
        return 1


class Speakers:
    def __init__(self, learned):
        self.learn, self.did = learned.extend, []

    def begin_learning(self):
        self.did.append("begin")

    async def learn_proofs(self, messages):
        self.did.append("proofs")

    def end_learning(self):
        self.did.append("end")


class World:
    def __init__(self, head, position, put_aside=""):
        self.learned = []
        self.events = testing.MemoryEvents()
        self.gateway = SimpleNamespace(
            devices=Devices(position, put_aside),
            journal=SimpleNamespace(head=head),
            recorder=Recorder(self.events, reactor),
            speakers=Speakers(self.learned),
            fleet=SimpleNamespace(learn=lambda records: None),
        )


@pytest.mark.parametrize(
    ("head", "position", "after"),
    [
        (10, 7, 7),
        (10, 10, None),
        (10, None, None),
        (10, 50, 0),  # the states are of another journal
        (services.FEW_RECORDS + 100, 5, 5),
    ],
)
@pytest_twisted.ensureDeferred
async def test_what_is_missing_is_learned(head, position, after):
    world = World(head, position)
    await services.catch_up(world.gateway)
    assert world.gateway.devices.after == after
    assert bool(world.learned) == (after is not None)


@pytest_twisted.ensureDeferred
async def test_states_that_were_lost_are_learned_from_the_beginning():
    world = World(10, 0, "it was damaged")
    await services.catch_up(world.gateway)
    assert world.gateway.devices.after == 0
    assert world.events.types == ["damaged", "rebuilt"]
    assert world.gateway.speakers.did == ["begin", "proofs", "end"]
