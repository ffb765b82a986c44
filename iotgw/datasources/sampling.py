"""Limits what a hostile peer could cause by the thousand to a few times per peer and minute, and counts the
rest."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from iotgw.core.allowance import Allowance
from iotgw.core.ports.intake import IIntake, Severity


class SampledEvents:
    """Reports a peer's first event in a minute, and how many were suppressed before."""

    def __init__(
        self, clock: IReactorTime, intake: IIntake, type: str, severity: Severity = "warning"
    ) -> None:
        self._allowance = Allowance(clock)
        self._intake = intake
        self._type = type
        self._severity = severity

    def note(self, peer: str, message: str) -> bool:
        """Report an event of a peer; returns whether it was reported now."""
        hidden = self._allowance.take(peer)
        if hidden is None:
            return False
        if hidden:
            message = f"{message} ({hidden} more before)"
        self._intake.event(self._type, message, self._severity)
        return True
