"""Who can be sent an item now: devices with an open session, and answers that are held back for an item."""

from __future__ import annotations

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


class OpenSessions(_Open[tuple[str, Send]]):
    """Open sessions: the datasource's id, and what sends to the device at once."""


class Listeners(_Open[Callable[[], None]]):
    """Callbacks for when an item was queued for a device."""

    def wake(self, *keys: Key) -> None:
        """An item may be sent: call those who listen under one of these names."""
        for key in keys:
            for callback in self.of(key):
                callback()
