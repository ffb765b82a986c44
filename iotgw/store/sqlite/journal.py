"""The journal in one SQLite file."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.defer import Deferred

from iotgw.core import private
from iotgw.core.ports.journal import IJournalListener
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.journal import GroupCommitJournal
from iotgw.store.space import JournalLimits
from iotgw.store.sqlite.reader import JournalReader
from iotgw.store.sqlite.writer import Writer


class Journal(GroupCommitJournal):
    """An `IJournal` in the file ``path``."""

    def __init__(
        self,
        reactor: IThreadedClock,
        path: Path | str,
        limits: JournalLimits | None = None,
        *,
        max_pending: int = 20_000,
        max_pending_bytes: int = 32 << 20,
    ) -> None:
        super().__init__(reactor, max_pending, max_pending_bytes)
        self._path = Path(path)
        limits = limits or JournalLimits()
        self._writer = writer = Writer(
            reactor, self._path, limits, self._names, self._reported, self._spaced, self._damaged
        )
        self.between_commits = writer.between
        """Runs a function in the writer's thread when nothing is half written."""

    def start(self, listener: IJournalListener) -> Deferred[None]:
        """See `IJournal.start`."""
        private.make_directory(self._path.parent)
        return super().start(listener)

    def _new_reader(self) -> JournalReader:
        return JournalReader(self._path, self._names)
