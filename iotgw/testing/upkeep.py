"""`IBackups`, `IBackupPlans` and `IPause` in memory."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.errors import Conflict, NotFound, Unavailable
from iotgw.core.ports.backups import (
    BackupFailure,
    IBackupPlans,
    IBackups,
    KnownBackup,
    MadeBackup,
    PlanStatus,
)
from iotgw.core.ports.pause import IPause, Paused


@implementer(IBackups)
class MemoryBackups:
    """``made`` are the backups that it says it made, by name."""

    def __init__(self) -> None:
        self.made: dict[str, MadeBackup] = {}

    def take(self, name: str, with_key: bool, folder: Path | None = None) -> Deferred[MadeBackup]:
        """See `IBackups.take`."""
        if name in self.made:
            return fail(Conflict(f"there is already a backup {name!r}"))
        files = ["journal.db", *(["secret.key"] if with_key else [])]
        made = self.made[name] = MadeBackup(f"{folder or '/backups'}/{name}", 0, 0.1, 4096, files, with_key)
        return succeed(made)


@implementer(IBackupPlans)
class MemoryBackupPlans:
    """``statuses`` are its plans; one that is ``failing`` fails, for that reason."""

    def __init__(self) -> None:
        self.statuses: dict[str, PlanStatus] = {}
        self.failing: dict[str, str] = {}

    def add(self, name: str, to: str = "/backups", schedule: str = "") -> None:
        """One more plan."""
        self.statuses[name] = PlanStatus(name, to, schedule, {}, "idle", None, None, None, 0, 0)

    def plans(self) -> list[PlanStatus]:
        """See `IBackupPlans.plans`."""
        return list(self.statuses.values())

    def run(self, name: str) -> Deferred[MadeBackup]:
        """See `IBackupPlans.run`."""
        status = self.statuses.get(name)
        if status is None:
            return fail(NotFound(f"there is no backup plan {name!r}"))
        if name in self.failing:
            failed = BackupFailure(0, self.failing[name])
            self.statuses[name] = replace(status, failed=failed, failures=status.failures + 1)
            return fail(Unavailable(self.failing[name]))
        last = KnownBackup(f"{name}-1970-01-01T00-00-00Z", 0, 0.1, 4096)
        self.statuses[name] = replace(status, last=last, failed=None, made=status.made + 1)
        return succeed(MadeBackup(f"{status.to}/{last.name}", 0, 0.1, 4096, ["journal.db"], False))


@implementer(IPause)
class MemoryPause:
    """Paused where it is given why."""

    def __init__(self, paused: Paused | None = None) -> None:
        self.paused = paused

    def resume(self) -> Deferred[None]:
        """See `IPause.resume`."""
        self.paused = None
        return succeed(None)
