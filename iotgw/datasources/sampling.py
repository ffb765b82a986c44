"""Events that a hostile peer could cause by the thousand: one per peer and minute, with a count."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

_WINDOW = 60.0
_PEERS = 1024


class Sampled:
    """Reports the first event of a peer, then one a minute with how many there were; bounded in peers."""

    def __init__(self, clock: Any, intake: Any, type: str, severity: str = "warning") -> None:
        self._clock = clock
        self._intake = intake
        self._type = type
        self._severity = severity
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, peer: str, message: str) -> bool:
        """Something happened with a peer; whether it was reported now."""
        now = self._clock.seconds()
        since, hidden = self._seen.get(peer, (float("-inf"), 0))
        if now - since < _WINDOW:
            self._seen[peer] = (since, hidden + 1)
            return False
        self._seen[peer] = (now, 0)
        self._seen.move_to_end(peer)
        while len(self._seen) > _PEERS:
            self._seen.popitem(last=False)
        if hidden:
            message = f"{message} ({hidden} more before)"
        self._intake.event(self._type, message, self._severity)
        return True
