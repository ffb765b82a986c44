"""When files are written: at any time, or in scheduled runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from iotgw.core.cron import Cron
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.integrations import IntegrationContext

LONGEST_SLEEP = 60.0
"""Seconds between two looks at the date, while a run is not due."""
WINDOW = 60.0
"""Seconds that a scheduled run waits for something to send."""


class Runs:
    """The scheduled runs of a target. ``is_busy()`` tells whether something is being written, or has failed and will come
    again. Raises SettingsError for a wrong schedule."""

    def __init__(self, schedule: str, context: IntegrationContext, is_busy: Callable[[], bool]) -> None:
        self._cron = Cron(schedule, "configuration.schedule")
        self._context = context
        self._is_busy = is_busy
        self._alarm: Any = None
        self._next = 0.0
        """The date of the next run, in seconds since 1970."""
        self._run = ""
        self._comes_again = False
        """Whether a run may have had this name before, because the machine's clock was set back."""
        self._part = 0
        self._closes = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a run is under way."""
        return bool(self._run)

    @property
    def next_ms(self) -> int | None:
        """The date of the next run in milliseconds since 1970; None when there is none."""
        return int(self._next * 1000) if self._alarm and self._alarm.active() else None

    def start(self) -> None:
        """Look again when the next run is due, or earlier: the date may jump meanwhile."""
        date = self._context.date()
        self._next = self._cron.next(date)
        self._alarm = self._context.reactor.callLater(min(self._next - date, LONGEST_SLEEP), self._wake)

    def stop(self) -> None:
        """No more runs."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()

    def file_name(self, record: TelemetryRecord) -> str:
        """The name of the file that begins with a record; empty outside of a run."""
        if not self._run:
            return ""
        part = record.seq if self._comes_again else self._part
        return self._run if part == 1 else f"{self._run}_{part}"

    def wrote(self, is_last: bool) -> None:
        """A file of the run is written. The run ends with the last."""
        self._part += 1
        if is_last:
            self._run = ""

    def _wake(self) -> None:
        is_due = self._context.date() >= self._next
        if is_due:
            self._begin()
        self.start()

    def _begin(self) -> None:
        reactor = self._context.reactor
        self._run = datetime.fromtimestamp(self._context.date(), UTC).strftime("%Y-%m-%d_%H-%M")
        self._comes_again = self._context.comes_again()
        self._part = 1
        self._closes = reactor.seconds() + WINDOW
        reactor.callLater(WINDOW, self._end)
        self._context.available()

    def _end(self) -> None:
        """No record came for a while: end the run. A failed run goes on until it succeeds or the next one
        begins."""
        if self._context.reactor.seconds() >= self._closes and not self._is_busy():
            self._run = ""
