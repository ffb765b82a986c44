"""Says that a database has lost its write-ahead log, in which its last commits stood."""

from __future__ import annotations

from pathlib import Path

from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.recorder import Recorder
from iotgw.store.sqlite.damage import OpenMark

DATABASES = ("registry.db", "journal.db", "downlinks.db")
"""Those whose every commit somebody was told of."""


class LostLogs:
    """Looks at what the last run left, before the databases are opened, and tells it once events are recorded."""

    def __init__(self, data_dir: Path, recorder: Recorder) -> None:
        self._data_dir = data_dir
        self._recorder = recorder
        self._lost: dict[str, str] = {}

    def look(self) -> None:
        """Find the databases without their logs."""
        found = {name: OpenMark(self._data_dir / name).lost() for name in DATABASES}
        self._lost = {name: problem for name, problem in found.items() if problem}

    def tell(self) -> None:
        """Record an event for each."""
        for name, problem in self._lost.items():
            self._recorder.note("log-lost", "gateway", name, problem, DEFAULT_TENANT, "error")
