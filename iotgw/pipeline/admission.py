"""Whether uplinks are accepted now, and whom to tell when they are accepted again."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from iotgw.core.allowance import Allowance
from iotgw.core.model import Answer, Status
from iotgw.core.ports.delivery import IDelivery
from iotgw.core.ports.journal import IUplinkStream
from iotgw.core.ports.pipeline import Room

LOOK_FOR_ROOM = 0.5
"""Seconds between checks for room while streams wait for it."""
RETRY_AFTER = 5.0
"""Seconds after which a device that was told BUSY may try again."""
BUSY = Answer(Status.BUSY, retry_after=RETRY_AFTER)
TOO_LARGE = Answer(Status.TOO_LARGE)
REFUSED = Answer(Status.REFUSED)
OPEN = Room()


class Admission:
    """Decides whether there is room: the journal has some, no integration asks for a pause, and the gateway
    isn't stopping.

    ``max_payload`` and ``max_metadata`` are the largest accepted sizes in bytes; metadata is measured as JSON.
    """

    _log = Logger()

    def __init__(
        self,
        journal: IUplinkStream,
        delivery: IDelivery,
        clock: IReactorTime,
        max_payload: int,
        max_metadata: int,
    ) -> None:
        self._journal = journal
        self._delivery = delivery
        self._clock = clock
        self.max_payload = max_payload
        self.max_metadata = max_metadata
        self._waiting: list[tuple[str, Callable[[], None]]] = []
        self._is_closed = self._drains = False
        self._oversized = Allowance(clock)

    @property
    def room(self) -> bool:
        """Whether uplinks are accepted now."""
        return self._journal.room and not self._is_closed and not self._drains and self._delivery.room()

    def room_of(self, datasource: str) -> bool:
        """Whether uplinks of a datasource are accepted now, be it that they are spilled."""
        return self.room or self.spills(datasource)

    def spills(self, datasource: str) -> bool:
        """Whether uplinks of a datasource are spilled now."""
        spills = self._journal.spills(datasource)
        return spills and not self._is_closed and not self._drains and self._delivery.room()

    def state(self) -> Room:
        """Whether uplinks are accepted now, and why not."""
        if self._is_closed:
            return Room(False, "stopping", "the gateway is stopping")
        if self._drains:
            return Room(False, "draining", "the node is being drained")
        if not self._journal.room:
            problem = self._journal.problem or "it is busy"
            return Room(False, "journal", f"the journal takes none: {problem}")
        if not self._delivery.room():
            count = len(self._delivery.holding_up())
            who = "an integration" if count == 1 else f"{count} integrations"
            return Room(False, "integrations", f"{who} set to rejectNew can take no more")
        return OPEN

    def close(self) -> None:
        """Accept no more uplinks: the gateway is stopping."""
        self._is_closed = True

    def drain(self, drains: bool) -> None:
        """Accept no more uplinks, or accept them again."""
        self._drains = drains
        self.room_again()

    def oversized(self, datasource: str) -> int | None:
        """A datasource got something too large. None if that was said within the last minute; otherwise how many more
        there were since it was said."""
        return self._oversized.take(datasource)

    def when_room(self, datasource: str, callback: Callable[[], None]) -> None:
        """Call back once when there is room for a datasource; at once if there is."""
        if self.room_of(datasource):
            callback()
            return
        self._waiting.append((datasource, callback))
        if len(self._waiting) == 1:
            self._clock.callLater(LOOK_FOR_ROOM, self._look)

    def room_again(self) -> None:
        """There may be room: let the streams continue."""
        waiting, self._waiting = self._waiting, []
        for datasource, callback in waiting:
            if not self.room_of(datasource):
                self._waiting.append((datasource, callback))
                continue
            try:
                callback()
            except Exception:
                self._log.failure("a datasource failed when it was told that there is room")

    def _look(self) -> None:
        """An integration doesn't report when its backlog shrinks, so check again while a stream waits."""
        self.room_again()
        if self._waiting and not self._is_closed:
            self._clock.callLater(LOOK_FOR_ROOM, self._look)
