"""How delivery asks for ages, which dates alone don't tell."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.times import DateMs

IsBefore = Callable[[DateMs, DateMs], bool]
"""See `iotgw.core.ports.clock.ICalendar.is_before`. A date that isn't the smaller one needs no such question: it may be
young."""
