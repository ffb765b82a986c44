"""ThingsBoard's gateway API: what it gets, in which order, and what comes back."""

import json

import pytest

from iotgw.integrations.thingsboard_documents import Documents
from iotgw.testing import telemetry
from tests.peers.thingsboard import ThingsBoard

from .thingsboard_world import ThingsBoardWorld, document


def topics(world):
    return [topic.removeprefix("v1/gateway/") for topic, _ in world.wire.published]


def test_devices_are_announced_with_their_type_before_their_data():
    world = ThingsBoardWorld()
    world.store({"t": 1}, {"t": 2}, device_type="meter")
    assert topics(world) == ["connect", "telemetry"]
    device = world.server.devices["d1"]
    assert (device.type, device.telemetry) == ("meter", [(1000, {"t": 1}), (1000, {"t": 2})])
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}


def packets(*, is_mixed=False, limit=60_000):
    """What two messages of one device and one of another become."""
    made = Documents(["telemetry", "attributes"], limit, is_mixed)
    records = [
        telemetry(1, "d1", body=document("d1", {"t": 1})),
        telemetry(2, "d1", body=document("d1", {"t": 2}, fw=1)),
        telemetry(3, "d2", body=document("d2", {"t": 3}, fw=2)),
    ]
    packets = made.packets(records, [record.body for record in records])
    return [(topic.decode().removeprefix("v1/gateway/"), json.loads(said)) for topic, said in packets]


CONNECTS = [
    ("connect", {"device": "d1", "type": "default"}),
    ("connect", {"device": "d2", "type": "default"}),
]
FIRST, SECOND, THIRD = ({"ts": 1000, "values": {"t": n}} for n in (1, 2, 3))


def test_a_publication_is_about_one_device():
    assert packets() == [
        *CONNECTS,
        ("telemetry", {"d1": [FIRST, SECOND]}),
        ("telemetry", {"d2": [THIRD]}),
        ("attributes", {"d1": {"fw": 1}}),
        ("attributes", {"d2": {"fw": 2}}),
    ]


def test_several_devices_are_in_one_where_the_user_says_so():
    assert packets(is_mixed=True) == [
        *CONNECTS,
        ("telemetry", {"d1": [FIRST, SECOND], "d2": [THIRD]}),
        ("attributes", {"d1": {"fw": 1}, "d2": {"fw": 2}}),
    ]


@pytest.mark.parametrize("is_mixed", [True, False])
def test_no_publication_is_longer_than_said_unless_one_value_is(is_mixed):
    said = [what for topic, what in packets(is_mixed=is_mixed, limit=50) if topic == "telemetry"]
    assert said == [{"d1": [FIRST]}, {"d1": [SECOND]}, {"d2": [THIRD]}]


@pytest.mark.parametrize("is_old", [True, False])
def test_what_one_of_several_devices_lost_is_sent_again(is_old):
    """An old ThingsBoard acknowledges a document of several devices when it has taken the first, and may end there."""
    server = ThingsBoard(is_old=is_old)
    server.refuses = lambda device, values: device == "d2" and len(server.connections) == 2
    world = ThingsBoardWorld(server=server, is_there=False)
    world.server.connection()
    world.store({"t": 1})
    world.store({"t": 3}, device="d2")
    world.is_there = True
    world.go(seconds=5)
    assert server.devices["d2"].telemetry == [(1000, {"t": 3})]
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}


def test_a_week_s_outage_is_delivered_in_order():
    """What ThingsBoard's own remote integration keeps is 3,000 records. These are ten devices for a week, every ten minutes."""
    world = ThingsBoardWorld(is_there=False)
    week = [(ts, f"d{n}") for ts in range(0, 7 * 24 * 3600, 600) for n in range(10)]
    for ts, device in week:
        world.store(document(device, {"n": ts}, ts), device=device)
    for _ in range(6 * 24):
        world.go()
        world.clock.advance(3600)
    assert world.accounts() == {"delivered": 0, "waiting": 10_080, "dead": 0}
    world.is_there = True
    world.go(seconds=10)
    assert world.accounts() == {"delivered": 10_080, "waiting": 0, "dead": 0}
    for n in range(10):
        found = world.server.devices[f"d{n}"].telemetry
        assert found == [(ts, {"n": ts}) for ts in range(0, 7 * 24 * 3600, 600)]


def test_an_outage_in_the_middle_of_the_backlog_loses_nothing_and_keeps_the_order():
    world = ThingsBoardWorld(is_there=False, configuration={"batchSize": 10, "window": 3})
    for n in range(200):
        world.store(document("d1", {"n": n}, n))
    world.is_there = True
    taken = world.server.take_telemetry
    broken = set()

    def breaks(device, entries):
        taken(device, entries)
        if found := {entry["values"]["n"] for entry in entries} & {49, 99} - broken:
            broken.update(found)
            raise ValueError("the server crashed before it acknowledged")

    world.server.take_telemetry = breaks
    world.go(seconds=20)
    seen = [ts for ts, _ in world.server.devices["d1"].telemetry]
    assert list(dict.fromkeys(seen)) == list(range(200)) and len(seen) > 200
    assert world.accounts() == {"delivered": 200, "waiting": 0, "dead": 0}


def test_what_thingsboard_cannot_read_is_found_though_it_breaks_the_connection():
    world = ThingsBoardWorld(is_there=False)
    world.server.refuses = lambda device, values: "bad" in values
    world.store({"t": 1}, device="a")
    bad = world.store({"bad": 2}, device="b")
    world.store({"t": 3}, device="c")
    world.is_there = True
    for n in range(20):  # while others get through
        world.store({"t": n}, device="c")
        world.go(seconds=5)
    assert world.accounts() == {"delivered": 22, "waiting": 0, "dead": 1}
    assert list(world.dead()) == bad


def test_a_document_is_never_longer_than_thingsboard_takes():
    world = ThingsBoardWorld(is_there=False, configuration={"batchSize": 5000})
    for n in range(300):
        world.store(document("d1", {"text": "x" * 1000, "n": n}, n, **{f"a{n}": "y" * 500}))
    world.is_there = True
    world.go(seconds=3)
    assert world.accounts()["delivered"] == 300
    assert len(world.server.devices["d1"].attributes) == 300


# --- RPC


def test_rpc_is_queued_for_the_device_and_answered_at_once():
    world = ThingsBoardWorld()
    world.store({"t": 1})
    asked = world.wire.rpc("d1", "setInterval", 60)
    world.go()
    assert world.downlinks == [("d1", "rpc", {"id": asked, "method": "setInterval", "params": 60})]
    assert world.server.devices["d1"].answers == {asked: {"queued": True}}
    assert world.accounts()["delivered"] == 1


def asked_twice(**more):
    world = ThingsBoardWorld(configuration={"rpcAnswer": "answer"}, **more)
    world.store({"t": 1})
    return world, world.wire.rpc("d1", "a", None), world.wire.rpc("d1", "b", None)


def test_a_device_s_answer_goes_to_the_oldest_request_and_is_no_telemetry():
    world, first, second = asked_twice()
    world.go()
    assert world.server.devices["d1"].answers == {}
    world.store({"t": 2, "answer": "done"}, {"answer": {"rc": 0}})
    assert world.server.devices["d1"].answers == {first: "done", second: {"rc": 0}}
    assert world.server.devices["d1"].telemetry == [(1000, {"t": 1}), (1000, {"t": 2})]


def test_an_answer_that_names_its_request_goes_there_also_after_a_restart():
    world, _, second = asked_twice()
    world.store(document("d1", {}, answer={"id": second, "data": "no"}))
    assert world.server.devices["d1"].answers == {second: "no"}
    again = ThingsBoardWorld(server=world.server, configuration={"rpcAnswer": "answer"})
    again.store({"answer": {"id": 1, "data": "late"}})
    assert world.server.devices["d1"].answers == {second: "no", 1: "late"}


def test_an_answer_that_was_not_acknowledged_goes_to_the_same_request_again():
    world, first, second = asked_twice()
    world.go()
    world.wire.holds = True
    world.store({"answer": "one"})
    world.fail()
    world.is_there = True
    world.server.devices["d1"].answers.clear()
    world.go(seconds=3)
    world.store({"answer": "two"})
    assert world.server.devices["d1"].answers == {first: "one", second: "two"}
    assert world.accounts() == {"delivered": 3, "waiting": 0, "dead": 0}


def test_a_value_under_that_key_that_answers_nothing_is_telemetry():
    world = ThingsBoardWorld(configuration={"rpcAnswer": "answer"})
    world.store({"answer": 5})
    assert world.server.devices["d1"].telemetry == [(1000, {"answer": 5})]


# --- what devices ask


def test_a_device_asks_the_server_and_the_answer_is_queued_for_it():
    world = ThingsBoardWorld(configuration={"rpcRequest": "ask"})
    world.server.replies = {"getTime": 1_700_000_000_000, "open?": {"may": True}}
    world.store({"t": 1, "ask": {"method": "getTime"}}, {"ask": {"method": "open?", "params": {"card": 7}}})
    assert world.server.asked == [
        (None, "getTime", {"device": "d1"}), (None, "open?", {"card": 7, "device": "d1"}),
    ]  # fmt: skip
    assert world.downlinks == [
        ("d1", "rpcResponse", {"method": "getTime", "data": 1_700_000_000_000}),
        ("d1", "rpcResponse", {"method": "open?", "data": {"may": True}}),
    ]
    assert world.server.devices["d1"].telemetry == [(1000, {"t": 1})]
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}


def test_a_request_that_was_not_acknowledged_is_made_again_and_an_old_answer_is_nobodys():
    world = ThingsBoardWorld(configuration={"rpcRequest": "ask"})
    world.store({"t": 1})
    world.wire.holds = True
    world.store({"ask": {"method": "getTime"}})
    world.fail()
    world.is_there = True
    world.server.replies = {"getTime": 5}
    world.go(seconds=3)
    assert [method for _, method, _ in world.server.asked] == ["getTime", "getTime"]
    assert world.downlinks == [("d1", "rpcResponse", {"method": "getTime", "data": 5})]
    world.wire._publish("v1/devices/me/rpc/response/1", 6)
    world.wire._publish("v1/devices/me/rpc/response/x", 6)
    world.go()
    assert len(world.downlinks) == 1 and world.accounts()["delivered"] == 2


@pytest.mark.parametrize("said", ["getTime", {"params": {}}, {"method": 7}, None])
def test_what_is_no_request_is_telemetry(said):
    world = ThingsBoardWorld(configuration={"rpcRequest": "ask"})
    world.store({"ask": said})
    assert world.server.asked == [] and world.server.devices["d1"].telemetry == [(1000, {"ask": said})]


# --- shared attributes


def test_a_shared_attribute_that_changes_is_queued():
    world = ThingsBoardWorld()
    world.store({"t": 1})
    world.wire.share("d1", interval=60)
    world.go()
    assert world.downlinks == [("d1", "attributes", {"interval": 60})]


@pytest.mark.parametrize("keys", [["interval"], ["interval", "unit"]])
def test_what_changed_while_nobody_listened_is_asked_for_and_queued_once(tmp_path, keys):
    how = {"configuration": {"sharedKeys": keys}, "data_dir": str(tmp_path)}
    world = ThingsBoardWorld(**how)
    world.server.device("d1").shared["interval"] = 60
    world.store({"t": 1})
    assert world.downlinks == [("d1", "attributes", {"interval": 60})]
    world.fail()
    world.is_there = True
    world.store({"t": 2})
    world.go(seconds=10)
    assert len(world.downlinks) == 1
    world.service.stop()
    again = ThingsBoardWorld(server=world.server, **how)
    again.store({"t": 3})
    assert again.downlinks == []
    world.server.devices["d1"].shared["interval"] = 90
    again.fail()
    again.is_there = True
    again.store({"t": 4})
    again.go(seconds=3)
    assert again.downlinks == [("d1", "attributes", {"interval": 90})]


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("v1/gateway/rpc", b"[" * 30_000),
        ("v1/gateway/rpc", b'{"device":"d1","data":{"id":7}}'),
        ("v1/gateway/rpc", b'{"device":"","data":{"id":7,"method":"x"}}'),
        ("v1/gateway/attributes", b'{"device":"d1","data":[1]}'),
        ("v1/gateway/attributes", b'{"device":7,"data":{}}'),
        ("v1/gateway/attributes/response", b'{"device":"d1","id":1}'),
        ("v1/gateway/disconnect", b'{"device":"d1","reason":151}'),
    ],
)
def test_what_is_none_of_this_is_no_downlink_and_keeps_the_connection(topic, said):
    world = ThingsBoardWorld(configuration={"sharedKeys": ["a"]})
    world.store({"t": 1})
    world.wire.topics.add(topic)
    head = len(topic).to_bytes(2, "big") + topic.encode()
    size = len(head) + len(said)
    low = bytes((size & 127 | 128, size >> 7 & 127 | 128, size >> 14))
    world.wire._out += b"\x30" + low + head + said
    world.go()
    assert world.downlinks == [] and world.stats()["target"]["state"] == "connected"


# --- provisioning


PROVISION = {"token": None, "provision": {"key": "KEY", "secret": "SECRET"}, "deviceName": "iotgw-1"}


def test_the_gateway_device_is_made_once_and_its_token_is_kept_encrypted(tmp_path):
    world = ThingsBoardWorld(configuration=PROVISION, data_dir=str(tmp_path))
    world.go(seconds=1)
    world.store({"t": 1})
    assert world.server.made == ["iotgw-1"] and world.accounts()["delivered"] == 1
    kept = json.loads((tmp_path / "thingsboard-i1.json").read_text())
    (token,) = world.server.gateways - {"GATEWAY"}
    assert kept["token"] == token[::-1]
    world.service.stop()
    again = ThingsBoardWorld(configuration=PROVISION, data_dir=str(tmp_path), server=world.server)
    again.store({"t": 2})
    assert world.server.made == ["iotgw-1"] and again.accounts()["delivered"] == 1


def test_a_token_whose_answer_was_lost_counts(tmp_path):
    server = ThingsBoard()
    provision = server.provision
    server.provision = lambda said: provision(said)["nothing is answered"]
    world = ThingsBoardWorld(configuration=PROVISION, data_dir=str(tmp_path), server=server)
    assert world.stats()["target"]["state"] == "provisioning"
    world.service.stop()
    server.provision = provision
    again = ThingsBoardWorld(configuration=PROVISION, data_dir=str(tmp_path), server=server)
    again.go(seconds=2)
    again.store({"t": 1})
    assert server.made == ["iotgw-1"] and again.accounts()["delivered"] == 1


def test_a_refusal_is_said_and_it_is_asked_again_later():
    wrong = {**PROVISION, "provision": {"key": "KEY", "secret": "typo"}}
    world = ThingsBoardWorld(configuration=wrong)
    world.go(seconds=20)
    target = world.stats()["target"]
    assert target["state"] == "provisioning"
    assert target["lastError"].startswith("Provision data was not found! It takes the key and secret")
    checked = []
    world.service.check("i1").addCallback(checked.append)
    assert checked[0]["ok"] is False and "no token yet: Provision data" in checked[0]["detail"]
    before = len(world.server.connections)
    world.server.profile = ("KEY", "typo")
    world.go(seconds=300)
    assert world.stats()["target"]["state"] == "connected" and len(world.server.connections) > before


def test_a_token_is_not_sent_to_another_server(tmp_path):
    world = ThingsBoardWorld(configuration=PROVISION, data_dir=str(tmp_path))
    world.go(seconds=1)
    world.service.stop()
    moved = {**PROVISION, "host": "elsewhere"}
    again = ThingsBoardWorld(configuration=moved, data_dir=str(tmp_path))
    again.go(seconds=1)
    assert again.server.made == ["iotgw-1"] and again.server.connections[0].user == "provision"


def test_a_test_message_shows_its_publications():
    world = ThingsBoardWorld()
    found = []
    world.service.test("i1").addCallback(found.append)
    world.go()
    assert found[0]["ok"] and "PUBLISH v1/gateway/telemetry (QoS 1)" in found[0]["exchanges"][0]["request"]
