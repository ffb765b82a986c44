"""Who can be sent an item now: devices with an open session, and answers that are held back for an item."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, NamedTuple, TypeVar

from iotgw.core.ports.intake import Send
from iotgw.core.proof import Proved

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


class OpenSession(NamedTuple):
    """An open session: the datasource's id, what sends to the device at once, and what the device has proved to be."""

    datasource: str
    send: Send
    proved: Proved


class OpenSessions(_Open[tuple[int, OpenSession]]):
    """Open sessions, each with a number that grows."""

    def __init__(self) -> None:
        super().__init__()
        self._numbers = itertools.count()

    def open(self, key: Key, session: OpenSession) -> Callable[[], None]:
        """A device has a session until the function that this returns is called."""
        return self.add(key, (next(self._numbers), session))

    def newest_first(self, *keys: Key) -> Iterator[OpenSession]:
        """The sessions of a device under any of its names."""
        found = {number: session for key in keys for number, session in self.of(key)}
        return (found[number] for number in sorted(found, reverse=True))


class Listeners(_Open[Callable[[], None]]):
    """Callbacks for when an item was queued for a device."""

    def wake(self, *keys: Key) -> None:
        """An item may be sent: call those who listen under one of these names."""
        for key in keys:
            for callback in self.of(key):
                callback()
