"""Who can be sent an item now: devices with an open session, and answers that are held back for an item."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from iotgw.core.ports.intake import Send

Key = tuple[str, str]
T = TypeVar("T")


class _Open(Generic[T]):
    """Entries by (tenant, device), until each is taken away."""

    def __init__(self) -> None:
        self._entries: dict[Key, deque[T]] = {}

    def add(self, key: Key, entry: T) -> Callable[[], None]:
        """Keep an entry until the function that this returns is called."""
        self._entries.setdefault(key, deque()).append(entry)

        def gone() -> None:
            entries = self._entries.get(key)
            if entries is not None and entry in entries:
                entries.remove(entry)
                if not entries:
                    del self._entries[key]

        return gone

    def of(self, key: Key) -> tuple[T, ...]:
        """The entries of a device, oldest first."""
        return tuple(self._entries.get(key, ()))


class OpenSessions(_Open[tuple[int, str, Send]]):
    """Open sessions: a number that grows, the datasource's id, and what sends to the device at once."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def open(self, key: Key, datasource: str, send: Send) -> Callable[[], None]:
        """A device has a session until the function that this returns is called."""
        return self.add(key, (next(self._numbers), datasource, send))

    def newest(self, *keys: Key) -> tuple[str, Send] | None:
        """The datasource and the sender of a device's newest session under any of its names."""
        found = [entries[-1] for key in keys if (entries := self.of(key))]
        if not found:
            return None
        _, datasource, send = max(found, key=lambda entry: entry[0])
        return datasource, send


class Listeners(_Open[Callable[[], None]]):
    """Callbacks for when an item was queued for a device."""

    def wake(self, *keys: Key) -> None:
        """An item may be sent: call those who listen under one of these names."""
        for key in keys:
            for callback in self.of(key):
                callback()
