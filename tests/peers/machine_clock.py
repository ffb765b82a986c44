"""The machine's clock as a process sees it, moved by libfaketime while the process runs. The monotonic clock stays."""

import os
import subprocess
import time
from pathlib import Path

from .process import missing

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
SHARED = Path("/dev/shm")
"""libfaketime leaves two files there for each process that is killed."""


class MachineClock:
    """``offset`` is how far the date is ahead of the real one, in seconds; ``env`` is for the process's environment.

    A process sees a new offset within a second.
    """

    def __init__(self, folder, offset=0):
        if not LIBRARIES:
            missing("libfaketime is not installed; tests/install-peers installs it")
        self._file = Path(folder) / "machine-clock"
        self.set(offset)
        self.env = {
            "LD_PRELOAD": f"{_real_waits(Path(folder))} {LIBRARIES[0]}",
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, offset):
        """Move the date; 0 is right. The file is never there by half."""
        self.offset = int(offset)
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.offset:+d}\n")
        os.replace(new, self._file)

    def jump(self, seconds):
        self.set(self.offset + seconds)

    def now(self):
        """The date that the process sees."""
        return time.time() + self.offset

    def close(self):
        """Tidy up after processes that were killed."""
        for file in SHARED.glob("*faketime_*"):
            pid = file.name.rpartition("_")[2]
            if pid.isdigit() and not Path("/proc", pid).exists():
                file.unlink(missing_ok=True)


def _real_waits(folder):
    library = folder / "real_waits.so"
    source = Path(__file__).with_name("real_waits.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return library


def since_1970():
    """The offset with which a machine boots that has no battery: five minutes into 1970."""
    return 300 - int(time.time())
