"""Makes an existing data directory private: what an older version, a copy or somebody else left open for others.

Only what the gateway makes is changed, by its names. A directory that holds directories of somebody else's is not the
gateway's own (`/var/lib`, a home): there the files are made private, and the directory is left as it is.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from iotgw.core.private import OTHERS
from iotgw.store.manifest import MANIFEST
from iotgw.store.restore import ASIDE
from iotgw.store.stored_files import FOLDER

_OURS = re.compile(
    r"lock|new-admin-token|secret\.key.*|admin-token.*|paused|restoring|manifest\.json|(mqtt|sftp)-.*\.(json|new)"
    r"|.*\.db(-wal|-shm|-journal|-open)?|.*\.damaged.*"
)
_FOREIGN_IS_FINE = frozenset({"lost+found"})
"""Of a file system of its own."""


class FoundOpen(Struct, frozen=True):
    """What was too open: ``tightened`` are paths with their former modes, ``left`` are paths with the reason why they are
    open still."""

    tightened: dict[str, str]
    left: dict[str, str]


def tighten(data_dir: Path, backups: Path, log: Path | None, certificates: Path | None = None) -> FoundOpen:
    """Take the rights of group and others away from the data directory and from what the gateway keeps in it.

    ``backups`` is the directory of the backups, ``log`` the log file; both count if they are in the data directory. What is in
    ``certificates`` was put there by an operator, who says who reads it; nobody else gets to it through the data directory.
    """
    opened = FoundOpen({}, {})
    foreign = [path.name for path in _directories(data_dir) if not _is_ours(path, backups, log, certificates)]
    if foreign or data_dir.stat().st_mode & stat.S_ISVTX:
        if data_dir.stat().st_mode & OTHERS:
            why = f"{foreign[0]} in it isn't the gateway's" if foreign else "it is a directory for everybody"
            opened.left[str(data_dir)] = f"{why}; give the gateway a data directory of its own"
    else:
        _take(data_dir, opened)
    for path in _files(data_dir, backups, log):
        _take(path, opened)
    return opened


def _is_ours(path: Path, backups: Path, log: Path | None, certificates: Path | None) -> bool:
    return (
        path in (backups, *backups.parents)
        or (log is not None and path in log.parents)
        or (certificates is not None and path in (certificates, *certificates.parents))
        or path.name.startswith(ASIDE)
        or path.name in _FOREIGN_IS_FINE
        or path.name == FOLDER
        or any(path.glob(f"*/{MANIFEST}"))  # backups of a former backup-directory
    )


def _directories(path: Path) -> Iterator[Path]:
    return (each for each in path.iterdir() if each.is_dir() and not each.is_symlink())


def _files(data_dir: Path, backups: Path, log: Path | None) -> Iterator[Path]:
    """The gateway's files, and the directories that they are in."""
    for path in sorted(data_dir.iterdir()):
        if path.name.startswith(ASIDE) or path.name == FOLDER or any(path.glob(f"*/{MANIFEST}")):
            yield from _all(path)
        elif _OURS.fullmatch(path.name):
            yield path
    if data_dir in backups.parents and backups.is_dir() and not backups.is_symlink():
        yield backups
        for path in _directories(backups):
            if (path / MANIFEST).exists():
                yield from _all(path)
    if log is not None and data_dir in log.parents:
        rotated = re.compile(re.escape(log.name) + r"(\.\d+)?")
        yield from (path for path in log.parent.glob("*") if rotated.fullmatch(path.name))


def _all(path: Path) -> Iterator[Path]:
    yield path
    for folder, _, names in os.walk(path):
        yield Path(folder)
        yield from (Path(folder) / name for name in names)


def _take(path: Path, opened: FoundOpen) -> None:
    """Take others' rights to one path away. A symbolic link is left: what it leads to was chosen by somebody."""
    try:
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            mode = stat.S_IMODE(found.st_mode)
            if mode & OTHERS:
                path.chmod(mode & ~OTHERS)
                opened.tightened[str(path)] = f"{mode:04o}"
    except FileNotFoundError:
        return
    except OSError as error:
        opened.left[str(path)] = f"{error.strerror}; it belongs to user {path.lstat().st_uid}"
