"""ThingsBoard hears of what it says for devices when that is durable, or why it isn't."""

import pytest

from iotgw.core.errors import Full, NoSpace, Unavailable
from tests.unit.integrations.thingsboard_world import ThingsBoardWorld


def test_rpc_is_answered_and_acknowledged_when_it_is_durable():
    world = ThingsBoardWorld()
    world.store({"t": 1})
    world.gate.holds = True
    asked = world.wire.rpc("d1", "open", 1)
    world.go()
    assert world.server.devices["d1"].answers == {} and len(world.wire.unacknowledged) == 1
    world.gate.open()
    world.go()
    assert world.server.devices["d1"].answers == {asked: {"queued": True}} and not world.wire.unacknowledged


@pytest.mark.parametrize("more", [{}, {"rpcAnswer": "answer"}])
def test_a_caller_whose_rpc_is_refused_is_told_why(more):
    world = ThingsBoardWorld(configuration=more)
    world.store({"t": 1})
    world.gate.error = Full("expected at most 1000 open items for a device")
    asked = world.wire.rpc("d1", "open", 1)
    world.go()
    said = {"queued": False, "error": "expected at most 1000 open items for a device"}
    assert world.server.devices["d1"].answers == {asked: said} and not world.wire.unacknowledged
    assert [event.type for event in world.events.emitted][-1] == "downlink.refused"
    world.gate.error = None
    world.store({"answer": "to nothing"})
    assert world.server.devices["d1"].answers == {asked: said}


def test_a_caller_whose_rpc_can_not_be_stored_is_told_so_before_he_stops_waiting():
    world = ThingsBoardWorld()
    world.store({"t": 1})
    world.gate.error = NoSpace("the disk is full")
    asked = world.wire.rpc("d1", "open", 1)
    world.go(seconds=3)
    assert world.server.devices["d1"].answers == {}
    world.go(seconds=4)
    assert world.server.devices["d1"].answers[asked]["queued"] is False
    world.gate.error = None
    world.go(seconds=40)
    assert world.downlinks == [] and not world.wire.unacknowledged


def test_shared_attributes_that_can_not_be_stored_are_acknowledged_when_they_are(tmp_path):
    how = {"configuration": {"sharedKeys": ["interval"]}, "data_dir": str(tmp_path)}
    world = ThingsBoardWorld(**how)
    world.store({"t": 1})
    world.gate.error = Unavailable("the database is away")
    world.wire.share("d1", interval=60)
    world.go(seconds=20)
    assert world.downlinks == [] and len(world.wire.unacknowledged) == 1
    assert "the database is away" in world.stats()["target"]["lastError"]
    world.gate.error = None
    world.go(seconds=40)
    assert world.downlinks == [("d1", "attributes", {"interval": 60})] and not world.wire.unacknowledged
    assert world.stats()["target"]["lastError"] is None


def test_shared_attributes_that_were_not_stored_before_a_restart_are_asked_for_again(tmp_path):
    how = {"configuration": {"sharedKeys": ["interval"]}, "data_dir": str(tmp_path)}
    world = ThingsBoardWorld(**how)
    world.gate.holds = True
    world.server.device("d1").shared["interval"] = 60
    world.store({"t": 1})
    world.go(seconds=10)
    world.service.stop()
    again = ThingsBoardWorld(server=world.server, **how)
    again.store({"t": 2})
    assert again.downlinks == [("d1", "attributes", {"interval": 60})]


# --- over HTTP


def over_http(**more):
    world = ThingsBoardWorld("thingsboard-http", configuration={"tokens": {"d1": "t1"}, **more})
    world.server.device("d1").token = "t1"
    return world


def test_an_answer_to_a_device_is_durable_before_its_message_counts_as_delivered():
    world = over_http(rpcRequest="ask")
    world.server.replies = {"getTime": 5}
    world.gate.holds = True
    world.store({"ask": {"method": "getTime"}})
    assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0}
    world.gate.open()
    world.go()
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0} and len(world.downlinks) == 1


def test_the_next_request_is_asked_for_when_the_last_is_durable_and_its_caller_told():
    world = over_http()
    world.store({"t": 1})
    device = world.server.devices["d1"]
    world.gate.holds = True
    device.says["rpc"] += [{"id": 4, "method": "a"}, {"id": 5, "method": "b"}]
    world.go(seconds=3)
    assert device.answers == {} and len(device.says["rpc"]) == 1
    world.gate.open()
    world.gate.error = Full("too many wait")
    world.go(seconds=3)
    assert device.answers == {4: {"queued": True}, 5: {"queued": False, "error": "too many wait"}}
