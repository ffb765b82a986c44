"""Waits for devices that are to report, and looks at the battery and the signal of those that have thresholds.

No device has a timer. All that are waited for stand in one heap by the time at which to look at them, once each; a message
only notes that its device was heard. When a device's time has come, it is put back by the time at which it was last heard, or
it is silent. So a device costs one step of the heap for each of its periods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from heapq import heappop, heappush
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from iotgw.core import plain_json
from iotgw.core.device_entry import BATTERY_KEYS, SIGNAL_KEYS, HealthSpec
from iotgw.core.ports.devices import TROUBLES, Trouble

LOOK = 1.0
"""Seconds between two looks at who is due."""
MOST = 500
"""Devices that are looked at in one go: after an outage, thousands may be due at once."""
_MARGIN = 0.05
"""A battery or a signal is all right again when it is above its threshold by this share of it."""


class Limit(Struct, gc=False, frozen=True):
    """A threshold, and the reading that it is for: the first of ``keys`` that a message has."""

    below: float
    keys: tuple[str, ...]

    def judge(self, value: float, was_below: bool) -> bool:
        """Whether it is below now."""
        margin = abs(self.below) * _MARGIN if was_below else 0.0
        return value < self.below + margin


class Rules(Struct, gc=False, frozen=True):
    """What holds for a device: ``every`` is in seconds, 0 where nobody waits for it."""

    every: float = 0.0
    battery: Limit | None = None
    signal: Limit | None = None

    @classmethod
    def of(cls, specs: Sequence[HealthSpec]) -> Rules | None:
        """From what is said of a device, its type and its groups, the nearest first; None where nothing is."""
        if len(specs) == 1:
            only = specs[0]
            if not only.report_every and only.battery_below is None and only.signal_below is None:
                return None
            return _rules(
                only.report_every or 0.0,
                only.battery_below,
                only.battery_key,
                only.signal_below,
                only.signal_key,
            )
        every: float | None = None
        battery: float | None = None
        signal: float | None = None
        battery_key = signal_key = ""
        for each in specs:
            every = each.report_every if every is None else every
            battery = each.battery_below if battery is None else battery
            signal = each.signal_below if signal is None else signal
            battery_key = battery_key or each.battery_key
            signal_key = signal_key or each.signal_key
        if not every and battery is None and signal is None:
            return None
        return _rules(every or 0.0, battery, battery_key, signal, signal_key)

    def limit(self, what: Trouble) -> float:
        """Seconds, or a threshold; 0 where there is none."""
        if what == "silent":
            return self.every
        found = self.battery if what == "battery" else self.signal
        return found.below if found is not None else 0.0


@lru_cache(maxsize=1000)
def _rules(
    every: float, battery: float | None, battery_key: str, signal: float | None, signal_key: str
) -> Rules:
    """Most devices of a fleet have the same."""
    return Rules(
        every,
        None if battery is None else Limit(battery, (battery_key,) if battery_key else BATTERY_KEYS),
        None if signal is None else Limit(signal, (signal_key,) if signal_key else SIGNAL_KEYS),
    )


class DeviceWatch(Struct, gc=False):
    """A device that is watched. ``heard`` is gateway time in seconds; `silent_ms` and the others are dates since when, or 0."""

    tenant: str
    name: str
    rules: Rules
    heard: float
    judged: float = float("-inf")
    """When the latest message came whose readings were looked at."""
    silent_ms: int = 0
    battery_ms: int = 0
    signal_ms: int = 0
    entry: int = 0
    """The number of its entry in the heap; 0 for none."""
    is_over: bool = False

    def since(self, what: Trouble) -> int:
        """Since when something is wrong; 0 if it isn't."""
        if what == "silent":
            return self.silent_ms
        return self.battery_ms if what == "battery" else self.signal_ms

    def set(self, what: Trouble, since_ms: int) -> None:
        """Something is wrong from now on, or no more."""
        if what == "silent":
            self.silent_ms = since_ms
        elif what == "battery":
            self.battery_ms = since_ms
        else:
            self.signal_ms = since_ms


class _Point(Struct):
    ts: int = 0
    values: dict[str, Any] = {}


class _Body(Struct):
    attributes: dict[str, Any] = {}
    telemetry: list[_Point] = []


_body = plain_json.reader(_Body)
Tell = Callable[[DeviceWatch, Trouble, bool, float | None], None]
"""``tell(watch, what, is_wrong, value)``: something began or ended to be wrong with a device. ``value`` is its reading, if
there is one."""


class Watching:
    """All watched devices. ``tell`` hears what begins and what ends, ``now_ms`` is the date."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, now_ms: Callable[[], int], tell: Tell) -> None:
        self._clock = clock
        self._now_ms = now_ms
        self._tell = tell
        self._due: list[tuple[float, int, DeviceWatch]] = []
        self._number = 0
        self.troubled: dict[str, dict[Trouble, set[str]]] = {}
        """Which devices have which trouble, by tenant."""
        self._tick = LoopingCall(self.look)
        self._tick.clock = clock

    def start(self) -> None:
        """Begin to look at who is due."""
        self._tick.start(LOOK, now=False).addErrback(
            lambda failure: self._log.failure("silent devices are no longer looked for", failure)
        )

    def stop(self) -> None:
        """End that."""
        if self._tick.running:
            self._tick.stop()

    def begin(self, watch: DeviceWatch) -> None:
        """DeviceWatch a device, with the troubles that it has."""
        if watch.silent_ms or watch.battery_ms or watch.signal_ms:
            for what in TROUBLES:
                if watch.since(what):
                    self._of(watch)[what].add(watch.name)
        self._queue(watch)

    def end(self, watch: DeviceWatch) -> None:
        """DeviceWatch it no more; nothing is wrong with it from now on, as far as anybody knows."""
        watch.is_over = True
        for what in TROUBLES:
            if watch.since(what):
                self._of(watch)[what].discard(watch.name)
                watch.set(what, 0)

    def change(self, watch: DeviceWatch, rules: Rules) -> None:
        """Other rules hold for a device. A trouble that nobody looks for any more ends."""
        watch.rules = rules
        ends = {"silent": not rules.every, "battery": rules.battery is None, "signal": rules.signal is None}
        for what in TROUBLES:
            if watch.since(what) and ends[what]:
                self._becomes(watch, what, False, None)
        if watch.silent_ms and watch.heard + rules.every > self._clock.seconds():
            self._becomes(watch, "silent", False, None)
        watch.entry = 0  # that of before is passed over
        self._queue(watch)

    def heard(self, watch: DeviceWatch, body: bytes, at: float) -> None:
        """A message of a watched device counts; ``body`` is what its converter made (`iotgw.core.model.Output`), ``at`` the
        clock's time when it came. One of before, which is converted late or again, is no sign of life, and its readings are old."""
        watch.heard = max(watch.heard, at)
        if watch.silent_ms and at + watch.rules.every > self._clock.seconds():
            self._becomes(watch, "silent", False, None)
            self._queue(watch)
        rules = watch.rules
        if (rules.battery is None and rules.signal is None) or at < watch.judged:
            return
        watch.judged = at
        try:
            said = _body(body)
        except msgspec.MsgspecError:  # a body of another form says nothing of them
            return
        if rules.battery is not None:
            self._judge(watch, "battery", rules.battery, said)
        if rules.signal is not None:
            self._judge(watch, "signal", rules.signal, said)

    def look(self) -> None:
        """Look at those that are due."""
        now, due = self._clock.seconds(), self._due
        for _ in range(MOST):
            if not due or due[0][0] > now:
                return
            _, number, watch = heappop(due)
            if watch.is_over or number != watch.entry:
                continue
            watch.entry = 0
            if watch.heard + watch.rules.every > now:
                self._queue(watch)
            elif not watch.silent_ms:
                self._becomes(watch, "silent", True, None)

    def _queue(self, watch: DeviceWatch) -> None:
        if watch.rules.every and not watch.silent_ms and not watch.entry:
            self._number += 1
            watch.entry = self._number
            heappush(self._due, (watch.heard + watch.rules.every, self._number, watch))

    def _judge(self, watch: DeviceWatch, what: Trouble, limit: Limit, said: _Body) -> None:
        value = _value(said, limit.keys)
        if value is None:
            return
        was_below = bool(watch.since(what))
        if (is_below := limit.judge(value, was_below)) != was_below:
            self._becomes(watch, what, is_below, value)

    def _becomes(self, watch: DeviceWatch, what: Trouble, is_wrong: bool, value: float | None) -> None:
        watch.set(what, self._now_ms() if is_wrong else 0)
        names = self._of(watch)[what]
        names.add(watch.name) if is_wrong else names.discard(watch.name)
        self._tell(watch, what, is_wrong, value)

    def _of(self, watch: DeviceWatch) -> dict[Trouble, set[str]]:
        found = self.troubled.get(watch.tenant)
        if found is None:
            found = self.troubled[watch.tenant] = {what: set() for what in TROUBLES}
        return found


def _value(said: _Body, keys: tuple[str, ...]) -> float | None:
    """The latest number that a message has under the first of these keys that it has."""
    points = sorted(said.telemetry, key=lambda point: -point.ts)
    places = [*(point.values for point in points), said.attributes]
    for key in keys:
        for values in places:
            value = values.get(key)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return float(value)
    return None
