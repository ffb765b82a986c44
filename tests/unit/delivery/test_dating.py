"""What was received while the clock was wrong reaches a target with its right date, or marked."""

import msgspec
import pytest

from iotgw.core.model import Kind
from iotgw.core.types import Types
from iotgw.core.verdict import DELIVERED, Unavailable
from iotgw.delivery.dating import dated
from iotgw.testing import FakeIntegrationType, MemoryEvents
from iotgw.testing.reactor import clock
from tests.unit.delivery.worlds import DeliveryService, IntegrationSpec, SlowJournal, World, queue, record
from tests.unit.jumps import DAY, HOUR, Jumps


@pytest.fixture
def world():
    time = clock()
    made = Jumps(time)
    made.clock = time
    return made


def entries(given):
    return [(entry["ts"], entry["values"]) for entry in msgspec.json.decode(given.body)["telemetry"]]


def reading(received_ms, *times, **more):
    telemetry = [{"ts": ts, "values": {"n": 1}} for ts in times]
    body = msgspec.json.encode({"deviceName": "d", "telemetry": telemetry})
    return record(1, "d", received_ms=received_ms, body=body, **more)


def test_a_reading_with_the_time_of_its_receipt_is_marked_and_one_with_its_own_time_is_not(world):
    world.to_1970()
    now_ms = world.calendar.now_ms()
    (sent,) = dated(world.calendar, [reading(now_ms, now_ms, 1_790_000_000_000)])
    assert sent.received_ms == now_ms
    assert entries(sent) == [(now_ms, {"n": 1, "clockUnsure": True}), (1_790_000_000_000, {"n": 1})]


def test_once_the_date_is_known_the_reading_and_its_record_have_it(world):
    right = world.to_1970()
    now_ms, really_ms = world.calendar.now_ms(), int(world.clock.seconds() * 1000)
    world.clock.advance(HOUR)
    world.jump(right)
    (sent,) = dated(world.calendar, [reading(now_ms, now_ms, 5)])
    assert sent.received_ms == really_ms
    assert entries(sent) == [(really_ms, {"n": 1}), (5, {"n": 1})]


def test_an_event_s_date_is_mended_and_its_body_stays(world):
    right = world.to_1970()
    now_ms, really_ms = world.calendar.now_ms(), int(world.clock.seconds() * 1000)
    world.jump(right)
    event = record(1, "d", received_ms=now_ms, body=b'{"event":"x"}', kind=Kind.EVENT)
    (sent,) = dated(world.calendar, [event])
    assert (sent.received_ms, sent.body) == (really_ms, event.body)


def test_what_was_received_by_a_plausible_clock_is_sent_as_it_is(world):
    given = reading(world.calendar.now_ms(), world.calendar.now_ms())
    world.to_1970()
    assert dated(world.calendar, [given])[0] is given


def test_the_delivery_service_sends_it_so_and_no_jump_makes_it_expire(world):
    right = world.to_1970()
    journal = SlowJournal(world.clock, epoch="E")
    types = Types("iotgw.none", world.clock, [lambda _: FakeIntegrationType()])
    service = DeliveryService(journal, types, world.clock, MemoryEvents(), str, calendar=world.calendar)
    service.start()
    service.apply("i1", "one", "default", IntegrationSpec(name="one", type="fake"))
    target, sent = types.get("fake").targets[-1], []
    target.says = lambda records: sent.extend(records) or DELIVERED
    service.pause("i1")
    given = reading(world.calendar.now_ms(), world.calendar.now_ms())
    journal.put([given])
    service.feed([given])
    really_ms = int(world.clock.seconds() * 1000)
    world.jump(right + 8 * DAY)
    service.resume("i1")
    assert [entries(each) for each in sent] == [[(really_ms + 8 * DAY * 1000, {"n": 1})]]
    stats = service.stats("i1")
    assert (stats["delivered"], stats["expired"]) == (1, 0)


def test_while_a_target_is_away_what_waits_expires_by_the_time_that_passes(world):
    away = World(
        clock=world.clock, calendar=world.calendar, queue=queue(max_age=HOUR),
        says=lambda records: Unavailable("down", after=DAY),
    )  # fmt: skip
    away.store("a", "b", "b", received_ms=world.calendar.now_ms())
    world.jump(8 * DAY)
    away.store("c", received_ms=world.calendar.now_ms())
    world.clock.advance(HOUR - 2)
    assert away.stats()["expired"] == 0
    world.clock.advance(2)
    world.clock.advance(2)
    assert away.stats()["waiting"] == 0
    assert away.stats()["expired"] >= 3
