"""Downlinks in the answers of an HTTP target: a message counts as delivered when they are durable."""

from iotgw.core.errors import Full, NoSpace
from tests.unit.integrations.http_world import HttpWorld

ONE = (200, {"msg": {"on": True}})


def world_of(says=lambda head, body: ONE, **more):
    return HttpWorld(says, configuration={"downlinks": True, **more})


def test_a_message_is_delivered_when_its_answer_is_durable():
    world = world_of()
    world.gate.holds = True
    world.store({"t": 1})
    world.go()
    assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0} and len(world.requests) == 1
    world.gate.open()
    world.go()
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}
    assert world.downlinks == [("d1", {"on": True})]


def test_a_crash_before_that_has_the_message_sent_again():
    world = world_of()
    world.gate.holds = True
    world.store({"t": 1})
    world.go(seconds=5)
    journal = world.journal.crashed()
    again = HttpWorld(lambda head, body: ONE, journal, world.clock, configuration={"downlinks": True})
    again.go(seconds=2)
    assert again.accounts()["waiting"] == 0 and again.downlinks == [("d1", {"on": True})]


def test_a_refused_downlink_makes_no_difference_to_its_message():
    world = world_of()
    world.gate.error = Full("too many wait")
    world.store({"t": 1})
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}
    assert [event.message for event in world.memory.emitted if event.type == "downlink.refused"] == [
        "too many wait"
    ]


def test_while_downlinks_can_not_be_stored_other_messages_are_delivered_and_it_is_said():
    says = {"d1": ONE, "d2": (204, b"")}
    world = world_of(lambda head, body: says["d1" if b"d1" in body else "d2"])
    world.gate.error = NoSpace("the disk is full")
    world.store({"t": 1})
    world.store({"t": 2}, device="d2")
    assert world.accounts() == {"delivered": 1, "waiting": 1, "dead": 0}
    assert world.stats()["target"]["lastError"] == "downlinks can't be stored: the disk is full"
    world.gate.error = None
    world.go(seconds=5)
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0} and len(world.requests) == 2


def test_a_message_is_sent_again_when_that_lasts_and_is_never_a_dead_letter():
    world = world_of()
    world.gate.error = NoSpace("the disk is full")
    world.store({"t": 1})
    world.go(seconds=300)
    assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0} and len(world.requests) > 3
    assert "the disk is full" in world.stats()["lastError"]
    world.gate.error = None
    world.go(seconds=60)
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}
    assert world.downlinks == [("d1", {"on": True})]
