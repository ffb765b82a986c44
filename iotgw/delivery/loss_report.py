"""Reports what an integration lost: the first loss of a kind at once, and then one event per minute."""

from __future__ import annotations

from collections.abc import Callable

from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import Tell
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.limits import STORE_FULL
from iotgw.delivery.target_health import TargetHealth

POSITIONS = 1000
"""How many positions one event lists at most."""
EVERY = 60.0
"""Seconds between two events of one kind: a target that is away for days loses something every second."""


class LossReport:
    """Watches the accounts of one integration and reports losses by ``tell``. ``now()`` is the time in seconds."""

    def __init__(
        self,
        accounts: Accounts,
        backlog: Backlog,
        health: TargetHealth,
        tell: Tell,
        now: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._backlog = backlog
        self._health = health
        self._tell = tell
        self._now = now
        self._told = self._counts()
        self._told_at: dict[str, float] = {}

    def _counts(self) -> dict[str, int]:
        """How many were lost in each way: ``expired``, ``dead``, or why they were dropped."""
        accounts = self._accounts
        return {**accounts.dropped, "expired": accounts.expired, "dead": accounts.buried}

    def holds_up(self) -> None:
        """Report that what waits here fills the journal, and may not be dropped: at most once a minute, as a slow target
        makes room now and then."""
        if not self._is_due("holds-up"):
            return
        text = (
            "what waits for this integration fills the journal (store.max-bytes); as its overflow is rejectNew, no uplinks "
            "are accepted until it is delivered"
        )
        self._health.note(text)
        self._tell("delivery.holds-up", text, "error")

    def look(self) -> None:
        """Report what was lost since it was last reported."""
        for way, count in self._counts().items():
            new = count - self._told.get(way, 0)
            if new > 0 and self._is_due(way):
                self._told[way] = count
                self._report(way, new)
        if passed_by := self._backlog.unreadable():
            count, first, last = len(passed_by), passed_by[0].seq, passed_by[-1].seq
            text = f"{count} unreadable records were skipped, at positions {first} to {last}: "
            text += passed_by[-1].body.decode()
            self._health.note(text)
            positions = [record.seq for record in passed_by[:POSITIONS]]
            self._tell("delivery.unreadable", text, "error", count=count, positions=positions)

    def _is_due(self, what: str) -> bool:
        """Whether an event of this kind may be sent now; then it counts as sent."""
        now, told_at = self._now(), self._told_at.get(what)
        if told_at is not None and abs(now - told_at) < EVERY:
            return False
        self._told_at[what] = now
        return True

    def _report(self, way: str, new: int) -> None:
        if way == "expired":
            self._tell_of("expired", f"{new} messages expired: older than maxAge", "warning", count=new)
        elif way == "dead":
            self._tell_of("dead", f"{new} messages given up: {self._health.last.error}", "error", count=new)
        else:
            text = f"{new} messages dropped: {way}"
            self._tell_of("dropped", text, "warning", count=new, reason=way)
            if way == STORE_FULL:
                self._health.note(f"{text}: the journal is at its size limit (store.max-bytes)")

    def _tell_of(self, what: str, text: str, severity: Severity, **detail: object) -> None:
        self._tell(f"delivery.{what}", text, severity, **detail)
