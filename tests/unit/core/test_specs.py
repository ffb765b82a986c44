"""Numbers that users may send are numbers that can be counted with."""

import msgspec
import pytest

from iotgw.core.backoff import Backoff
from iotgw.core.specs import LONGEST, DatasourceSpec, DeadLetterSpec, DownlinkSpec, QueueSpec, RetrySpec


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (DownlinkSpec, "ttl"),
        (QueueSpec, "maxAge"),
        (DeadLetterSpec, "maxAge"),
        (RetrySpec, "initial"),
        (RetrySpec, "cap"),
    ],
)
def test_more_seconds_than_can_be_counted_in_milliseconds_are_refused(spec, name):
    msgspec.convert({name: LONGEST}, spec)
    for seconds in (LONGEST * 1.001, 1.5e307):
        with pytest.raises(msgspec.ValidationError, match=f"<= .* at `\\$.{name}`"):
            msgspec.convert({name: seconds}, spec)


@pytest.mark.parametrize("window", [{"downlinkWindow": 1.5e307}, {"downlinkWindows": {"dev": 1.5e307}}])
def test_a_downlink_window_is_as_long_as_time_can_be_counted(window):
    with pytest.raises(msgspec.ValidationError, match=f"<= .* at `\\$.{next(iter(window))}"):
        msgspec.convert({"name": "ds", "type": "http", **window}, DatasourceSpec)


def test_the_largest_backoff_ends_at_its_cap():
    spec = msgspec.convert({"initial": LONGEST, "multiplier": 10_000, "cap": LONGEST}, RetrySpec)
    assert Backoff(spec, lambda low, high: high).wait(1000) == LONGEST
