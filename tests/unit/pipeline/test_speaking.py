"""A message of a sender that may not speak for the device that it names ends as failed, and can be converted again once
it may."""

import msgspec
import pytest
import pytest_twisted

from iotgw import testing
from iotgw.core.model import Conversion, Output, State, Status
from iotgw.core.specs import DownlinkSpec
from tests.unit.pipeline.worlds import World, asynchronous, document

PROOF = {"identity": "meter-7", "identityType": "psk"}
MUST = "device 'meter-7' has a credential, and must prove what it is"


@pytest_twisted.async_yield_fixture
async def world(tmp_path):
    world = World(tmp_path)
    await world.start()
    yield world
    await world.stop()


async def outcome(world, payload, name="ds", **metadata):
    """The message that is made of an uplink."""
    return await world.converted(await world.send(payload, name, **metadata))


def error(message):
    return message.error.name, message.error.message


@asynchronous
async def test_a_device_with_a_credential_is_not_who_only_says_so(world):
    await world.datasource()
    world.credentials.add_psk("sim", b"key", "meter-7")
    message = await outcome(world, document("meter-7"), remoteIp="192.0.2.1")
    assert message.state is State.FAILED
    assert error(message) == ("IdentityMismatch", MUST)
    assert world.records == []
    (id,) = world.sources
    assert world.pipeline.status(id)["refusals"] == {"identity": 1}


@asynchronous
async def test_and_is_who_has_proved_it(world):
    await world.datasource()
    world.credentials.add_psk("sim", b"key", "meter-7")
    world.intake().proves = True
    assert (await outcome(world, document("meter-7"), **PROOF)).state is State.CONVERTED


@asynchronous
async def test_a_proof_that_a_datasource_does_not_check_is_none(world):
    await world.datasource(metadata={"identityType": "psk"})
    world.credentials.add_psk("sim", b"key", "meter-7")
    for proof in (PROOF, {"identity": "meter-7"}):
        message = await outcome(world, document("meter-7"), **proof, dtlsIdentity="sim")
        assert message.state is State.FAILED
        assert {"identityType", "dtlsIdentity"}.isdisjoint(msgspec.json.decode(message.uplink.metadata))


@pytest.mark.parametrize("by_hand", [True, False])
@asynchronous
async def test_what_a_datasource_s_settings_say_of_everybody_proves_nothing_of_anybody(world, by_hand):
    id = await world.datasource(metadata={"identityType": "psk", "site": "x"})
    world.credentials.add_psk("sim", b"key", "meter-7")
    world.intake().proves = True
    if by_hand:
        answer = await world.pipeline.inject(id, document("meter-7"), {"identity": "meter-7"})
        message = await world.converted(answer)
    else:
        message = await outcome(world, document("meter-7"), identity="meter-7")
    assert error(message) == ("IdentityMismatch", MUST)
    assert msgspec.json.decode(message.uplink.metadata)["site"] == "x"


@asynchronous
async def test_a_refused_claim_is_converted_again_once_it_is_allowed(world):
    id = await world.datasource()
    grant = world.credentials.add_psk("sim", b"key", "meter-7")
    message = await outcome(world, document("meter-7"))
    assert await world.pipeline.reprocess(message) is State.FAILED
    world.credentials.revoke(grant)
    assert await world.pipeline.reprocess(message) is State.CONVERTED
    assert world.speakers.owner("default", "meter-7") == id


@asynchronous
async def test_an_identity_of_a_device_with_a_credential_is_not_even_converted(world):
    await world.datasource()
    await world.datasource("kept", converter="")
    world.credentials.add_psk("sim", b"key", "meter-7")
    for name in ("ds", "kept"):
        message = await outcome(world, document("other"), name, identity="meter-7")
        assert error(message) == ("IdentityMismatch", MUST)
    assert world.converters.seen == []


@asynchronous
async def test_a_stranger_at_another_datasource_is_not_a_device_that_is_there_already(world):
    await world.datasource("own")
    await world.datasource("open")
    assert (await outcome(world, document("d"), "own")).state is State.CONVERTED
    message = await outcome(world, document("d"), "open")
    assert error(message) == ("IdentityMismatch", "device 'd' belongs to another datasource")


@asynchronous
async def test_one_device_of_several_is_enough(world):
    await world.datasource("own")
    await world.datasource("open")
    await outcome(world, document("d"), "own")
    names = ("new", "d")
    world.converters.makes = lambda job: Conversion(tuple(Output(name, "", b"{}") for name in names))
    message = await outcome(world, b"", "open")
    assert message.state is State.FAILED
    assert world.speakers.owner("default", "new") == ""


@pytest.mark.parametrize(("speaks_for", "state"), [("own", State.FAILED), ("unproved", State.CONVERTED)])
@asynchronous
async def test_a_datasource_speaks_for_what_its_setting_says_at_once(world, speaks_for, state):
    await world.datasource("own")
    id = await world.datasource("open")
    await outcome(world, document("d"), "own")
    resource = world.registry.get("datasource", id, "default")
    await world.registry.replace("datasource", id, {**resource.body, "speaksFor": speaks_for})
    await world.pipeline.applied(id)
    assert (await outcome(world, document("d"), "open")).state is state


@asynchronous
async def test_the_rule_holds_over_a_restart(world):
    await world.datasource("own")
    await world.datasource("open")
    await outcome(world, document("d"), "own")
    await world.again()
    assert (await outcome(world, document("d"), "open")).state is State.FAILED
    assert (await outcome(world, document("d"), "own")).state is State.CONVERTED


@asynchronous
async def test_the_devices_of_a_deleted_datasource_are_taken_over(world):
    id = await world.datasource("own")
    await world.datasource("open")
    await outcome(world, document("d"), "own")
    refused = await outcome(world, document("d"), "open")
    await world.registry.delete("datasource", id)
    assert await world.pipeline.reprocess(refused) is State.CONVERTED
    assert (await outcome(world, document("d"), "open")).state is State.CONVERTED


class TestDownlinks:
    @asynchronous
    async def test_a_stranger_s_answer_carries_nothing_whether_an_identity_or_a_name_asks_for_it(self, world):
        await world.datasource("own")
        await world.datasource("open")
        await outcome(world, document("d"), "own")
        world.queue("d", b"secret")
        world.downlinks.identities["default", "d"] = "4711"
        for payload, more in (
            (document("x"), {"identity": "4711"}),
            (document("x"), {"identity": "d"}),
            (document("d"), {}),
        ):
            answer = await world.send(payload, "open", **more)
            assert (answer.status, answer.downlinks) == (Status.STORED, ())
        answer = await world.send(document("d"), "own", identity="4711")
        assert [item.payload for item in answer.downlinks] == [b"secret"]

    @asynchronous
    async def test_an_identity_that_is_another_s_does_not_hide_what_waits_for_the_device(self, world):
        await world.datasource("own")
        await world.datasource("open")
        await outcome(world, document("4711"), "own")
        await outcome(world, document("x"), "open", identity="4711")
        world.queue("4711", b"secret")
        world.queue("x", b"mine")
        answer = await world.send(document("x"), "open", identity="4711")
        assert [item.payload for item in answer.downlinks] == [b"mine"]

    @asynchronous
    async def test_an_answer_that_is_held_back_is_none_for_a_stranger(self, world):
        await world.datasource("own")
        await world.datasource("open")
        await outcome(world, document("d"), "own")
        answers = []
        world.intake("open").receive_and_hold(document("x"), {"identity": "d"}, answers.append, 0.2)
        world.queue("d", b"secret")
        await world.until(lambda: answers)
        assert answers[0].downlinks == ()

    @asynchronous
    async def test_who_asks_or_has_a_session_gets_nothing_either(self, world):
        await world.datasource("own")
        await world.datasource("open")
        await outcome(world, document("d"), "own")
        sent = []
        world.intake("open").reachable("d", sent.extend)
        world.queue("d", b"secret")
        assert sent == []
        assert await world.intake("open").downlinks("d") == ()
        assert world.intake("open").objection("d") == "device 'd' belongs to another datasource"
        assert [item.payload for item in await world.intake("own").downlinks("d")] == [b"secret"]

    @asynchronous
    async def test_a_proof_gets_a_device_its_items_wherever_it_is(self, world):
        await world.datasource("own")
        await world.datasource("secure")
        world.intake("secure").proves = True
        world.credentials.add_psk("sim", b"key", "meter-7")
        await outcome(world, document("meter-7"), "own")
        for ask in ("downlinks", "answer", "held"):
            world.queue("meter-7", ask.encode())
        intake, answers = world.intake("secure"), []
        assert [item.payload for item in await intake.downlinks("meter-7", 1, "meter-7")] == [b"downlinks"]
        answer = await world.send(document("meter-7"), "secure", **PROOF)
        assert [item.payload for item in answer.downlinks] == [b"answer"]
        intake.receive_and_hold(document("meter-7"), PROOF, answers.append, 5)
        await world.until(lambda: answers)
        assert [item.payload for item in answers[0].downlinks] == [b"held"]

    @asynchronous
    async def test_a_receipt_of_a_stranger_counts_for_nothing(self, world):
        own = await world.datasource("own")
        await world.datasource("open")
        await outcome(world, document("d"), "own")
        spec = DownlinkSpec(data="x", content_type="TEXT", msg_type="reboot", confirmed=True)
        item = testing.fired(world.downlinks.push("default", "d", spec))
        world.downlinks.take("default", "d", own, 1, lambda items: None)
        world.downlinks.outcome(item.id, "sent")
        assert not await world.intake("open").downlink_confirmed("d", True)
        assert not await world.intake("open").downlink_confirmed("", True, "", item.id)
        ack = msgspec.json.encode({"deviceName": "d", "id": item.id})
        world.converters.makes = lambda job: Conversion((), acks=(ack,))
        await outcome(world, b"", "open")
        assert world.downlinks.items[item.id].state.value == "SENT"


class TestByHand:
    @asynchronous
    async def test_what_is_sent_by_hand_proves_nothing(self, world):
        id = await world.datasource()
        world.intake().proves = True
        world.credentials.add_psk("sim", b"key", "meter-7")
        answer = await world.pipeline.inject(id, document("meter-7"), PROOF)
        assert (await world.converted(answer)).state is State.FAILED

    @asynchronous
    async def test_nor_does_it_take_what_is_another_datasource_s(self, world):
        await world.datasource("own")
        id = await world.datasource("open")
        await outcome(world, document("d"), "own")
        answer = await world.pipeline.inject(id, document("d"), {})
        assert (await world.converted(answer)).state is State.FAILED


@asynchronous
async def test_a_type_that_sees_no_addresses_is_not_opened_with_networks(world):
    id = await world.datasource(allow=["192.0.2.0/24"])
    status = world.pipeline.status(id)
    assert status["state"] == "failed"
    assert status["error"].startswith("allow: expected none for plain")
