"""Cron texts: ``minute hour day-of-month month day-of-week``, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from iotgw.core.errors import SettingsError
from iotgw.core.numbers import shown, whole

FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)


LONGEST = 1000
"""Characters of a text."""


class Cron:
    """A cron text; raises SettingsError, whose path is ``place``.

    Fields take ``*``, numbers, ranges ``1-5``, steps ``*/15`` and lists ``1,2``. Sunday is 0 and 7. As in
    crontab(5), a day matches either field when both are restricted.
    """

    def __init__(self, text: str, place: str = "schedule") -> None:
        if len(text) > LONGEST:
            raise SettingsError(place, f"expected at most {LONGEST} characters, got {len(text)}")
        words = text.split()
        if len(words) != 5:
            raise SettingsError(place, f"expected five fields like '30 5 * * *', got {text!r}")
        sets = [
            _field(word, name, low, high, place)
            for word, (name, low, high) in zip(words, FIELDS, strict=True)
        ]
        self._minutes, self._hours, self._days, self._months, weekdays = sets
        self._weekdays = {day % 7 for day in weekdays}
        self._either = not words[2].startswith("*") and not words[4].startswith("*")
        if self._next(datetime(2024, 1, 1, tzinfo=UTC)) is None:
            raise SettingsError(place, f"there is no such day: {text!r}")

    def next(self, after: float) -> float:
        """The next time after a time, both in seconds since 1970."""
        found = self._next(datetime.fromtimestamp(after, UTC))
        assert found is not None
        return found.timestamp()

    def _next(self, after: datetime) -> datetime | None:
        moment = after.replace(second=0, microsecond=0) + timedelta(minutes=1)
        for _ in range(366 * 8 + 5):  # the 29th of February comes at the latest after eight years
            if self._on(moment):
                for hour in sorted(hour for hour in self._hours if hour >= moment.hour):
                    first = moment.minute if hour == moment.hour else 0
                    minute = min((minute for minute in self._minutes if minute >= first), default=None)
                    if minute is not None:
                        return moment.replace(hour=hour, minute=minute)
            moment = moment.replace(hour=0, minute=0) + timedelta(days=1)
        return None

    def _on(self, moment: datetime) -> bool:
        if moment.month not in self._months:
            return False
        day = moment.day in self._days
        weekday = moment.isoweekday() % 7 in self._weekdays
        return day or weekday if self._either else day and weekday


def _field(text: str, name: str, low: int, high: int, place: str) -> set[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step = part.partition("/")
        first, dash, last = span.partition("-")
        stride = whole(step, 1) if slash else 1
        start: int | None = low if span == "*" else whole(first, low, high)
        end: int | None = high
        if span != "*" and (dash or not slash):
            end = whole(last, low, high) if dash else start
        if stride is None or start is None or end is None or start > end:
            raise SettingsError(place, f"expected {low}…{high} for the {name}, got {shown(part)}")
        values.update(range(start, end + 1, stride))
    return values
