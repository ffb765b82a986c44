"""Reports what an integration lost, with at most one event of each kind per look."""

from __future__ import annotations

from iotgw.core.ports.integrations import Tell
from iotgw.delivery.accounts import Accounts
from iotgw.delivery.backlog import Backlog
from iotgw.delivery.target_health import TargetHealth

POSITIONS = 1000
"""How many positions one event lists at most."""


class LossReport:
    """Watches the accounts of one integration and reports losses by ``tell``."""

    def __init__(self, accounts: Accounts, backlog: Backlog, health: TargetHealth, tell: Tell) -> None:
        self._accounts = accounts
        self._backlog = backlog
        self._health = health
        self._tell = tell
        self._dropped = dict(accounts.dropped)
        self._dead = accounts.buried
        self._expired = accounts.expired

    def look(self) -> None:
        """Report what was lost since the last look."""
        accounts, tell = self._accounts, self._tell
        for reason, count in accounts.dropped.items():
            new = count - self._dropped.get(reason, 0)
            if new > 0:
                text = f"{new} messages dropped: {reason}"
                tell("delivery.dropped", text, "warning", count=new, reason=reason)
        if accounts.expired > self._expired:
            new = accounts.expired - self._expired
            tell("delivery.expired", f"{new} messages expired: older than maxAge", "warning", count=new)
        if accounts.buried > self._dead:
            new = accounts.buried - self._dead
            text = f"{new} messages given up: {self._health.last.error}"
            tell("delivery.dead", text, "error", count=new)
        self._dropped = dict(accounts.dropped)
        self._expired = accounts.expired
        self._dead = accounts.buried
        if passed_by := self._backlog.unreadable():
            count, first, last = len(passed_by), passed_by[0].seq, passed_by[-1].seq
            text = f"{count} unreadable records were skipped, at positions {first} to {last}: "
            text += passed_by[-1].body.decode()
            self._health.note(text)
            positions = [record.seq for record in passed_by[:POSITIONS]]
            tell("delivery.unreadable", text, "error", count=count, positions=positions)
