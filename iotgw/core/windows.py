"""Counts by key within windows of time, in bounded memory. Pure: the time is passed in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable


class CountWindow:
    """When it began, and how many there were in it."""

    __slots__ = ("since", "used")

    def __init__(self, since: float) -> None:
        self.since = since
        self.used = 0


class Windows:
    """A window of so many ``seconds`` for each key, which begins with the key's first count after the last one is over.

    ``keys`` bounds the table; the key whose window began longest ago is forgotten first.
    """

    def __init__(self, seconds: float, keys: int) -> None:
        self.seconds = seconds
        self._keys = keys
        self._windows: OrderedDict[Hashable, CountWindow] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are known."""
        return len(self._windows)

    def current(self, key: Hashable, now: float) -> CountWindow | None:
        """The key's window; None if it has none, or that is over."""
        window = self._windows.get(key)
        return window if window is not None and now - window.since < self.seconds else None

    def begin(self, key: Hashable, now: float) -> tuple[CountWindow, int]:
        """A new window for a key, and how many there were in its last one."""
        windows = self._windows
        before = windows.get(key)
        windows[key] = window = CountWindow(now)
        windows.move_to_end(key)
        while len(windows) > self._keys:
            windows.popitem(last=False)
        return window, before.used if before is not None else 0
