"""What is kept of a delivery's failed attempts: the latest few, each with the beginning of the target's answer."""

from __future__ import annotations

from iotgw.core.model import Attempt, FailedAttempt
from iotgw.core.ports.clock import ICalendar
from iotgw.core.times import SteadyMs

KEPT = 5
LONGEST = 300
"""Characters of an answer."""


def tried(earlier: tuple[Attempt, ...], at_ms: int, answer: str) -> tuple[Attempt, ...]:
    """The attempts that are kept after one more, which failed at ``at_ms`` of gateway time."""
    return (*earlier, Attempt(at_ms, answer[:LONGEST]))[-KEPT:]


def shown(tries: tuple[Attempt, ...], calendar: ICalendar) -> tuple[FailedAttempt, ...]:
    """As the API shows them."""
    return tuple(FailedAttempt(calendar.date_ms(SteadyMs(each.at_ms)), each.answer) for each in tries)
