"""Whether a target takes anything, and what it said last."""

import pytest

from iotgw.core.specs import RetrySpec
from iotgw.delivery.target_health import TargetHealth


class Health(TargetHealth):
    def __init__(self):
        self.time = 100.0
        self.told = []
        super().__init__(
            RetrySpec(initial=8.0), lambda: self.time, lambda: int(self.time * 1000),
            lambda type, message, severity="info", **detail: self.told.append(type),
        )  # fmt: skip

    def fall(self):
        for _ in range(3):
            self.down("refused", None)


def test_a_target_that_failed_in_a_row_is_down_and_that_is_told_once():
    health = Health()
    health.down("refused", None)
    assert not health.is_down
    health.fall()
    assert health.is_down
    assert health.told == ["delivery.unavailable"]
    assert (health.last.error, health.last.error_ms) == ("refused", 100_000)


def test_a_target_that_names_a_wait_is_down_for_so_long():
    health = Health()
    health.down("busy", 30.0)
    assert health.retry_at >= 130.0
    assert not health.allows(129.0)


def test_any_answer_brings_it_back_and_that_is_told():
    health = Health()
    health.fall()
    assert health.answered()
    assert not health.is_down
    assert health.retry_at is None
    assert health.told == ["delivery.unavailable", "delivery.available"]
    assert not health.answered()


def test_a_single_failure_is_forgotten_with_the_next_answer():
    health = Health()
    health.down("refused", None)
    assert health.answered()
    assert health.told == []


def test_a_nudge_lets_one_probe_go():
    health = Health()
    health.down("busy", 30.0)
    health.nudge()
    assert health.allows(100.0)
    assert health.is_down


@pytest.mark.parametrize(("response", "kept"), [("accepted", "accepted"), ("", "before")])
def test_an_empty_response_leaves_the_one_before(response, kept):
    health = Health()
    health.delivered("before")
    health.time = 200.0
    health.delivered(response)
    assert (health.last.response, health.last.delivered_ms) == (kept, 200_000)


@pytest.mark.parametrize("rhythm", range(1, 9))
@pytest.mark.parametrize("phase", range(8))
def test_whatever_the_rhythm_of_probes_that_reach_the_target_some_use_another_record(rhythm, phase):
    """A target that reconnects fails several probes for each that reaches it."""
    health = Health()
    wants = []
    for _ in range(512):
        health.time += 1000.0
        health.allows(health.time)
        wants.append(health.wants_another_probe)
        health.down("refused", None)
    assert set(wants[3 + phase :: rhythm]) == {True, False}
