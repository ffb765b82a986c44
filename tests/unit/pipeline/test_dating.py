"""An uplink that came while the clock was wrong has its right date when it is known, and a mark until then."""

import msgspec
import pytest

from iotgw.pipeline.dating import dated
from iotgw.testing.reactor import clock
from tests.unit.jumps import HOUR, Jumps


@pytest.mark.parametrize("metadata", [b"{}", b'{"peer":"::1"}'])
def test_until_the_date_is_known_the_metadata_says_that_it_is_not(metadata):
    jumps = Jumps(clock())
    jumps.to_1970()
    received_ms = jumps.calendar.now_ms()
    date_ms, told = dated(jumps.calendar, received_ms, metadata)
    assert date_ms == received_ms
    assert msgspec.json.decode(told) == {"clockUnsure": True, **msgspec.json.decode(metadata)}


@pytest.mark.parametrize("later", [1, HOUR])
def test_once_the_date_is_known_an_uplink_has_it(later):
    time = clock()
    jumps = Jumps(time)
    right = jumps.to_1970()
    received_ms, really_ms = jumps.calendar.now_ms(), int(time.seconds() * 1000)
    time.advance(later)
    jumps.jump(right)
    assert dated(jumps.calendar, received_ms, b"{}") == (really_ms, b"{}")
    assert dated(jumps.calendar, really_ms, b"{}") == (really_ms, b"{}")


def test_a_date_of_a_plausible_clock_stays():
    jumps = Jumps(clock())
    received_ms = jumps.calendar.now_ms()
    jumps.jump(-HOUR)
    assert dated(jumps.calendar, received_ms, b"{}") == (received_ms, b"{}")
