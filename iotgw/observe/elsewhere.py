"""Brings what happens on other nodes to those who look on here: it looks once a second, while anybody does."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import IotgwError
from iotgw.core.ports.journal import IHistory
from iotgw.core.ports.live import HappenedElsewhere
from iotgw.observe.live import LiveFeed

EVERY = 1.0


class LookElsewhere:
    """Asks ``history``, and tells ``live``."""

    _log = Logger()

    def __init__(self, history: IHistory, live: LiveFeed, clock: IReactorTime) -> None:
        self._history = history
        self._live = live
        self._is_looking = False
        self._tick = LoopingCall(self._look)
        self._tick.clock = clock

    def start(self) -> None:
        """Begin."""
        self._tick.start(EVERY, now=False)

    def stop(self) -> None:
        """End."""
        self._tick.stop()

    def _look(self) -> None:
        messages, events = self._live.watchers("messages") > 0, self._live.watchers("events") > 0
        if self._is_looking or not (messages or events):
            return
        self._is_looking = True
        self._history.happened(messages, events).addBoth(self._seen)

    def _seen(self, found: HappenedElsewhere | Failure) -> None:
        self._is_looking = False
        if isinstance(found, Failure):
            if not found.check(IotgwError):
                self._log.failure("other nodes could not be looked at", found)
            return
        self._live.happened_elsewhere(found)
