"""Files and directories of the gateway's own: nobody but its user reads them, whatever the umask.

The modes are given when they are made, so that there is no moment in which they are open.
"""

from __future__ import annotations

import os
from pathlib import Path

FILE, DIRECTORY = 0o600, 0o700
OTHERS = 0o077
"""The bits of a mode that concern the group and everybody else."""


def keep_to_ourselves() -> None:
    """Have this process give others no rights to what it makes from now on, libraries and SQLite's side files included."""
    os.umask(OTHERS)


def make_directory(path: Path) -> None:
    """Make a directory, unless it is there; those above it are made too."""
    path.mkdir(parents=True, exist_ok=True, mode=DIRECTORY)


def make_file(path: Path) -> None:
    """Make an empty file, unless it is there.

    One that is there isn't even opened: closing it again would take away the locks that SQLite has on it.
    """
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE)
    except FileExistsError:
        return
    os.close(made)


def write_file(path: Path, content: bytes) -> None:
    """Write a file durably in one go, over what is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, FILE)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, FILE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
