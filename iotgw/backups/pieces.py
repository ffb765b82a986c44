"""Files that go somewhere piece by piece: read off the reactor, at half of the speed that would be possible, and given up when nothing moves."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater

PIECE = 256 << 10
LONGEST_PAUSE = 0.1
InThread = Callable[..., Deferred[Any]]
Read = Callable[[], Awaitable[bytes]]


class PieceReader:
    """Reads files. ``in_thread(function, *args)`` runs what waits for a disk."""

    def __init__(self, reactor: IReactorTime, in_thread: InThread, piece: int = PIECE) -> None:
        self.in_thread = in_thread
        self._reactor = reactor
        self._piece = piece
        self._moved = 0

    @contextmanager
    def of(self, path: Path, piece: int = 0) -> Iterator[Read]:
        """A file: each call reads the next piece (bytes), and none is left when it is empty. Between two it waits as long as the last one took,
        so that what devices send comes first."""
        with path.open("rb") as file:
            began = 0.0

            async def read() -> bytes:
                nonlocal began
                self.moved()
                if began:
                    pause = min(LONGEST_PAUSE, time.monotonic() - began)
                    await deferLater(self._reactor, pause, lambda: None)
                began = time.monotonic()
                return await self._read(file, piece or self._piece)

            yield read

    async def _read(self, file: BinaryIO, size: int) -> bytes:
        found: bytes = await self.in_thread(file.read, size)
        return found

    def moved(self) -> None:
        """Something went somewhere."""
        self._moved += 1

    def watch(self, doing: Deferred[Any], patience: float) -> None:
        """Cancel what is done once nothing has moved for so many seconds."""
        looks: list[IDelayedCall] = []

        def look(seen: int) -> None:
            if self._moved == seen:
                doing.cancel()
            else:
                looks[:] = [self._reactor.callLater(patience, look, self._moved)]

        def over(result: Any) -> Any:
            if looks[0].active():
                looks[0].cancel()
            return result

        looks.append(self._reactor.callLater(patience, look, self._moved))
        doing.addBoth(over)
