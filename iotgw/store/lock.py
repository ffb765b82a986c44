"""One process per data directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from iotgw.core import private
from iotgw.core.errors import AlreadyRunning


class DataDirectoryLock:
    """Holds ``{data_dir}/lock`` until `release`, or until the process ends, however it ends."""

    def __init__(self, data_dir: str | Path) -> None:
        self._path = Path(data_dir) / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock, making the directory if needed. Raises AlreadyRunning, which names the process that holds
        it."""
        private.make_directory(self._path.parent)
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, private.FILE)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(file)
            raise AlreadyRunning(
                f"{self._path.parent}: in use by another iotgw (process {holder}); "
                "stop it, or choose another --data-dir"
            ) from None
        self._file = file
        self.note_process()

    def note_process(self) -> None:
        """Write down which process holds the lock. A fork inherits the lock, so the fork writes it again."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        """Release the lock. The file stays: if it were removed, two processes could each lock a file of that name."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
