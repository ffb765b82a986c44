"""Whoever fills a limit pays for it."""

from iotgw.core.specs import QueueSpec, RetrySpec
from iotgw.core.verdict import DELIVERED, Retry
from tests.unit.delivery.worlds import World, record

SIZE = len(record(10, "a", received_ms=1_000_000_000).body)
PATIENT = RetrySpec(initial=3600, multiplier=1, cap=3600, max_attempts=50)


def refusing_one(**queue):
    """A target that refuses what ``bad`` sends, and has 50 of its messages parked."""
    world = World(
        says=lambda records: Retry("no") if records[0].device_name == "b" else DELIVERED,
        retry=PATIENT, window=4, queue=QueueSpec(max_bytes=50 * SIZE, **queue),
    )  # fmt: skip
    world.store(*["b"] * 60)
    return world


def test_of_a_refused_devices_parked_messages_the_oldest_go_and_no_other_devices():
    world = refusing_one()
    world.clock.advance(1)
    world.target.says = None
    world.store(*[f"d{n % 10}" for n in range(40)])
    world.clock.advance(1)
    world.clock.advance(1)
    stats = world.stats()
    assert stats["dropped"]["queue full"] >= 10
    world.target.says = lambda records: DELIVERED
    world.target.answer_all()
    world.clock.advance(1)
    assert sorted(world.target.got) == list(range(61, 101))
    assert stats["waitingBytes"] <= 50 * SIZE


def test_the_share_of_parked_ones_is_theirs_while_nobody_else_needs_it():
    world = refusing_one()
    for _ in range(3):
        world.clock.advance(1)
    stats = world.stats()
    assert 45 <= stats["retrying"] <= 50
    assert stats["waiting"] == stats["retrying"]


def test_the_longest_line_pays():
    world = refusing_one()
    world.store("x", "x")
    world.target.says = lambda records: Retry("no")
    world.clock.advance(1)
    world.store("x")
    world.clock.advance(1)
    left = {row.record.device_name for row in world.journal.parked.values()}
    assert left >= {"b"}
    assert world.stats()["dropped"]["queue full"] > 0


def test_with_reject_new_one_refused_device_does_not_close_the_gateway_to_all():
    world = refusing_one(overflow="rejectNew")
    assert world.service.room()
    assert world.service.holding_up() == []
    world.clock.advance(1)
    stats = world.stats()
    assert stats["dropped"] == {}  # nothing that was accepted is dropped
    assert stats["dead"] >= 10  # but given up
    world.store("a")
    assert 61 in world.target.got


def test_who_holds_up_all_is_named():
    world = World(window=1, queue=QueueSpec(max_bytes=3 * SIZE, overflow="rejectNew"))
    world.store(*"abcdef")
    assert not world.service.room()
    assert world.service.holding_up() == ["one"]


def test_after_the_head_of_a_line_went_the_next_is_tried_in_its_place():
    world = refusing_one()
    world.clock.advance(1)
    world.clock.advance(1)
    world.target.says = lambda records: DELIVERED
    world.clock.advance(3600)
    world.clock.advance(1)
    stats = world.stats()
    assert (stats["waiting"], stats["waitingBytes"]) == (0, 0)
    assert world.target.got == sorted(world.target.got)
    assert stats["delivered"] + stats["dropped"]["queue full"] == 60


def test_the_accounts_of_lines_survive_a_restart():
    world = refusing_one()
    world.clock.advance(1)
    world.clock.advance(1)
    before = world.stats()
    world = world.crash()
    for name in ("waitingBytes", "dropped", "retrying"):
        assert world.stats()[name] == before[name], name
