"""What is said of a message's delivery."""

import pytest
from msgspec import structs

from iotgw.core.model import Message, State
from iotgw.core.specs import RetrySpec, RouteSpec
from iotgw.core.verdict import DELIVERED, Rejected, Retry
from iotgw.delivery.tries import LONGEST
from tests.unit.delivery.worlds import World, fired, queue


def delivered(records):
    return DELIVERED


def test_the_state_of_a_delivery():
    def states(seq):
        message = Message(seq, None, State.CONVERTED, "", None, (world.journal.records[seq - 1],))
        return [
            (d.integration, d.state, d.attempts, d.error)
            for d in fired(world.service.deliveries([message]))[0]
        ]

    def next_try(seq):
        message = Message(seq, None, State.CONVERTED, "", None, (world.journal.records[seq - 1],))
        return fired(world.service.deliveries([message]))[0][0].next_try_at

    world = World(
        says=lambda r: {"x": Rejected("never"), "y": Retry("later", after=99)}.get(r[0].device_name)
    )
    world.store("a", "a", "x", "y", "y")
    world.clock.advance(0.3)
    assert states(1) == [("one", "inflight", 0, None)]
    assert states(2) == [("one", "queued", 0, None)]
    assert states(3) == [("one", "dead", 1, "never")]
    assert states(4) == [("one", "retrying", 1, "later")]
    assert states(5) == [("one", "queued", 0, None)]
    assert [next_try(seq) for seq in (1, 3, 5)] == [None, None, None]
    assert next_try(4) == pytest.approx((world.clock.seconds() + 99) * 1000, abs=2000)
    world.target.answer()
    assert states(1) == [("one", "delivered", 1, None)]


def test_the_latest_attempts_are_kept_with_their_times_and_answers():
    answers = iter(range(1, 20))
    world = World(
        says=lambda r: Retry(f"503: busy {next(answers)}" + "!" * 1000, after=2),
        retry=RetrySpec(initial=1.0, multiplier=1.0, cap=60.0, max_attempts=7),
    )
    (seq,) = world.store("a")

    def tries():
        return delivery(world, seq).tries

    started = world.now_ms
    world.clock.advance(0.3)
    assert [each.answer[:11] for each in tries()] == ["503: busy 1"]
    assert [len(each.answer) for each in tries()] == [LONGEST]
    for _ in range(200):
        world.clock.advance(0.1)
    assert delivery(world, seq).state == "dead"
    assert [each.answer[:11] for each in tries()] == [f"503: busy {n}" for n in (3, 4, 5, 6, 7)]
    times = [each.at for each in tries()]
    assert times == sorted(times) and started < times[0] < times[-1] <= world.now_ms
    world.service.retry("i1", seq)
    for _ in range(20):
        world.clock.advance(0.1)
    assert [each.answer[:11] for each in tries()] == [f"503: busy {n}" for n in (4, 5, 6, 7, 8)]
    assert tries()[-1].at > times[-1]


def test_what_waits_behind_a_failed_one_was_not_tried():
    world = World(says=lambda r: Retry("later", after=99))
    _, behind = world.store("a", "a")
    world.clock.advance(0.3)
    assert (delivery(world, behind).state, delivery(world, behind).tries) == ("queued", ())


def delivery(world, seq):
    """The delivery of a record that is the only one of its message."""
    message = Message(seq, None, State.CONVERTED, "", None, (world.journal.records[seq - 1],))
    return fired(world.service.deliveries([message]))[0][0]


def state(world, seq):
    """The state of the delivery of a record that is the only one of its message."""
    return delivery(world, seq).state


def test_a_message_that_was_dropped_or_expired_is_not_called_delivered():
    world = World(says=delivered, queue=queue(max_age=60))
    world.store("a")
    world.service.pause("i1")
    world.store("b", "c")
    fired(world.service.purge("i1"))
    world.store("d")
    world.clock.advance(70)
    world.service.resume("i1")
    world.store("e")
    world.clock.advance(1)
    assert [state(world, seq) for seq in range(1, 6)] == [
        "delivered",
        "dropped",
        "dropped",
        "expired",
        "delivered",
    ]
    assert [state(world.crash(), seq) for seq in range(1, 6)][1:4] == ["dropped", "dropped", "expired"]


def test_what_was_lost_long_ago_is_not_called_delivered():
    world = World(says=delivered, queue=queue(max_age=60))
    for _ in range(300):
        world.store("a")
        world.service.pause("i1")
        world.store("b")
        fired(world.service.purge("i1"))
        world.service.resume("i1")
    world.clock.advance(1)
    assert {state(world, seq) for seq in range(2, 200, 2)} == {"unknown"}
    for now in (world, world.crash()):
        assert [state(now, seq) for seq in range(581, 601)] == ["delivered", "dropped"] * 10
    assert world.stats()["dropped"] == {"purged": 300}


def test_what_an_older_route_may_have_left_out_is_not_called_delivered():
    world = World(says=delivered, route=RouteSpec(device_names=["a"]))
    world.store("a", "b")
    world.clock.advance(1)
    fired(world.service.apply("i1", "one", "default", structs.replace(world.spec, route=RouteSpec())))
    world.target.says = delivered
    world.store("b")
    assert [state(world, seq) for seq in (1, 2, 3)] == ["unknown", "unknown", "delivered"]


def test_many_deliveries_are_one_look_into_the_journal():
    world = World(says=lambda r: Rejected("never") if r[0].device_name == "x" else DELIVERED)
    world.store("a", "x", "b", "x")
    world.clock.advance(1)
    asked = []
    look = world.journal.parked_among
    world.journal.parked_among = lambda wanted: asked.append(wanted) or look(wanted)
    messages = [Message(each.seq, None, State.CONVERTED, "", None, (each,)) for each in world.journal.records]
    found = fired(world.service.deliveries(messages))
    assert [each.state for (each,) in found] == ["delivered", "dead", "delivered", "dead"]
    assert asked == [{"i1": [1, 2, 3, 4]}]


def test_where_nothing_is_parked_the_journal_is_not_asked():
    world = World(says=delivered)
    world.store("a", "b")
    world.clock.advance(1)
    world.journal.parked_among = None
    assert [state(world, seq) for seq in (1, 2)] == ["delivered", "delivered"]
