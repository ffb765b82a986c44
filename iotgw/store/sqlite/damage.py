"""Databases that can't be used: what is said about them, and when one is put aside.

A file can be damaged as a whole. It can also lose its write-ahead log (``-wal``), which holds the last commits: SQLite
then opens what is left without an error. So a mark beside the database (``-open``) says that somebody has it open. If
the process ends without closing it, both the mark and the log remain; a mark without a log means that the log was
taken away.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from iotgw.core import private
from iotgw.core.errors import IotgwError, NoSpace, Unavailable

WAYS = (
    "Stop the gateway, and put back a backup of all files of the data directory; or move this file and those "
    "that begin with its name away, and a new one is begun, without what was in it "
    "(docs/faults.md says what that is)"
)
_ROOMLESS = frozenset({sqlite3.SQLITE_FULL})


_DAMAGES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_UNREADABLE = frozenset({sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_CORRUPTFS})


def is_damage(error: Exception) -> bool:
    """Whether a statement failed because of a page that is broken or can't be read: it would fail again."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF in _DAMAGES or code in _UNREADABLE


def is_disk_fault(error: Exception) -> bool:
    """Whether a commit failed because of the disk and may succeed later. If not, one of its values is at fault."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError


Tell = Callable[[str, int, int, str], None]
"""``tell(table, first, last, what)``: what damage did to rows between these positions, as a sentence."""


class Damaged(IotgwError):
    """A database's content is broken."""


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Wraps the opening of a database. If SQLite finds its content broken, raises Damaged, which names the file, the
    check that failed, and what to do."""
    try:
        yield
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        raise Damaged(
            f"{path}: it is damaged: SQLite says {str(error)!r} when it is opened. {WAYS}"
        ) from error


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Wraps writing what a user changed. Raises NoSpace if the disk is full, and Unavailable for other faults of the
    disk, a damaged file among them."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if type(error) not in (sqlite3.OperationalError, sqlite3.DatabaseError):
            raise
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in _ROOMLESS:
            raise NoSpace(f"nothing was changed: the disk of {path} is full") from error
        raise Unavailable(f"nothing was changed: {path} can't be written: {error}", 5.0) from error


def put_aside(path: Path) -> Path:
    """Move a database out of the way, without its log. Returns its new path."""
    aside = path.with_suffix(".damaged")
    path.replace(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside


def opened_anew(path: Path, connect: Callable[[], sqlite3.Connection]) -> tuple[sqlite3.Connection, str]:
    """Open a database that can be done without by ``connect()``. If it is damaged, it is put aside, and a new one is begun; returns what
    happened, too, empty for nothing."""
    try:
        with opening(path):
            return connect(), ""
    except (sqlite3.DatabaseError, Damaged):
        aside = put_aside(path)
    with opening(path):
        return connect(), f"{path} was damaged; it is {aside} now, and a new one is begun"


class OpenMark:
    """Marks a database as open. Call `lost` before it is opened, `set` afterwards, and `clear` just before it is
    closed."""

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._mark = path.with_name(path.name + "-open")

    def lost(self) -> str:
        """What is wrong: the log of the last run is gone. Empty if nothing is."""
        if not self._mark.exists() or self._log.exists():
            return ""
        return (
            f"{self._log} is missing, although the last run ended without closing it: what was committed in its "
            "last moments, messages that devices were told are stored among it, is lost, unless another program "
            "such as sqlite3 has opened and closed it since"
        )

    def set(self) -> None:
        """The database is open."""
        private.make_file(self._mark)

    def clear(self) -> None:
        """The database will be complete without its log."""
        self._mark.unlink(missing_ok=True)
