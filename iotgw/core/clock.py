"""The gateway's clock: time that can't jump, and the date as the machine has it.

Time runs on the monotonic clock. It begins with the date of the first start, and goes on over restarts, so that ages can
be told from times that were stored. Where the machine was not restarted, the monotonic clock itself says how long the
gateway was away. Else only the date can say it: it is believed when it is no earlier than the last one that was seen,
and no more than `LONGEST_AWAY` later. A date that isn't believed counts as no time at all. What is kept then lives longer
than it should, which is better than losing it to a clock that was wrong.

The date is gateway time plus an offset. A jump begins a new stretch with another offset; all stretches are kept, so that
a stored date can be turned into the time when it was given.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from iotgw.core.ports.clock import ICalendar
from iotgw.core.times import DateMs, SteadyMs, whole_date

FLOOR_MS = 1_767_225_600_000
"""2026-01-01: a date before the first version of this program can't be right."""
LONGEST_AWAY_MS = 30 * 86_400_000
BEHIND_MS = 60_000
"""A date that is so far behind one that was seen before is wrong."""
JUMP_MS = 1000
"""A smaller change is a correction that nobody needs to hear of."""
NOISE_MS = 5
SLACK_MS = 2000
"""What was dated just before a jump may be stored after it."""
STRETCHES = 200
"""So many jumps are remembered. A date from before them is taken for as young as it can be."""
READINGS = 5
CLOSE = 0.002
"""Seconds within which both clocks are read, or else they are read again."""
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Stretch(Struct, frozen=True):
    """Time in which the date ran evenly.

    ``since_ms`` is gateway time, ``offset_ms`` the date less the gateway time. ``unsure``: the date can't be right.
    ``gap``: nobody knows how much time passed before it.
    """

    since_ms: int
    offset_ms: int
    unsure: bool = False
    gap: bool = False


class KeptClock(Struct, frozen=True):
    """What is stored of the clock. ``boot`` names the machine's run, ``base`` is gateway time less the monotonic clock in
    seconds, ``seen_ms`` the gateway time of this."""

    boot: str
    base: float
    seen_ms: int
    stretches: list[Stretch]

    @classmethod
    def of_dates(cls, last_ms: int) -> KeptClock:
        """Of data that was written by a version that took dates for time, the last at ``last_ms``."""
        return cls("", 0.0, last_ms, [Stretch(0, 0)])


class Jump(Struct, frozen=True):
    """The date jumped; both are milliseconds since 1970."""

    from_ms: int
    to_ms: int


def boot_id() -> str:
    """Names the machine's run; empty where it can't be told."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


@implementer(ICalendar)
class Calendar:
    """An `ICalendar`, from the monotonic clock: its date jumps only when `GatewayClock` has noticed that the machine's did.

    ``base`` is gateway time less the monotonic clock, in seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._date_base = 0.0
        self.base = 0.0
        self.stretches: list[Stretch] = []
        self.has_doubts = False

    def put(self, stretch: Stretch, instead: bool = False) -> None:
        """The date runs like this from now on; ``instead`` of the last stretch."""
        if instead:
            self.stretches.pop()
        self.stretches.append(stretch)
        del self.stretches[:-STRETCHES]
        self.has_doubts = any(each.unsure for each in self.stretches)
        self._date_base = self.base + stretch.offset_ms / 1000

    def seconds(self) -> float:
        """See `IDates.seconds`."""
        return self._monotonic() + self._date_base

    def now_ms(self) -> DateMs:
        """See `ICalendar.now_ms`."""
        return whole_date((self._monotonic() + self._date_base) * 1000)

    def date_ms(self, moment_ms: SteadyMs) -> DateMs:
        """See `ICalendar.date_ms`."""
        return DateMs(moment_ms + self.stretches[-1].offset_ms)

    def is_before(self, date_ms: DateMs, bound_ms: DateMs) -> bool:
        """See `ICalendar.is_before`."""
        return self._find(date_ms) < bound_ms - self.stretches[-1].offset_ms

    def moment_ms(self, date_ms: DateMs) -> SteadyMs:
        """See `ICalendar.moment_ms`."""
        return SteadyMs(self._find(date_ms))

    def mended_ms(self, date_ms: DateMs) -> DateMs:
        """See `ICalendar.mended_ms`."""
        found = self._within(date_ms)
        if found is not None and self.stretches[found[0]].unsure:
            index, moment_ms = found
            for later in self.stretches[index + 1 :]:
                if later.gap:
                    break
                if not later.unsure:
                    return DateMs(moment_ms + later.offset_ms)
        return date_ms

    def is_unsure(self, date_ms: DateMs) -> bool:
        """See `ICalendar.is_unsure`."""
        found = self._within(date_ms)
        return found is not None and self.stretches[found[0]].unsure

    def comes_again(self, date_ms: DateMs) -> bool:
        """See `ICalendar.comes_again`."""
        ends = pairwise(self.stretches)
        return any(later.since_ms + earlier.offset_ms >= date_ms for earlier, later in ends)

    def _within(self, date_ms: int) -> tuple[int, int] | None:
        """The latest stretch in which it was this date, and when; None if it never was."""
        end_ms, index = self._end_ms(), len(self.stretches)
        for stretch in reversed(self.stretches):
            index -= 1
            moment_ms = date_ms - stretch.offset_ms
            if stretch.since_ms - SLACK_MS <= moment_ms <= end_ms + SLACK_MS:
                return index, moment_ms
            end_ms = stretch.since_ms
        return None

    def _find(self, date_ms: int) -> int:
        """When it was this date. A date that was jumped over counts as the end of the latest stretch before it."""
        found = self._within(date_ms)
        if found is not None:
            return found[1]
        end_ms = self._end_ms()
        for stretch in reversed(self.stretches):
            if date_ms - stretch.offset_ms >= stretch.since_ms - SLACK_MS:
                return end_ms
            end_ms = stretch.since_ms
        return end_ms

    def _end_ms(self) -> int:
        return int((self._monotonic() + self.base) * 1000)


@implementer(ICalendar)
class PlainCalendar:
    """An `ICalendar` whose date is a clock's time and never jumps: where no other is given, such as in tests."""

    has_doubts = False

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock

    def seconds(self) -> float:
        """See `IDates.seconds`."""
        return self._clock.seconds()

    def now_ms(self) -> DateMs:
        """See `ICalendar.now_ms`."""
        return DateMs(int(self._clock.seconds() * 1000))

    def date_ms(self, moment_ms: SteadyMs) -> DateMs:
        """See `ICalendar.date_ms`."""
        return DateMs(moment_ms)

    def is_before(self, date_ms: DateMs, bound_ms: DateMs) -> bool:
        """See `ICalendar.is_before`."""
        return date_ms < bound_ms

    def moment_ms(self, date_ms: DateMs) -> SteadyMs:
        """See `ICalendar.moment_ms`."""
        return SteadyMs(date_ms)

    def mended_ms(self, date_ms: DateMs) -> DateMs:
        """See `ICalendar.mended_ms`."""
        return date_ms

    def is_unsure(self, date_ms: DateMs) -> bool:
        """See `ICalendar.is_unsure`."""
        return False

    def comes_again(self, date_ms: DateMs) -> bool:
        """See `ICalendar.comes_again`."""
        return False


class GatewayClock:
    """`seconds` is gateway time, `calendar` the date. ``kept`` is what `state` gave in the last run. ``monotonic`` and
    ``date`` are the machine's clocks in seconds."""

    def __init__(
        self,
        kept: KeptClock | None = None,
        boot: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        date: Callable[[], float] = time.time,
    ) -> None:
        self._boot = boot
        self._monotonic = monotonic
        self._date = date
        self._calendar = Calendar(monotonic)
        self.calendar: ICalendar = self._calendar
        self.jumped: Jump | None = self._begin(kept)
        """By how much the date had jumped when the gateway started."""
        self._base = self._calendar.base

    def seconds(self) -> float:
        """Gateway time in seconds; it never goes back, and passes while the gateway is stopped."""
        return self._monotonic() + self._base

    @property
    def is_wrong(self) -> bool:
        """Whether the date can't be right."""
        return self._calendar.stretches[-1].unsure

    def state(self) -> KeptClock:
        """What is to be kept for the next start."""
        return KeptClock(self._boot, self._base, int(self.seconds() * 1000), list(self._calendar.stretches))

    def look(self) -> Jump | None:
        """Follow the machine's date; tells if it jumped."""
        now, date_ms = self._read()
        now_ms = int((now + self._base) * 1000)
        last = self._calendar.stretches[-1]
        offset_ms = date_ms - now_ms
        by_ms = offset_ms - last.offset_ms
        if abs(by_ms) < NOISE_MS:
            return None
        if abs(by_ms) < JUMP_MS:
            self._calendar.put(msgspec.structs.replace(last, offset_ms=offset_ms), instead=True)
            return None
        self._calendar.put(Stretch(now_ms, offset_ms, date_ms < FLOOR_MS))
        return Jump(date_ms - by_ms, date_ms)

    def _begin(self, kept: KeptClock | None) -> Jump | None:
        calendar = self._calendar
        monotonic, date_ms = self._read()
        if kept is None or not kept.stretches:
            now_ms = max(date_ms, FLOOR_MS)
            calendar.base = now_ms / 1000 - monotonic
            calendar.put(Stretch(0, date_ms - now_ms, date_ms < FLOOR_MS))
            return None
        calendar.stretches = list(kept.stretches)
        last = calendar.stretches[-1]
        gap, unsure = False, date_ms < FLOOR_MS
        if (
            self._boot
            and kept.boot == self._boot
            and (monotonic + kept.base) * 1000 >= kept.seen_ms - JUMP_MS
        ):
            calendar.base = kept.base
            now_ms = int((monotonic + kept.base) * 1000)
        else:
            away_ms = date_ms - (kept.seen_ms + last.offset_ms)
            gap = not 0 <= away_ms <= LONGEST_AWAY_MS
            unsure = unsure or away_ms < -BEHIND_MS
            now_ms = kept.seen_ms + (0 if gap else away_ms)
            calendar.base = now_ms / 1000 - monotonic
        by_ms = date_ms - now_ms - last.offset_ms
        if abs(by_ms) < JUMP_MS and unsure == last.unsure:
            calendar.put(msgspec.structs.replace(last, offset_ms=date_ms - now_ms), instead=True)
            return None
        calendar.put(Stretch(now_ms, date_ms - now_ms, unsure, gap))
        return Jump(date_ms - by_ms, date_ms) if abs(by_ms) >= JUMP_MS else None

    def _read(self) -> tuple[float, int]:
        """The monotonic clock in seconds and the date in milliseconds, read at the same time."""
        for _ in range(READINGS):
            before = self._monotonic()
            date = self._date()
            after = self._monotonic()
            if after - before < CLOSE:
                break
        return (before + after) / 2, round(date * 1000)
