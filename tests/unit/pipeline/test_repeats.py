"""Uplinks that are sent again: answered like the first time, and not stored anew."""

from itertools import pairwise

import msgspec
import pytest
import pytest_twisted
from twisted.internet.defer import Deferred, fail

from iotgw.core.model import STORED, Answer, Status
from iotgw.pipeline.admission import BUSY
from iotgw.pipeline.repeats import LONGEST, MOST, FirstTry, KnownKeys, Repeats, bounded
from tests.unit.pipeline.worlds import World, asynchronous


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    pytest_twisted.blockon(Deferred.fromCoroutine(world.start()))
    yield world
    pytest_twisted.blockon(Deferred.fromCoroutine(world.stop()))


def send(world, key, listens=True, **metadata):
    done = Deferred()
    world.intake().receive(b"x", metadata, done.callback, listens=listens, key=key)
    return done


async def stored(world):
    return [
        msgspec.json.decode(each.uplink.metadata)
        for each in reversed(await world.journal.messages("default", 0, 99))
    ]


@asynchronous
async def test_a_repeat_has_the_first_ones_message_id_before_and_after_it_is_durable(world):
    await world.datasource()
    first, second = send(world, "dev/7"), send(world, "dev/7")
    assert not first.called and not second.called
    answers = [await first, await second, await send(world, "dev/7")]
    assert {(answer.status, answer.message_id) for answer in answers} == {
        (Status.STORED, answers[0].message_id)
    }
    assert await stored(world) == [{"uplinkKey": "dev/7"}]
    assert world.pipeline.status(next(iter(world.sources)))["repeats"] == 2


@asynchronous
async def test_uplinks_without_a_key_are_never_repeats(world):
    await world.datasource()
    assert (await world.send(b"x")).message_id != (await world.send(b"x")).message_id
    assert await stored(world) == [{}, {}]


@asynchronous
async def test_the_keys_of_one_datasource_are_not_those_of_another(world):
    await world.datasource()
    await world.datasource("other")
    await send(world, "a")
    done = Deferred()
    world.intake("other").receive(b"x", {}, done.callback, key="a")
    await done
    assert len(await stored(world)) == 2


@asynchronous
async def test_after_a_restart_a_repeat_is_known_once_its_datasource_has_asked(world):
    await world.datasource()
    first = await send(world, "a")
    await world.again()
    await world.intake().recall()
    await world.intake().recall()
    assert (await send(world, "a")).message_id == first.message_id
    assert len(await stored(world)) == 1


@asynchronous
async def test_a_journal_that_cant_be_read_keeps_no_datasource_from_opening(world):
    await world.datasource()
    world.journal.latest_keys = lambda datasource, limit: fail(OSError("gone"))
    await world.intake().recall()
    assert ("failed", "messages that are sent again may be stored twice: gone") in [
        (event.type, event.message) for event in world.events.emitted
    ]
    assert (await send(world, "a")).status is Status.STORED


@asynchronous
async def test_a_downlink_that_still_waits_goes_with_the_answer_to_a_repeat(world):
    await world.datasource()
    await send(world, "a", identity="meter")
    world.queue("meter", b"go")
    assert (await send(world, "a", listens=False, identity="meter")).downlinks == ()
    (item,) = (await send(world, "a", identity="meter")).downlinks
    assert item.payload == b"go"
    assert (await send(world, "a", identity="meter")).downlinks == ()


def test_what_was_not_taken_is_forgotten_and_told_to_all_who_wait():
    repeats, answers = Repeats(), []
    first = repeats.expect("a", answers.append)
    first.wait(answers.append)
    first.answered(BUSY)
    assert [answer.status for answer in answers] == [Status.BUSY] * 2
    assert answers[1].retry_after == BUSY.retry_after
    assert repeats.find("a") is None


def test_only_the_first_sender_gets_the_downlinks():
    repeats, answers = Repeats(), []
    first = repeats.expect("a", answers.append)
    first.wait(answers.append)
    first.answered(Answer(Status.FAILED, "e-1", 0.0, ("item",)))
    assert [answer.downlinks for answer in answers] == [("item",), ()]
    assert repeats.find("a") == "e-1"


def test_the_oldest_keys_leave_first_and_one_under_way_is_answered_nevertheless():
    repeats, answers = Repeats(most=2), []
    oldest = repeats.expect("a", answers.append)
    for key in "bc":
        repeats.expect(key, answers.append).answered(STORED)
    assert len(repeats) == 2 and repeats.find("a") is None
    oldest.answered(STORED)
    assert len(answers) == 3 and repeats.find("a") is None


def test_what_came_since_the_start_outranks_what_is_learnt():
    repeats = Repeats(most=3)
    repeats.expect("b", lambda answer: None)
    repeats.learn([("x", "e-1"), ("a", "e-2"), ("b", "e-3"), ("c", "e-4")])
    assert repeats.find("x") is None and repeats.find("a") == "e-2" and repeats.find("c") == "e-4"
    assert isinstance(repeats.find("b"), FirstTry)


def test_the_bound_is_the_one_that_the_docs_state():
    assert MOST == 32_768


def test_a_long_key_is_known_by_its_hash_and_a_short_one_as_it_is():
    assert bounded("dev/7") == "dev/7"
    assert len(bounded("x" * 60_000)) <= LONGEST
    assert bounded("x" * 60_000 + "a") != bounded("x" * 60_000 + "b")
    assert bounded("\ud800" * 300) == bounded("\ud800" * 300)


def test_the_oldest_are_forgotten_many_at_a_time_and_the_latest_are_known():
    repeats, lengths = Repeats(most=160), []
    for number in range(500):
        repeats.expect(str(number), lambda answer: None)
        lengths.append(len(repeats))
        latest = range(max(0, number - 159), number + 1)
        assert all(repeats.find(str(each)) is not None for each in latest)
    drops = [before - after for before, after in pairwise(lengths) if after < before]
    assert max(lengths) == 170 and set(drops) == {10}


def test_all_datasources_together_have_a_bound_and_who_has_most_pays():
    known = KnownKeys(10_000)
    small, large = Repeats(known), Repeats(known)
    for number in range(300):
        small.expect(f"s{number}", lambda answer: None)
    for number in range(30_000):
        large.expect(f"l{number}", lambda answer: None)
        assert len(small) + len(large) <= 10_000 + 256
    assert len(small) == 300
    assert large.find("l29999") is not None and large.find("l0") is None


def test_a_datasource_that_is_gone_takes_no_room():
    known = KnownKeys(1000)
    gone = Repeats(known)
    gone.learn((str(number), "m") for number in range(900))
    del gone
    left = Repeats(known)
    left.learn((str(number), "m") for number in range(900))
    assert len(left) == 900
