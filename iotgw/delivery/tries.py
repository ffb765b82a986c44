"""What is kept of a delivery's failed attempts: the latest few, each with the beginning of the target's answer."""

from __future__ import annotations

from iotgw.core.model import FailedTry, Try
from iotgw.core.ports.clock import ICalendar
from iotgw.core.times import SteadyMs

KEPT = 5
LONGEST = 300
"""Characters of an answer."""


def tried(earlier: tuple[Try, ...], at_ms: int, answer: str) -> tuple[Try, ...]:
    """The attempts that are kept after one more, which failed at ``at_ms`` of gateway time."""
    return (*earlier, Try(at_ms, answer[:LONGEST]))[-KEPT:]


def shown(tries: tuple[Try, ...], calendar: ICalendar) -> tuple[FailedTry, ...]:
    """As the API shows them."""
    return tuple(FailedTry(calendar.date_ms(SteadyMs(each.at_ms)), each.answer) for each in tries)
