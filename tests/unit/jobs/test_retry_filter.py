"""Which dead letters a job sends again."""

from __future__ import annotations

from iotgw import testing
from iotgw.core.failures import group_id, pattern
from iotgw.core.model import DeliveryState, Parked
from iotgw.jobs.retry import RetryFilter


def letter(error: str) -> Parked:
    return Parked("id1", testing.telemetry(7, "lamp"), DeliveryState.DEAD, 3, 0, error)


def test_a_group_of_failures_is_those_with_one_reason() -> None:
    group = group_id("delivery", "id1", pattern("HTTP 400: message 17 is too long"))
    wanted = RetryFilter("id1", group=group)
    assert wanted.matches(letter("HTTP 400: message 4711 is too long"))
    assert not wanted.matches(letter("HTTP 400: no such device"))
    assert not RetryFilter("id2", group=group).matches(letter("HTTP 400: message 17 is too long"))
