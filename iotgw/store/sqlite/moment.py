"""One moment of several databases: their writers stand still while snapshots of them are opened.

A snapshot (a read transaction of SQLite in WAL mode) is opened in some hundred microseconds, and then shows that moment for
as long as it is open, whatever is written meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Event, Semaphore
from types import TracebackType
from typing import Self

from iotgw.core.errors import Unavailable

Between = Callable[[Callable[[], None]], None]
"""``between(function)``: runs a function in a writer's thread when nothing is half written, and returns at once."""

PATIENCE = 2.0
"""Seconds that all writers together may take to stand still."""
LONGEST = 3.0
"""Seconds after which a writer goes on whatever happens. Devices wait for their answers as long."""


class Moment:
    """While entered, all writers stand still between two of their transactions. Raises Unavailable when one was too busy,
    on entering, or when one went on too early, on leaving. Used in a thread of its own."""

    def __init__(self, writers: Sequence[Between]) -> None:
        self._writers = writers
        self._arrived = Semaphore(0)
        self._over = Event()
        self._went_on = False

    def __enter__(self) -> Self:
        try:
            for between in self._writers:
                between(self._stand)
        except Exception:
            self._over.set()
            raise
        until = time.monotonic() + PATIENCE
        for _ in self._writers:
            if not self._arrived.acquire(timeout=max(0.0, until - time.monotonic())):
                self._over.set()
                raise Unavailable("a database was being written for too long; try again", 5.0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        went_on = self._went_on
        self._over.set()
        if went_on and error is None:
            raise Unavailable("the snapshots took too long; try again", 5.0)

    def _stand(self) -> None:
        """In a writer's thread."""
        self._arrived.release()
        if not self._over.wait(LONGEST):
            self._went_on = True
