"""`IBackups` and `IPause` in memory."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.errors import Conflict
from iotgw.core.ports.backups import IBackups, MadeBackup
from iotgw.core.ports.pause import IPause, Paused


@implementer(IBackups)
class MemoryBackups:
    """``made`` are the backups that it says it made, by name."""

    def __init__(self) -> None:
        self.made: dict[str, MadeBackup] = {}

    def take(self, name: str, with_key: bool) -> Deferred[MadeBackup]:
        """See `IBackups.take`."""
        if name in self.made:
            return fail(Conflict(f"there is already a backup {name!r}"))
        files = ["journal.db", *(["secret.key"] if with_key else [])]
        made = self.made[name] = MadeBackup(f"/backups/{name}", 0, 0.1, 4096, files, with_key)
        return succeed(made)


@implementer(IPause)
class MemoryPause:
    """Paused where it is given why."""

    def __init__(self, paused: Paused | None = None) -> None:
        self.paused = paused

    def resume(self) -> Deferred[None]:
        """See `IPause.resume`."""
        self.paused = None
        return succeed(None)
