"""What a hostile peer could cause by the thousand is done so many times per peer and minute, and counted."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from iotgw.core.allowance import Allowance
from iotgw.core.ports.intake import IIntake, Severity


class SampledEvents:
    """Reports the first event of a peer in a minute, and how many were left out before."""

    def __init__(
        self, clock: IReactorTime, intake: IIntake, type: str, severity: Severity = "warning"
    ) -> None:
        self._allowance = Allowance(clock)
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
