"""When devices are answered, with a clock of the test's own."""

import pytest
from twisted.internet.task import Clock

from iotgw import testing
from iotgw.core.model import Outcome, Output, State, Status, StoredUplink, Uplink
from iotgw.core.specs import DatasourceSpec, DownlinkSpec
from iotgw.pipeline.replies import PATIENCE, REMEMBERED, Replies
from iotgw.pipeline.sources import Source


class World:
    def __init__(self):
        self.clock = Clock()
        self.queue = testing.MemoryDownlinks(self.clock)
        self.source = Source("ds", "default", DatasourceSpec(name="ds", type="t", converter="c"))
        self.replies = Replies({"ds": self.source}, testing.MemoryJournal(self.clock), self.queue, self.clock)
        self.told = {}

    def wait_for(self, device):
        spec = DownlinkSpec(data=device, content_type="TEXT")
        testing.fired(self.queue.push("default", device, spec))

    def store(self, seq, identity="", reply="stored"):
        def tell(answer):
            assert seq not in self.told
            self.told[seq] = (answer.status, [item.payload.decode() for item in answer.downlinks])

        uplink = Uplink("default", "ds", 0, b"", b"{}")
        self.source.spec = DatasourceSpec(name="ds", type="t", converter="c", reply=reply)
        self.replies.stored("ds", [(StoredUplink(seq, uplink), (tell, identity))])

    def convert(self, seq, *names, state=State.CONVERTED):
        outcome = Outcome(seq, state, "", tuple(Output(name, "", b"{}") for name in names))
        self.replies.converted([outcome])
        return outcome


@pytest.fixture
def world():
    return World()


def test_nobody_waits_while_nothing_is_queued(world):
    world.store(1)
    assert world.told == {1: (Status.STORED, [])}


def test_who_must_be_named_waits_for_the_converter_but_not_for_the_disk(world):
    world.wait_for("d")
    world.store(1)
    assert world.told == {}
    world.convert(1, "other", "d")
    assert world.told == {1: (Status.STORED, ["d"])}


def test_an_answer_after_the_conversion_waits_until_that_is_durable(world):
    world.wait_for("d")
    world.store(1, reply="converted")
    outcome = world.convert(1, "d")
    assert world.told == {}
    world.replies.settled([outcome], [])
    assert world.told == {1: (Status.STORED, ["d"])}


def test_a_slow_converter_keeps_nobody_waiting_and_the_item_stays(world):
    world.wait_for("d")
    world.store(1)
    world.store(2, reply="converted")
    world.clock.pump([1.0] * (int(PATIENCE) + 1))
    assert world.told == {1: (Status.STORED, [])}
    assert "d" in world.queue.waited_for("default")
    world.replies.settled([world.convert(1, "d"), world.convert(2, "d")], [])
    assert world.told[2] == (Status.STORED, ["d"])


def test_a_failure_is_told_only_to_who_asked_for_the_conversion(world):
    world.wait_for("d")
    world.store(1)
    world.store(2, reply="converted")
    world.replies.settled([world.convert(seq, state=State.FAILED) for seq in (1, 2)], [])
    assert world.told == {1: (Status.STORED, []), 2: (Status.FAILED, [])}


def test_an_identity_is_named_once_and_again_after_a_while(world):
    world.wait_for("other")
    world.store(1, "imei")
    world.convert(1, "d")
    world.store(2, "imei")
    assert 2 in world.told
    world.wait_for("d")
    world.store(3, "imei")
    assert world.told[3] == (Status.STORED, ["d"])
    world.clock.advance(REMEMBERED + 1)
    world.store(4, "new")
    world.convert(4, "e")
    world.store(5, "imei")
    assert 5 not in world.told


def test_an_identity_that_speaks_for_several_devices_is_always_asked_about(world):
    world.wait_for("c")
    world.store(1, "gateway")
    world.convert(1, "a", "b")
    world.store(2, "gateway")
    world.convert(2, "c")
    assert world.told[2] == (Status.STORED, ["c"])
    world.wait_for("x")
    world.store(3, "gateway")
    assert 3 not in world.told


def test_a_network_is_answered_when_its_message_is_durable_whatever_the_datasource_s_reply_says(world):
    world.source.never_waits = True
    world.store(1, identity=None, reply="converted")
    assert world.told == {1: (Status.STORED, [])}
    world.wait_for("d")
    world.store(2, identity=None, reply="converted")
    assert world.told[2] == (Status.STORED, [])
    world.replies.settled([world.convert(1, "d", state=State.FAILED)], [])
    assert len(world.told) == 2
