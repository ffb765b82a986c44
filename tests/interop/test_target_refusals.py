"""The fault table: what a target says to single messages, with each protocol's own codes.

What is about the target is waited for, and costs no message a try. What is about a message costs that message and its
device. `test_fault_table.py` holds the whole table.
"""

import pytest
from pytest_twisted import ensureDeferred

from iotgw.core.specs import DeadLetterSpec, RetrySpec

from .delivering import Delivering, per_device, until
from .refusing import SILENT, TAKEN, RefusingHttp, RefusingMqtt, RefusingSftp

KINDS = [RefusingHttp, RefusingMqtt, RefusingSftp]

ABOUT_THE_TARGET = [
    *((RefusingHttp, code) for code in (301, 302, 401, 403, 407, 408, 425, 429, 500, 502, 503, 504, 507)),
    *((RefusingMqtt, code) for code in (0x88, 0x89, 0x93, 0x96, 0x97)),
    *((RefusingSftp, code) for code in (1, 2, 3, 4, 5, 6, 7, 8)),
]
ABOUT_A_MESSAGE = [
    *((RefusingHttp, code) for code in (404, 405, 406, 409, 410, 411, 451)),
    *((RefusingMqtt, code) for code in (0x80, 0x83, 0x87, 0x91)),
]
WRONG = [
    *((RefusingHttp, code) for code in (400, 413, 414, 415, 422, 431)),
    *((RefusingMqtt, code) for code in (0x90, 0x99)),
]
REFUSED = [(RefusingHttp, 400), (RefusingMqtt, 0x99), (RefusingSftp, 3)]
"""One device's messages are refused: with SFTP its folder can't be written."""
SAID = {
    "http": ["no complete response"],
    "mqtt": ["unacknowledged"],
    "sftp": ["not written within", "lost"],  # the message's own, and that of those beside it
}


def named(value):
    return value.type if isinstance(value, type) else str(value)


@pytest.mark.parametrize(("kind", "code"), ABOUT_THE_TARGET, ids=named)
@ensureDeferred
async def test_what_is_about_the_target_is_waited_for(kind, code):
    async with kind() as server, Delivering(kind.type, configuration=server.configuration()) as world:
        world.store(*"ab")
        await world.settled()
        since = len(world.events.types)
        server.answer = lambda device: code
        world.store(*"abc" * 4)
        await until(lambda: "delivery.unavailable" in world.events.types[since:], what="the event")
        stats = world.stats()
        assert (stats["state"], stats["delivered"]) == ("unavailable", 2)
        assert (stats["dead"], stats["retrying"]) == (0, 0)
        assert stats["lastError"]
        assert world.service.holding_up() == []
        server.answer = lambda device: TAKEN
        stats = await world.settled()
        assert (stats["delivered"], stats["dead"], stats["state"]) == (14, 0, "running")
        assert "delivery.available" in world.events.types[since:]
        assert len(server.arrived) == 14
        assert all(line == sorted(line) for line in per_device(server.arrived).values())


@pytest.mark.parametrize(("kind", "code"), ABOUT_A_MESSAGE, ids=named)
@ensureDeferred
async def test_what_is_about_a_message_is_tried_again_and_then_a_dead_letter_that_can_be_sent_again(
    kind, code
):
    async with kind() as server, Delivering(kind.type, configuration=server.configuration()) as world:
        server.answer = lambda device: code
        world.store(*"ab")
        await until(lambda: world.stats()["dead"] == 2, what="dead letters")
        assert server.asked == 2 * world.spec.retry.max_attempts
        await until(lambda: "delivery.dead" in world.events.types, what="the event")
        stats = world.stats()
        assert stats["state"] == "running"
        assert stats["lastError"]
        server.answer = lambda device: TAKEN
        await world.service.retry("i1")
        await until(lambda: world.stats()["delivered"] == 2)
        assert (world.stats()["dead"], sorted(server.arrived)) == (0, [("a", 1), ("b", 2)])


@pytest.mark.parametrize(("kind", "code"), WRONG, ids=named)
@ensureDeferred
async def test_a_message_that_will_never_be_taken_is_a_dead_letter_at_once(kind, code):
    async with kind() as server, Delivering(kind.type, configuration=server.configuration()) as world:
        server.answer = lambda device: code
        world.store(*"aab")
        await until(lambda: world.stats()["dead"] == 3, what="dead letters")
        assert server.asked == 3


@pytest.mark.parametrize(("kind", "code"), REFUSED, ids=named)
@ensureDeferred
async def test_a_device_that_is_refused_costs_no_other_one(kind, code):
    async with kind() as server, Delivering(kind.type, configuration=server.configuration()) as world:
        server.answer = lambda device: code if device == "bad" else TAKEN
        world.store(*["good", "bad", "fine"] * 3)
        await until(lambda: world.stats()["delivered"] == 6, what="the other devices")
        first = list(server.arrived)

        def is_given_up():
            # where a protocol can't say whose fault it is, that is found out while others get through
            if kind is RefusingSftp and not world.stats()["waiting"] - world.stats()["retrying"]:
                world.store("good")
            return world.stats()["dead"] == 3

        await until(is_given_up, 60, "dead letters")
        stats = await world.settled()
        assert (stats["dead"], stats["state"]) == (3, "running")
        letters = await world.service.dead_letters("i1")
        assert {letter.record.device_name for letter in letters} == {"bad"}
        await until(lambda: "delivery.dead" in world.events.types, what="the event")
        assert per_device(first) == {"good": [1, 4, 7], "fine": [3, 6, 9]}


@pytest.mark.parametrize(("kind", "code"), REFUSED[:2], ids=named)
@ensureDeferred
async def test_a_target_that_refuses_everything_fills_no_disk(kind, code):
    limits = {"dead_letters": DeadLetterSpec(max_count=5), "retry": RetrySpec(initial=0.01, max_attempts=1)}
    async with (
        kind() as server,
        Delivering(kind.type, configuration=server.configuration(), **limits) as world,
    ):
        server.answer = lambda device: code
        world.store(*"abcdefgh" * 3)
        await until(lambda: world.stats()["dropped"].get("dead letters' limit") == 19, what="the limit")
        stats = world.stats()
        assert (stats["dead"], stats["waiting"], stats["inflight"]) == (5, 0, 0)
        await until(lambda: "delivery.dropped" in world.events.types, what="the event")
        server.answer = lambda device: TAKEN
        world.store("new")
        await until(lambda: world.stats()["delivered"] == 1)


def goes_on(world, kind):
    """With SFTP it is found out whose fault a refusal is while others get through."""
    stats = world.stats()
    if kind is RefusingSftp and not stats["waiting"] - stats["retrying"]:
        world.store("good")


@pytest.mark.parametrize(("kind", "code"), REFUSED, ids=named)
@ensureDeferred
async def test_of_a_refused_device_s_dead_letters_the_oldest_go_beyond_their_limit(kind, code):
    limits = {"dead_letters": DeadLetterSpec(max_count=2), "retry": RetrySpec(initial=0.01, max_attempts=1)}
    async with (
        kind() as server,
        Delivering(kind.type, configuration=server.configuration(), **limits) as world,
    ):
        server.answer = lambda device: code if device == "bad" else TAKEN
        world.store(*["good", "bad"] * 5)

        def is_over():
            goes_on(world, kind)
            return world.stats()["dropped"].get("dead letters' limit") == 3

        await until(is_over, 60, "the limit")
        stats = await world.settled()
        assert (stats["dead"], stats["dropped"]) == (2, {"dead letters' limit": 3})
        assert [letter.record.seq for letter in await world.service.dead_letters("i1")] == [8, 10]
        await until(lambda: "delivery.dropped" in world.events.types, what="the event")
        assert set(per_device(server.arrived)) == {"good"}


@pytest.mark.parametrize("kind", KINDS, ids=named)
@ensureDeferred
async def test_a_message_that_is_never_answered_costs_a_restart_no_other_message(kind):
    """Progress is kept ahead of it."""
    async with kind() as server:
        configuration = {**server.configuration(), **({} if kind is RefusingMqtt else {"timeout": 60.0})}
        server.answer = lambda device: SILENT if device == "hangs" else TAKEN
        async with Delivering(kind.type, configuration=configuration) as world:
            world.store("a")
            await world.settled()
            world.store("hangs", *"abcdefgh" * 25)
            await until(lambda: world.stats()["delivered"] == 201, what="the others")
            assert world.stats()["inflight"] == 1
        server.answer = lambda device: TAKEN
        async with Delivering(
            kind.type, journal=world.journal.crashed(), configuration=configuration
        ) as world:
            await until(lambda: world.stats()["delivered"] == 202, what="the one that is left")
        assert len(server.arrived) == 202


@pytest.mark.parametrize("kind", KINDS, ids=named)
@ensureDeferred
async def test_a_message_that_is_not_answered_comes_again_while_others_get_through(kind, monkeypatch):
    monkeypatch.setattr("iotgw.connect.mqtt_connection.FORGOTTEN", 1.0)
    silent = [SILENT] * 2
    async with kind() as server, Delivering(kind.type, configuration=server.configuration()) as world:
        server.answer = lambda device: silent.pop() if device == "hangs" and silent else TAKEN
        world.store("hangs")

        def came():
            if len(server.arrived) + world.stats()["inflight"] < 1000:
                world.store("other")
            return any(device == "hangs" for device, _ in server.arrived)

        await until(came, 60, "the message to come again")
        stats = await world.settled()
        assert (stats["dead"], stats["waiting"]) == (0, 0)
        assert any(said in stats["lastError"] for said in SAID[kind.type])
