"""ThingsBoard's HTTP device API: a token for each device, provisioning, and what comes back by requests that stay open."""

import json

import pytest

from iotgw.core.errors import SettingsError
from tests.peers.thingsboard import ThingsBoard

from .thingsboard_world import ThingsBoardWorld, document

PROVISION = {"provision": {"key": "KEY", "secret": "SECRET"}}


def world_of(server=None, **more):
    """A world whose server has the devices ``d1`` and ``d2``, with the tokens ``t1`` and ``t2``."""
    server = server or ThingsBoard()
    for name, token in (("d1", "t1"), ("d2", "t2")):
        server.device(name).token = token
    more.setdefault("configuration", {"tokens": {"d1": "t1", "d2": "t2"}})
    return ThingsBoardWorld("thingsboard-http", server, **more)


def posts(world):
    return [head.split(" ")[1] for head, _ in world.exchanges if head.startswith("POST")]


def test_each_device_speaks_with_its_own_token():
    world = world_of()
    world.store(document("d1", {"t": 1}, fw=1))
    world.store({"t": 2}, device="d2")
    assert posts(world) == ["/api/v1/t1/telemetry", "/api/v1/t1/attributes", "/api/v1/t2/telemetry"]
    assert world.server.devices["d1"].telemetry == [(1000, {"t": 1})]
    assert world.server.devices["d1"].attributes == {"fw": 1}
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}


@pytest.mark.parametrize("template", ["{{ attributes.token }}", "t{{ deviceName | replace('d', '') }}"])
def test_a_token_may_be_made_of_a_message(template):
    world = world_of(configuration={"token": template})
    world.store(document("d1", {"t": 1}, token="t1"))
    assert world.accounts()["delivered"] == 1


def test_a_token_is_escaped_in_the_path():
    world = world_of(configuration={"tokens": {"d1": "a/b ?ü"}})
    world.store({"t": 1})
    assert posts(world)[0] == "/api/v1/a%2Fb%20%3F%C3%BC/telemetry"


def test_a_device_without_a_token_is_a_dead_letter_that_says_so():
    world = world_of(configuration={"tokens": {"d2": "t2"}})
    world.store({"t": 1})
    assert list(world.dead().values()) == ["no token for the device 'd1'"]


def test_a_device_whose_token_is_wrong_holds_up_no_other():
    world = world_of(configuration={"tokens": {"d1": "wrong", "d2": "t2"}})
    world.store({"t": 1})
    world.store({"t": 2}, device="d2")
    world.go(seconds=20)
    assert world.accounts() == {"delivered": 1, "waiting": 0, "dead": 1}
    (error,) = world.dead().values()
    assert error == "ThingsBoard knows no device of the token for 'd1' (HTTP 401)"


def test_a_server_in_trouble_charges_no_message():
    world = world_of()
    world.server.refuses = lambda device, values: True
    world.store({"t": 1})
    world.go(seconds=30)
    assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0}
    world.server.refuses = lambda device, values: False
    world.go(seconds=60)
    assert world.accounts()["delivered"] == 1


def test_an_outage_is_delivered_in_the_order_of_each_device():
    world = world_of(is_there=False, configuration={"tokens": {"d1": "t1", "d2": "t2"}, "concurrency": 4})
    for n in range(300):
        world.store(document(f"d{n % 2 + 1}", {"n": n}, n), device=f"d{n % 2 + 1}")
    world.is_there = True
    world.go(seconds=10)
    for first, name in enumerate(("d1", "d2")):
        assert [ts for ts, _ in world.server.devices[name].telemetry] == list(range(first, 300, 2))


# --- provisioning


def test_a_new_device_is_made_once_however_many_messages_it_has(tmp_path):
    world = ThingsBoardWorld(
        "thingsboard-http", configuration=PROVISION, data_dir=str(tmp_path), order="none"
    )
    world.store({"t": 1}, {"t": 2}, {"t": 3}, device="new")
    assert world.server.made == ["new"] and world.accounts()["delivered"] == 3
    token = world.server.devices["new"].token
    world.service.stop()
    kept = (tmp_path / "thingsboard-i1.json").read_text()
    assert token not in kept and token[::-1] in kept
    again = ThingsBoardWorld(
        "thingsboard-http", world.server, configuration=PROVISION, data_dir=str(tmp_path)
    )
    again.store({"t": 4}, device="new")
    assert world.server.made == ["new"] and again.accounts()["delivered"] == 1


def test_a_token_whose_answer_was_lost_counts(tmp_path):
    server = ThingsBoard()
    provision = server.provision
    server.provision = lambda said: provision(said) and {}
    world = ThingsBoardWorld("thingsboard-http", server, configuration=PROVISION, data_dir=str(tmp_path))
    world.store({"t": 1}, device="new")
    server.provision = provision
    world.go(seconds=5)
    assert server.made == ["new"] and world.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}


def test_a_device_that_was_made_beforehand_keeps_its_token():
    server = ThingsBoard()
    provision = server.provision
    server.provision = lambda said: provision({key: said[key] for key in said if key != "token"})
    world = ThingsBoardWorld("thingsboard-http", server, configuration=PROVISION)
    world.store({"t": 1}, device="new")
    assert server.devices["new"].token == "token-of-new" and world.accounts()["delivered"] == 1


def test_a_device_that_was_deleted_there_is_made_again():
    world = ThingsBoardWorld("thingsboard-http", configuration=PROVISION)
    world.store({"t": 1}, device="new")
    world.server.devices.clear()
    world.server.made.clear()
    world.store({"t": 2}, device="new")
    world.go(seconds=5)
    assert world.server.devices["new"].telemetry == [(1000, {"t": 2})]
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}


def test_a_device_that_thingsboard_does_not_make_is_named_with_the_reason():
    wrong = {"provision": {"key": "KEY", "secret": "typo"}}
    world = ThingsBoardWorld("thingsboard-http", configuration=wrong)
    world.store({"t": 1}, device="new")
    world.go(seconds=10)
    (error,) = world.dead().values()
    assert error.startswith("provisioning of 'new': Provision data was not found!")


# --- downlinks


def test_rpc_and_shared_attributes_come_to_a_device_that_has_sent():
    world = world_of()
    world.store({"t": 1})
    device = world.server.devices["d1"]
    device.says["rpc"].append({"id": "4", "method": "reset", "params": None})
    device.says["attributes/updates"].append({"interval": 60})
    world.go(seconds=1)
    device.says["rpc"].append({"id": 5, "method": "on", "params": {}})
    world.go(seconds=1)
    assert [(kind, msg.get("method")) for _, kind, msg in world.downlinks] == [
        ("rpc", "reset"), ("attributes", None), ("rpc", "on"),
    ]  # fmt: skip
    assert device.answers == {4: {"queued": True}, 5: {"queued": True}}
    assert world.stats()["target"]["listening"] == 1


def test_a_device_s_answer_goes_to_its_request():
    world = world_of(configuration={"tokens": {"d1": "t1"}, "rpcAnswer": "answer"})
    world.store({"t": 1})
    device = world.server.devices["d1"]
    device.says["rpc"].append({"id": 7, "method": "get", "params": {}})
    world.go(seconds=1)
    assert device.answers == {}
    world.store({"answer": {"v": 1}})
    assert device.answers == {7: {"v": 1}} and world.accounts()["delivered"] == 2


def test_a_device_asks_the_server_by_its_own_token_and_the_answer_is_queued_for_it():
    world = world_of(configuration={"tokens": {"d1": "t1"}, "rpcRequest": "ask"})
    world.server.replies = {"getTime": 5, "name": b"no JSON"}
    world.store({"t": 1, "ask": {"method": "getTime"}}, {"ask": {"method": "name", "params": [1]}})
    assert world.server.asked == [("d1", "getTime", {}), ("d1", "name", [1])]
    assert world.downlinks == [
        ("d1", "rpcResponse", {"method": "getTime", "data": 5}),
        ("d1", "rpcResponse", {"method": "name", "data": "no JSON"}),
    ]
    assert world.server.devices["d1"].telemetry == [(1000, {"t": 1})]
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0}


def test_a_request_that_no_rule_answers_holds_up_nobody():
    world = world_of(configuration={"tokens": {"d1": "t1", "d2": "t2"}, "rpcRequest": "ask"})
    world.store({"ask": {"method": "unknown"}})
    world.store({"t": 2}, device="d2")
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 0} and world.downlinks == []
    assert world.stats()["target"]["lastError"] == "nothing in ThingsBoard answers 'unknown'"


def test_a_request_without_an_answer_is_tried_again_and_is_no_outage():
    world = world_of(configuration={"tokens": {"d1": "t1", "d2": "t2"}, "rpcRequest": "ask", "timeout": 1})
    http = world.server.http
    world.server.http = lambda head, body: (
        None if head.startswith("POST /api/v1/t1/rpc") else http(head, body)
    )
    world.store({"ask": {"method": "slow"}})
    world.go(seconds=2)
    world.store({"t": 2}, device="d2")
    assert world.stats()["state"] == "running" and world.stats()["delivered"] == 1
    assert world.stats()["lastError"].startswith("no answer to 'slow'")


def test_only_those_that_sent_last_are_listened_to():
    world = world_of(configuration={"tokens": {"d1": "t1", "d2": "t2"}, "listeners": 1})
    world.store({"t": 1})
    world.store({"t": 2}, device="d2")
    assert world.stats()["target"]["listening"] == 1
    world.server.devices["d2"].says["rpc"].append({"id": 1, "method": "x"})
    for n in range(3):  # the requests of the other end in their own time
        world.server.devices["d1"].says["rpc"].append({"id": n, "method": "late"})
        world.server.devices["d1"].says["attributes/updates"].append({})
        world.go(seconds=1)
    assert ("d2", "rpc") in [each[:2] for each in world.downlinks]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"[" * 30_000, b'{"id":1}', b"<html>"])
def test_what_is_no_request_is_no_downlink(body):
    world = world_of()
    world.store({"t": 1})
    http = world.server.http
    says = {"bodies": [body]}

    def once(head, content):
        if "/rpc?" in head and says["bodies"]:
            return 200, says["bodies"].pop()
        return http(head, content)

    world.server.http = once
    world.go(seconds=3)
    world.server.devices["d1"].says["rpc"].append({"id": 1, "method": "x"})
    world.go(seconds=3)
    assert [each[1] for each in world.downlinks] == ["rpc"]


def test_a_server_that_answers_without_waiting_is_not_asked_all_the_time():
    world = world_of()
    http = world.server.http
    world.server.http = lambda head, body: (408, b"") if "timeout=" in head else http(head, body)
    world.store({"t": 1})
    before = len(world.exchanges)
    world.go(seconds=10)
    assert len(world.exchanges) - before <= 2 * 11


def test_a_failing_request_is_made_again_after_ever_longer_waits():
    world = world_of()
    http = world.server.http
    world.server.http = lambda head, body: (503, b"") if "timeout=" in head else http(head, body)
    world.store({"t": 1})
    before = len(world.exchanges)
    world.go(seconds=36)
    assert len(world.exchanges) - before == 2 * 3  # after 5, 10 and 20 seconds


# --- settings, check and test


@pytest.mark.parametrize(
    ("configuration", "place"),
    [
        ({}, "configuration.token"),
        ({"url": "http://tb/{{ x }}", "token": "t"}, "configuration.url"),
        ({"token": "{{ nothing("}, "configuration.token"),
    ],
)
def test_settings_that_cannot_work_are_refused(configuration, place):
    with pytest.raises(SettingsError) as raised:
        ThingsBoardWorld("thingsboard-http", configuration=configuration)
    assert raised.value.path == place


def test_a_test_message_shows_its_requests_without_the_token():
    world = world_of(configuration={"token": "s3cret-token"})
    found = []
    world.service.test("i1").addCallback(found.append)
    world.go()
    (exchange,) = found[0]["exchanges"][:1]
    assert exchange["request"].startswith("POST /api/v1/***/telemetry")
    assert "s3cret" not in json.dumps(found)


@pytest.mark.parametrize(("status", "ok"), [(401, True), (200, False), (404, False)])
def test_check_tells_thingsboard_from_another_server(status, ok):
    world = world_of()
    world.server.http = lambda head, body: (status, b"")
    found = []
    world.service.check("i1").addCallback(found.append)
    world.go()
    assert found[0]["ok"] is ok and found[0]["untried"] == ["the tokens of devices"]


# --- faults; tests/interop/test_fault_table.py names them


def test_a_server_that_is_killed_gets_everything_later():
    world = world_of()
    http = world.server.http
    world.server.http = lambda head, body: None
    world.store(*({"n": n} for n in range(5)))
    world.fail()
    world.store(*({"n": n} for n in range(5, 10)))
    world.go(seconds=5)
    assert world.stats()["state"] == "unavailable" and world.accounts()["waiting"] == 10
    world.server.http, world.is_there = http, True
    world.go(seconds=60)
    assert [values["n"] for _, values in world.server.devices["d1"].telemetry] == list(range(10))
    assert world.accounts() == {"delivered": 10, "waiting": 0, "dead": 0}


def never_answered(world):
    """The server says nothing to the first device's telemetry."""
    http = world.server.http
    world.server.http = lambda head, body: None if "/t1/telemetry" in head else http(head, body)
    return http


def test_a_message_that_is_never_answered_comes_again_while_others_get_through():
    world = world_of(configuration={"tokens": {"d1": "t1", "d2": "t2"}, "timeout": 5})
    http = never_answered(world)
    world.store({"n": 1})
    world.store(*({"n": n} for n in range(8)), device="d2")
    world.go(seconds=4)
    assert world.accounts()["delivered"] == 8
    world.server.http = http
    world.go(seconds=60)
    assert world.accounts() == {"delivered": 9, "waiting": 0, "dead": 0}
    assert {values["n"] for _, values in world.server.devices["d1"].telemetry} == {1}


def test_a_message_that_is_never_answered_costs_a_restart_no_other_message():
    world = world_of()
    http = never_answered(world)
    world.store({"n": 1})
    world.store(*({"n": n} for n in range(8)), device="d2")
    world.go(seconds=2)
    world.server.http = http
    again = world_of(world.server, journal=world.journal.crashed(), clock=world.clock)
    again.go(seconds=2)
    assert again.accounts() == {"delivered": 9, "waiting": 0, "dead": 0}
    assert [values["n"] for _, values in world.server.devices["d2"].telemetry] == list(range(8))
    assert [values["n"] for _, values in world.server.devices["d1"].telemetry] == [1]


@pytest.mark.parametrize("status", [400, 413])
def test_a_message_that_is_refused_is_a_dead_letter_and_holds_up_no_other_device(status):
    world = world_of()
    http = world.server.http
    world.server.http = lambda head, body: (status, b"no") if '"bad"' in body else http(head, body)
    world.store({"bad": 1}, {"t": 2})
    world.store({"t": 3}, device="d2")
    world.go(seconds=20)
    assert world.accounts() == {"delivered": 2, "waiting": 0, "dead": 1}
    assert list(world.dead().values()) == [f"HTTP {status}: no"]


@pytest.mark.parametrize("status", [302, 429, 500, 507])
def test_a_target_that_is_busy_or_full_is_waited_for(status):
    world = world_of()
    http = world.server.http
    world.server.http = lambda head, body: (status, b"")
    world.store({"t": 1})
    world.go(seconds=20)
    assert world.stats()["state"] == "unavailable"
    assert world.accounts() == {"delivered": 0, "waiting": 1, "dead": 0}
    world.server.http = http
    world.go(seconds=60)
    assert world.accounts()["delivered"] == 1


def test_tokens_that_can_not_be_unsealed_make_no_dead_letters_and_take_no_room(tmp_path):
    how = {"configuration": {"provision": {"key": "KEY", "secret": "SECRET"}}, "data_dir": str(tmp_path)}
    world = ThingsBoardWorld("thingsboard-http", **how)
    world.store({"t": 1})
    world.go(seconds=3)
    again = ThingsBoardWorld("thingsboard-http", server=world.server, **how)
    again.has_another_key = True
    again.store({"t": 2})
    again.go(seconds=5)
    assert again.accounts() == {"delivered": 0, "waiting": 1, "dead": 0}
    assert "secret.key" in again.stats()["lastError"]
    again.has_another_key = False
    again.go(seconds=60)
    assert again.accounts() == {"delivered": 1, "waiting": 0, "dead": 0}
