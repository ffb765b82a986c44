"""What a hostile peer could cause by the thousand is done so many times per peer and minute, and counted."""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

from iotgw.core.ports.intake import IIntake, Severity

_WINDOW = 60.0
_PEERS = 1024


class Allowance:
    """Allows each peer ``count`` a minute; bounded in peers."""

    def __init__(self, clock: IReactorTime, count: int) -> None:
        self._clock = clock
        self._count = count
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()
        """Beginning of the peer's minute, and how many there were in it."""

    def take(self, peer: str) -> int | None:
        """None when the peer has had its share; otherwise how many it was refused in its last minute."""
        now = self._clock.seconds()
        since, used = self._seen.get(peer, (float("-inf"), 0))
        if now - since < _WINDOW:
            self._seen[peer] = (since, used + 1)
            return 0 if used < self._count else None
        self._seen[peer] = (now, 1)
        self._seen.move_to_end(peer)
        while len(self._seen) > _PEERS:
            self._seen.popitem(last=False)
        return max(0, used - self._count)


class SampledEvents:
    """Reports the first event of a peer in a minute, and how many were left out before."""

    def __init__(
        self, clock: IReactorTime, intake: IIntake, type: str, severity: Severity = "warning"
    ) -> None:
        self._allowance = Allowance(clock, 1)
        self._intake = intake
        self._type = type
        self._severity = severity

    def note(self, peer: str, message: str) -> bool:
        """Something happened with a peer; whether it was reported now."""
        hidden = self._allowance.take(peer)
        if hidden is None:
            return False
        if hidden:
            message = f"{message} ({hidden} more before)"
        self._intake.event(self._type, message, self._severity)
        return True
