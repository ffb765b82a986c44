"""Follows the machine's date, and says when it jumps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from iotgw.core.clock import GatewayClock, Jump
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.recorder import Recorder

TICK = 1.0
"""Seconds between two looks at the machine's clock: until then, dates go on as before the jump."""
KEEP = 300.0
"""Seconds between two times that the clock's state is kept, while it doesn't jump."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ClockWatch:
    """Watches ``clock``, and has its state kept by ``keep``, first when it is started."""

    _log = Logger()

    def __init__(
        self, clock: GatewayClock, keep: Callable[[str], None], recorder: Recorder, reactor: IReactorTime
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._recorder = recorder
        self._reactor = reactor
        self._kept_at = 0.0
        self._loop = LoopingCall(self._look)
        self._loop.clock = reactor

    def start(self) -> None:
        """Keep the state of the clock, then watch it; the journal has started."""
        self._keep_now()
        if self._clock.jumped is not None:
            self._say(self._clock.jumped, " while the gateway was stopped")
        if self._clock.is_wrong:
            self._doubt()
        self._loop.start(TICK).addErrback(
            lambda failure: self._log.failure("the clock is watched no more", failure)
        )

    def stop(self) -> None:
        """Keep the state for the next start."""
        if self._loop.running:
            self._loop.stop()
            self._keep_now()

    def _look(self) -> None:
        jump = self._clock.look()
        if jump is not None:
            self._keep_now()  # before anything with a new date is stored
            self._say(jump, "")
        elif self._reactor.seconds() - self._kept_at >= KEEP:
            self._keep_now()

    def _keep_now(self) -> None:
        self._kept_at = self._reactor.seconds()
        self._keep(msgspec.json.encode(self._clock.state()).decode())

    def _say(self, jump: Jump, when: str) -> None:
        by = (jump.to_ms - jump.from_ms) / 1000
        text = (
            f"the machine's clock jumped by {by:+.1f} s{when}, from {_shown(jump.from_ms)} to {_shown(jump.to_ms)}; "
            "ages and timers are not affected"
        )
        detail: dict[str, Any] = {"from": jump.from_ms, "to": jump.to_ms, "by": by}
        self._recorder.note("clock-jumped", "gateway", "clock", text, DEFAULT_TENANT, "warning", **detail)

    def _doubt(self) -> None:
        date_ms = int(self._clock.calendar.seconds() * 1000)
        text = (
            f"the machine's clock says {_shown(date_ms)}, which can't be right; readings that get their time by receipt are marked "
            "until it is set"
        )
        self._recorder.note("clock-wrong", "gateway", "clock", text, DEFAULT_TENANT, "warning", date=date_ms)


def _shown(date_ms: int) -> str:
    try:
        return f"{_EPOCH + timedelta(milliseconds=date_ms):%Y-%m-%d %H:%M:%S} UTC"
    except OverflowError:
        return f"{date_ms} ms after 1970"
