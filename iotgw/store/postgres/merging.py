"""Lists of several partitions as one, the newest first.

Within a partition messages keep the order of their positions. Of several partitions, the one whose next message was received last is next.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from iotgw.core.message_query import FoundMessages
from iotgw.core.model import Message
from iotgw.core.times import DateMs

LEAST = 10
"""Messages that are fetched of a partition at once."""


class Lane:
    """A partition's messages. ``fetch(before, limit)`` gives the newest before a position, which ``at`` is first."""

    def __init__(self, part: int, at: int, fetch: Callable[[int, int], FoundMessages]) -> None:
        self.part = part
        self.at = at
        """The list goes on before this position; 0 when it has come to its end."""
        self.looked_to = DateMs(0)
        """All that was received since then has been fetched."""
        self.is_spent = False
        """Whether it has been looked for long enough."""
        self._fetch = fetch
        self._next = at
        self._fetched: deque[Message] = deque()

    @property
    def head(self) -> Message | None:
        """The next message that was fetched."""
        return self._fetched[0] if self._fetched else None

    @property
    def has_more(self) -> bool:
        """Whether there may be messages that were not fetched."""
        return self._next > 0

    def fetch(self, limit: int) -> None:
        """Fetch some more."""
        found = self._fetch(self._next, limit)
        self._next, self.looked_to = found.next, found.looked_back_to
        self._fetched.extend(found.messages)
        self.is_spent = len(found.messages) < limit
        if not self._fetched:
            self.at = self._next

    def take(self) -> Message:
        """The next message is in the list."""
        message = self._fetched.popleft()
        self.at = message.seq if self._fetched else self._next
        return message


class MergedMessages:
    """A page of messages of all lanes, each with its partition."""

    def __init__(self, lanes: Sequence[Lane], limit: int) -> None:
        self.found: list[tuple[int, Message]] = []
        self.looked_back_to = DateMs(0)
        """All that was received since then has been looked at."""
        self._chunk = max(LEAST, -(-limit // max(1, len(lanes))))
        for lane in lanes:
            lane.fetch(min(limit, self._chunk))
        while len(self.found) < limit:
            best = self._next(lanes, min(limit, self._chunk))
            if best is None:
                break
            self.found.append((best.part, best.take()))
        self.befores = {lane.part: lane.at for lane in lanes if lane.at}
        """Before which positions the list goes on."""
        left = [_received(lane) + 1 if lane.head else lane.looked_to for lane in lanes if lane.at]
        ends = left or [lane.looked_to for lane in lanes]
        self.looked_back_to = DateMs(max(ends) if left else min(ends, default=0))

    def _next(self, lanes: Sequence[Lane], chunk: int) -> Lane | None:
        """The lane whose next message comes next; None where that can't be told without looking for longer."""
        while True:
            ready = [lane for lane in lanes if lane.head is not None]
            best = max(ready, key=_received, default=None)
            behind = [
                lane
                for lane in lanes
                if lane.head is None and lane.has_more and (best is None or lane.looked_to > _received(best))
            ]
            if not behind:
                return best
            if any(lane.is_spent for lane in behind):
                return None
            for lane in behind:
                lane.fetch(chunk)


def _received(lane: Lane) -> int:
    return lane.head.uplink.received_ms if lane.head is not None else 0
