"""The spine on the real journal and registry, with converters that answer when the test says so."""

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred

from iotgw import testing
from iotgw.core.model import State, Status
from iotgw.core.ports.pipeline import Room
from tests.unit.pipeline.worlds import MAX_METADATA, World, asynchronous, document


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(world.start()))
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


@asynchronous
async def test_a_device_is_answered_when_its_uplink_is_durable_and_not_before(world):
    await world.datasource()
    done = world.send(document("d"), port=1)
    assert not done.called
    answer = await done
    assert answer.status is Status.STORED
    message = await world.message(answer)
    assert message.uplink.payload == document("d")
    assert msgspec.json.decode(message.uplink.metadata) == {"port": 1}


@asynchronous
async def test_an_uplink_goes_through_the_converter_to_the_delivery(world):
    await world.datasource()
    answer = await world.send(document("d", t=1))
    await world.until(lambda: world.records)
    (record,) = world.records
    assert (record.device_name, record.body) == ("d", document("d", t=1))
    assert (await world.converted(answer)).state is State.CONVERTED


@asynchronous
async def test_an_uplink_is_converted_while_it_is_being_stored(world):
    await world.datasource()
    await world.until(lambda: world.pipeline.idle)  # it has read what the journal holds
    answers, answered_before = [], []
    convert = world.converters.convert

    def converting(jobs, done):
        answered_before.append(list(answers))
        convert(jobs, done)

    world.converters.convert = converting
    world.intake().receive(document("d"), {}, answers.append)
    await world.until(lambda: world.records)
    assert answered_before == [[]]
    assert [answer.status for answer in answers] == [Status.STORED]


@asynchronous
async def test_received_is_converted_plus_filtered_plus_failed(world):
    id = await world.datasource()
    for payload in (document("d"), b"{}", b"not json", document("e")):
        await world.send(payload)
    await world.until(lambda: sum(world.pipeline.status(id)["counts"].values()) == 8)
    counts = world.pipeline.status(id)["counts"]
    assert counts == {"received": 4, "converted": 2, "filtered": 1, "failed": 1, "refused": 0}


@asynchronous
async def test_a_failed_message_is_kept_with_its_error(world):
    await world.datasource()
    answer = await world.send(b"not json")
    message = await world.converted(answer)
    assert message.state is State.FAILED
    assert (message.error.line, message.error.column) == (1, 2)


@asynchronous
async def test_rejected_bytes_are_kept_as_a_failed_message_without_conversion(world):
    await world.datasource()
    world.intake().reject(b"\xff\xfe", {"peer": "x"}, "expected a frame of 17 bytes, got 2")
    await world.until(lambda: world.counts()["failed"] == 1)
    await world.again()
    (message,) = await world.journal.messages("default", 0, 10)
    assert message.error.message == "expected a frame of 17 bytes, got 2"
    assert message.error.stage == "datasource"
    assert world.converted_payloads == []


@asynchronous
async def test_without_room_nothing_is_taken_and_the_device_hears_it(world):
    await world.datasource()
    world.delivery.full = ["out"]
    answer = await world.send(document("d"))
    assert answer.status is Status.BUSY
    assert answer.retry_after > 0
    assert world.pipeline.room() == Room(
        False, "integrations", "an integration set to rejectNew can take no more"
    )
    again = []
    world.intake().when_room(lambda: again.append(1))
    assert not again
    world.delivery.full = []
    await world.until(lambda: again == [1])
    assert (await world.send(document("d"))).status is Status.STORED


@asynchronous
async def test_why_there_is_no_room_is_said_whatever_the_reason(world):
    assert world.pipeline.room() == Room()
    world.journal.room = False
    assert world.pipeline.room() == Room(
        False, "journal", "the journal takes none: too much waits for the disk"
    )
    world.journal.room = True
    await world.pipeline.stop()
    assert world.pipeline.room() == Room(False, "stopping", "the gateway is stopping")


@asynchronous
async def test_a_datasource_that_fails_to_answer_keeps_nobody_from_being_told(world):
    await world.datasource()

    def fails(answer):
        raise ValueError("a fault of the datasource")

    world.intake().receive(document("a"), {}, fails)
    answer = await world.send(document("b"))
    assert answer.status is Status.STORED
    await world.until(lambda: len(world.records) == 2)


@asynchronous
async def test_a_payload_over_the_limit_is_refused(world):
    await world.datasource()
    assert (await world.send(b"x" * 1001)).status is Status.TOO_LARGE


@asynchronous
async def test_what_is_too_large_is_said_once_a_minute_with_its_size_and_the_limit(world):
    await world.datasource()
    await world.datasource("other", routingKey="o")
    for _ in range(3):
        await world.send(b"x" * 1001)
    world.intake().reject(b"x" * 2000, {}, "expected a frame")
    await world.send(document("d"), "other", input="x" * MAX_METADATA)
    found = [event for event in world.events.emitted if event.type == "oversized"]
    assert [(event.name, event.severity, event.detail) for event in found] == [
        ("ds", "warning", {"size": 1001, "limit": 1000}),
        ("other", "warning", {"size": found[1].detail["size"], "limit": MAX_METADATA}),
    ]
    assert found[0].message == "a message was refused: expected at most 1000 bytes of payload, got 1001"


@asynchronous
async def test_metadata_over_the_limit_is_refused_counted_and_not_stored(world):
    id = await world.datasource(metadata={"site": "north"})
    fits = {"input": "x" * (MAX_METADATA - len('{"site":"north","input":""}'))}
    assert (await world.send(document("d"), **fits)).status is Status.STORED
    answer = await world.send(document("d"), input=fits["input"] + "x")
    assert answer.status is Status.TOO_LARGE and not answer.message_id
    assert (await world.send(document("d"), input="\x00" * 20_000)).status is Status.TOO_LARGE, "as JSON"
    assert world.pipeline.status(id)["counts"]["refused"] == 2
    assert len(await world.journal.messages("default", 0, 10)) == 1


@asynchronous
async def test_a_rejected_frame_with_metadata_over_the_limit_is_only_counted(world):
    id = await world.datasource()
    world.intake().reject(b"x", {"input": "x" * MAX_METADATA}, "expected a frame")
    assert world.pipeline.status(id)["counts"]["refused"] == 1


@asynchronous
async def test_static_metadata_joins_every_message_and_what_was_seen_outranks_it(world):
    await world.datasource(metadata={"site": "north", "port": 0})
    message = await world.message(await world.send(document("d"), port=7))
    assert msgspec.json.decode(message.uplink.metadata) == {"site": "north", "port": 7}


@asynchronous
async def test_a_reply_after_conversion_says_when_the_conversion_failed(world):
    await world.datasource(reply="converted")
    world.converters.held = []
    done = world.send(b"not json")
    await world.until(lambda: world.converters.held)
    assert not done.called
    world.converters.release()
    assert (await done).status is Status.FAILED


@asynchronous
async def test_a_converter_that_hangs_holds_only_its_own_datasource(world):
    await world.datasource("slow")
    await world.datasource("quick")
    world.converters.held = []
    await world.send(document("s"), "slow")
    await world.until(lambda: world.converters.held)
    ((jobs, done),), world.converters.held = world.converters.held, None
    await world.send(document("q"), "quick")
    await world.until(lambda: [record.device_name for record in world.records] == ["q"])
    done([testing.reads_json(job) for job in jobs])
    await world.until(lambda: len(world.records) == 2)


@asynchronous
async def test_outcomes_keep_the_order_of_the_uplinks_whichever_batch_is_done_first(world):
    await world.datasource()
    world.converters.held = []
    await world.send(document("first"))
    await world.until(lambda: len(world.converters.held) == 1)
    await world.send(document("second"))
    await world.until(lambda: len(world.converters.held) == 2)
    world.converters.release(1)
    assert world.records == []
    world.converters.release(0)
    await world.until(lambda: len(world.records) == 2)
    assert [record.device_name for record in world.records] == ["first", "second"]


@asynchronous
async def test_after_a_restart_conversion_goes_on_and_nothing_is_converted_twice(world):
    await world.datasource()
    await world.send(document("done"))
    await world.until(lambda: world.records)
    world.converters.held = []
    await world.send(document("open"))
    await world.until(lambda: world.converters.held)
    world.converters.held, world.converters.seen = None, []
    await world.again()
    await world.until(lambda: world.records)
    await world.until(lambda: world.pipeline.idle)
    assert world.converted_payloads == [document("open")]
    assert [record.device_name for record in world.records] == ["open"]


@asynchronous
async def test_a_downlink_for_a_known_identity_goes_with_the_answer(world):
    await world.datasource()
    world.queue("imei", b"x")
    answer = await world.send(document("d"), identity="imei")
    assert [item.payload for item in answer.downlinks] == [b"x"]


@asynchronous
async def test_while_an_item_waits_for_a_device_that_only_the_converter_names_the_answer_waits_too(world):
    await world.datasource()
    world.queue("d", b"x")
    answer = await world.send(document("d"))
    assert [item.payload for item in answer.downlinks] == [b"x"]


@asynchronous
async def test_each_uplink_of_a_device_that_only_the_converter_names_takes_one_item(world):
    await world.datasource()
    for text in (b"x", b"y"):
        world.queue("d", text)
        world.queue("other", b"z")
        answer = await world.send(document("d"))
        assert [item.payload for item in answer.downlinks] == [text]


@asynchronous
async def test_an_item_of_somebody_else_does_not_change_the_answer_to_a_message_that_fails(world):
    await world.datasource()
    world.queue("other", b"x")
    assert (await world.send(b"no json")).status is Status.STORED


@asynchronous
async def test_an_answer_that_can_carry_no_downlink_takes_none(world):
    await world.datasource()
    world.queue("d", b"x")
    answers = []
    world.intake().receive(document("d"), {"identity": "d"}, answers.append, listens=False)
    await world.until(lambda: answers)
    assert answers[0].downlinks == () and "d" in world.downlinks.waited_for("default")


@asynchronous
async def test_a_known_identity_waits_for_its_converter_once(world):
    """What a conversion told of an identity is remembered: the next answer doesn't wait."""
    await world.datasource()
    world.queue("other", b"x")
    await world.send(document("d"), identity="imei")
    world.converters.held = []
    assert (await world.send(document("d"), identity="imei")).downlinks == ()
    await world.until(lambda: world.converters.held)


@asynchronous
async def test_an_item_that_comes_while_the_answer_waits_for_the_converter_goes_with_it(world):
    await world.datasource(reply="converted")
    world.converters.held = []
    answers = []
    world.intake().receive(document("d"), {}, answers.append)
    await world.until(lambda: world.converters.held)
    world.queue("d", b"just in time")
    world.converters.release()
    await world.until(lambda: answers)
    assert [item.payload for item in answers[0].downlinks] == [b"just in time"]


@asynchronous
async def test_a_failed_message_is_converted_again_on_demand(world):
    await world.datasource()
    answer = await world.send(b"not json")
    message = await world.converted(answer)
    mended = msgspec.structs.replace(
        message, uplink=msgspec.structs.replace(message.uplink, payload=document("d"))
    )
    assert await world.pipeline.reprocess(mended) is State.CONVERTED
    await world.until(lambda: world.records)
    assert (await world.message(answer)).state is State.CONVERTED


@asynchronous
async def test_a_missing_converter_is_the_message_s_error(world):
    await world.datasource(converter="gone")
    answer = await world.send(document("d"))
    assert "no converter 'gone'" in (await world.converted(answer)).error.message


@asynchronous
async def test_a_datasource_without_a_converter_only_stores(world):
    await world.datasource(converter="")
    message = await world.converted(await world.send(b"anything"))
    assert message.state is State.FILTERED
    assert message.error is None


@asynchronous
async def test_the_device_model_picks_the_converter(world):
    await world.datasource(converter="", converters={"TEK822": "json"})
    await world.send(document("a"), deviceModel="TEK822")
    answer = await world.send(document("b"), deviceModel="TEK999")
    await world.until(lambda: world.records)
    assert [record.device_name for record in world.records] == ["a"]
    assert "TEK999" in (await world.converted(answer)).error.message


@asynchronous
async def test_the_journal_keeps_nothing_for_a_removed_datasource(world):
    id = await world.datasource()
    world.converters.held = []
    await world.send(document("first"))
    await world.until(lambda: world.converters.held)
    answers = [await world.send(document("later")) for _ in range(3)]
    await world.registry.delete("datasource", id)
    await world.until(lambda: world.pipeline.status(id)["state"] == "stopped")
    while world.converters.held:
        world.converters.release()
    await world.until(lambda: world.pipeline.status(id) == {"state": "stopped"})
    last = int(answers[-1].message_id.split("-")[1])
    await world.again()
    assert world.journal.conversion_cursors()[id] >= last


@asynchronous
async def test_a_removed_datasource_takes_nothing_more(world):
    id = await world.datasource()
    await world.send(document("d"))
    await world.registry.delete("datasource", id)
    await world.until(lambda: world.pipeline.status(id) == {"state": "stopped"})
    assert world.pipeline.datasource_name(id) == id


@asynchronous
async def test_a_receipt_counts_for_the_device_beside_it_or_for_the_sender(world):
    await world.datasource()
    beside = {"deviceName": "a", "id": "1"}
    await world.converted(await world.send(document("b", acks=[beside, {"id": "2"}]), identity="i"))
    await world.converted(await world.send(document("b", acks=[{"id": "3"}])))
    await world.converted(await world.send(b'{"acks": [{"id": "4"}]}', identity="i"))
    assert world.downlinks.receipts == [
        ("a", "i", {"id": "1"}),
        ("i", "i", {"id": "2"}),
        ("b", "", {"id": "3"}),
        ("i", "i", {"id": "4"}),
    ]


@asynchronous
async def test_who_may_not_speak_for_a_device_cannot_confirm_its_downlinks(world):
    await world.datasource()
    world.intake().guard = lambda metadata, outputs: "" if outputs[0].device_name == "own" else "not yours"
    await world.converted(await world.send(document("own", acks=[{"deviceName": "own", "id": "1"}])))
    await world.converted(await world.send(document("another", acks=[{"deviceName": "another", "id": "2"}])))
    assert [ack["id"] for _, _, ack in world.downlinks.receipts] == ["1"]
