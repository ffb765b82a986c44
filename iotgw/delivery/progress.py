"""Decides when an integration's progress is written: soon after a change, but not for each record."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from iotgw.core.model import Counters, Progress
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.delivery.row_changes import RowChanges

FLUSH = 0.2
"""Seconds between two writes of the cursor. What was delivered within them may be sent twice after a crash."""

LEISURE = 5.0
"""Seconds between two writes where nothing was delivered."""


class ProgressWriter:
    """Hands cursor, accounts and rows to the journal. ``place()`` returns the cursor and the accounts as of it."""

    def __init__(
        self,
        integration: str,
        journal: ITelemetryStream,
        clock: IReactorTime,
        rows: RowChanges,
        place: Callable[[], tuple[int, Counters]],
    ) -> None:
        self._integration = integration
        self._journal = journal
        self._clock = clock
        self._rows = rows
        self._place = place
        self._call: IDelayedCall | None = None
        self._written: tuple[int, Counters] | None = None
        self._has_moved = False
        self._written_at = clock.seconds()
        self._is_closed = False

    def dirty(self) -> None:
        """Note that something changed. It is written soon."""
        if self._call is None and not self._is_closed:
            self._call = self._clock.callLater(FLUSH, self.flush)

    def moved(self) -> None:
        """Note that the stream has gone on. If that is all, it is written with the next change, or within `LEISURE`: after a crash, no more
        has to be counted again than came in that time."""
        self._has_moved = True

    def tick(self) -> None:
        """Called once a second."""
        if self._has_moved and self._clock.seconds() - self._written_at >= LEISURE:
            self.flush()

    def close(self) -> None:
        """Hand over what changed, and nothing after that. By then the integration may be deleted, or another outbox
        may be writing for it."""
        self.flush()
        self._is_closed = True

    def flush(self) -> None:
        """Hand over what changed, now."""
        if self._is_closed:
            return
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None
        self._has_moved, self._written_at = False, self._clock.seconds()
        parked, released = self._rows.changes()
        cursor, counters = place = self._place()
        if parked or released or self._written != place:
            self._written = place
            self._journal.progress(Progress(self._integration, cursor, counters, parked, released))
