"""The ring of what happens now."""

from __future__ import annotations

from iotgw import testing
from iotgw.core.model import ConversionError, Event, Outcome, Output, State, StoredUplink, Uplink
from iotgw.core.times import DateMs
from iotgw.observe.live import LiveFeed

MESSAGES = frozenset({"messages"})


def stored(seq: int, payload: bytes = b"x") -> StoredUplink:
    return StoredUplink(seq, Uplink("acme", "web", DateMs(seq * 1000), payload, b"{}"))


def watched(length: int = 100) -> LiveFeed:
    live = LiveFeed(length)
    live.join(MESSAGES)
    return live


def test_nothing_is_kept_while_nobody_looks() -> None:
    live = LiveFeed()
    live.has_ended("acme", "web", [stored(1)], [])
    live.settled([Outcome(1, State.CONVERTED, "c/1")], [])
    live.happened(Event(0, "started", "datasource", "web", "it runs"))
    assert live.head == 0 and not live.is_watched


def test_a_message_is_shown_when_its_outcome_is_durable() -> None:
    live = watched()
    output = Output("lamp", "default", testing.telemetry(1, "lamp").body)
    outcome = Outcome(1, State.CONVERTED, "c/1", (output, output))
    live.has_ended("acme", "web", [stored(1, b"0123456789abcdefg")], [outcome])
    assert live.after(0) == []
    live.settled([outcome], [])
    (shown,) = live.after(0)
    assert (shown.tenant, shown.datasource, shown.devices, shown.state) == (
        "acme",
        "web",
        ("lamp",),
        "converted",
    )
    assert (shown.value.seq, shown.value.size, shown.value.head) == (1, 17, b"0123456789abcdef")


def test_a_failure_is_shown_with_its_error() -> None:
    live = watched()
    error = ConversionError("boom", line=3)
    outcome = Outcome(1, State.FAILED, "c/1", (), error)
    live.has_ended("acme", "web", [stored(1)], [outcome])
    live.settled([outcome], [])
    assert (live.after(0)[0].state, live.after(0)[0].value.error) == ("failed", error)


def test_what_nothing_converts_is_shown_at_once() -> None:
    live = watched()
    live.has_ended("acme", "web", [stored(1), stored(2)], [Outcome(2, State.FAILED, "")])
    assert [(each.value.seq, each.state) for each in live.after(0)] == [(1, "filtered")]


def test_what_was_converted_before_anybody_looked_is_not_shown() -> None:
    live = watched()
    live.settled([Outcome(1, State.CONVERTED, "c/1")], [])
    assert live.after(0) == []


def test_a_slow_reader_sees_by_the_numbers_what_is_missing() -> None:
    live = watched(length=3)
    live.has_ended("acme", "web", [stored(seq) for seq in range(1, 11)], [])
    assert [each.number for each in live.after(0)] == [8, 9, 10]
    assert [each.number for each in live.after(9)] == [10]
    assert live.after(10) == []


def test_the_ring_is_empty_when_the_last_one_has_left() -> None:
    live = watched()
    live.has_ended("acme", "web", [stored(1)], [])
    live.leave(MESSAGES)
    live.join(MESSAGES)
    assert live.after(0) == [] and live.head == 1


def test_events_are_shown_to_those_who_look_at_events() -> None:
    live = watched()
    event = Event(0, "started", "datasource", "web", "it runs", "acme")
    live.happened(event)
    assert live.after(0) == []
    live.join(frozenset({"events"}))
    live.happened(event)
    assert [(each.topic, each.datasource, each.value) for each in live.after(0)] == [("events", "web", event)]
