"""What converters say to devices: when it is sent, what it waits for, and what never sends it."""

import msgspec
import pytest

from iotgw import testing
from iotgw.core.model import Answer, Aside, ConverterVersion, DeviceReply, Outcome, State, Status
from iotgw.core.specs import ConverterSpec
from iotgw.pipeline.replies import REPLY_PATIENCE
from tests.unit.pipeline.test_long_poll import World as Held
from tests.unit.pipeline.test_pipeline import asynchronous, world
from tests.unit.pipeline.test_replies import World as Due
from tests.unit.pipeline.worlds import VERSION

__all__ = ["world"]

REPLY = DeviceReply(b"ok", "TEXT")


def says(world, *names):
    """The library's converter names these in its text."""
    library = {"json": msgspec.structs.replace(VERSION, script=" ".join(names))}
    world.pipeline._versions.library = library


def message(**values):
    return msgspec.json.encode(values)


@asynchronous
async def test_a_device_is_answered_with_what_its_converter_says(world):
    says(world, "reply")
    await world.datasource()
    answer = await world.send(message(deviceName="d", reply="ok"))
    assert (answer.status, answer.reply) == (Status.STORED, REPLY)
    assert (await world.message(answer)).uplink.payload == message(deviceName="d", reply="ok")
    await world.until(lambda: world.records)


@asynchronous
async def test_a_message_without_telemetry_is_filtered_and_answered(world):
    says(world, "reply", "session")
    await world.datasource()
    answer = await world.send(message(reply="ok", session={"identity": "7"}))
    assert (answer.status, answer.reply, answer.facts) == (Status.STORED, REPLY, {"identity": "7"})
    assert (await world.converted(answer)).state is State.FILTERED


@asynchronous
async def test_it_comes_with_the_conversion_s_answer_too(world):
    says(world, "reply")
    await world.datasource(reply="converted")
    assert (await world.send(message(deviceName="d", reply="ok"))).reply == REPLY
    failed = await world.send(b"no json")
    assert (failed.status, failed.reply) == (Status.FAILED, None)


@asynchronous
async def test_a_failure_says_nothing_and_the_message_is_stored(world):
    says(world, "reply")
    await world.datasource()
    answer = await world.send(b"no json")
    assert (answer.status, answer.reply) == (Status.STORED, None)


@asynchronous
async def test_a_sender_that_may_not_be_this_device_is_told_nothing(world):
    says(world, "reply", "session")
    await world.datasource()
    world.intake().guard = lambda metadata, outputs: "it is another one"
    answer = await world.send(message(deviceName="d", reply="ok", session={"identity": "d"}))
    assert (answer.reply, answer.facts) == (None, {})


@asynchronous
async def test_nobody_waits_for_a_converter_that_has_nothing_to_say(world):
    await world.datasource()
    await world.until(lambda: world.pipeline.idle)
    world.converters.held = []
    assert (await world.send(message(deviceName="d", reply="ok"))).reply is None
    world.converters.release()
    world.converters.held = None


@asynchronous
async def test_converting_a_message_again_sends_nothing(world):
    says(world, "reply")
    await world.datasource()
    answer = await world.send(message(deviceName="d", reply="ok"))
    stored = await world.converted(answer)
    outcomes = []
    world.heard.settled = lambda settled, records: outcomes.extend(settled)
    assert await world.pipeline.reprocess(stored) is State.CONVERTED
    await world.journal.durable()
    assert [outcome.aside for outcome in outcomes if outcome.seq == stored.seq] in ([], [None])


@asynchronous
async def test_queued_items_go_with_the_same_answer(world):
    says(world, "reply", "session")
    await world.datasource()
    world.queue("d", b"go")
    answer = await world.send(message(deviceName="d", reply="ok"))
    assert answer.reply == REPLY and [item.payload for item in answer.downlinks] == [b"go"]
    world.queue("7", b"on")
    answer = await world.send(message(session={"identity": "7"}))
    assert [item.payload for item in answer.downlinks] == [b"on"]


@asynchronous
async def test_a_new_version_that_has_something_to_say_is_waited_for_from_its_first_message(world):
    versions = testing.MemoryConverterVersions()
    world.pipeline._versions = versions
    resource = await versions.create("default", ConverterSpec(name="mine", script="function () {}"))
    await world.datasource(converter="mine")
    runner = next(iter(world.pipeline._running.values()))
    runner.conversions._versions = versions
    assert (await world.send(message(deviceName="d", reply="ok"))).reply is None
    await versions.replace(resource, ConverterSpec(name="mine", script="function () { reply }"))
    kept = await world.registry.create("converter", "another", "theirs", {})
    assert (await world.send(message(deviceName="d", reply="ok"))).reply is None
    await world.registry.create("converter", "default", "mine", dict(kept.body))
    assert (await world.send(message(deviceName="d", reply="ok"))).reply == REPLY


@pytest.fixture
def due():
    made = Due()
    made.source.says = frozenset(("reply",))
    return made


def converted(due, seq, aside=None):
    outcome = Outcome(seq, State.CONVERTED, "", aside=aside)
    due.replies.converted([outcome])


def test_a_device_waits_for_a_slow_converter_and_not_forever(due):
    due.store(1)
    due.clock.pump([1.0] * (REPLY_PATIENCE - 1))
    assert due.told == {}
    due.clock.pump([1.0] * 2)
    assert due.told == {1: (Status.STORED, [])}
    converted(due, 1, Aside(REPLY))  # too late: it was answered


def test_whoever_needs_the_facts_of_its_connection_waits_as_long_as_it_takes(due):
    due.source.says = frozenset(("session",))
    due.store(1)
    due.clock.pump([1.0] * (REPLY_PATIENCE * 10))
    assert due.told == {}
    converted(due, 1, Aside(None, {"identity": "7"}))
    assert due.told == {1: (Status.STORED, [])}


def test_an_answer_that_is_held_back_is_sent_with_its_reply():
    held = Held()
    held.uplink(5.0, identity="d")
    answer = Answer(Status.STORED, "1", 0.0, (), REPLY)
    held.stored(answer=answer)
    assert held.answers == [answer]


def test_the_versions_of_a_double_say_what_their_script_names():
    converters = testing.FakeConverters()
    version = ConverterVersion("c", 1, "c", "UPLINK", "reply", "thingsboard", "duktape")
    assert converters.says(version) == {"reply"}
