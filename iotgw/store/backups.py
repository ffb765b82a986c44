"""Copies all databases as they were at one moment, while the gateway runs.

At that moment no database is half changed, so a copy is what a kill at that moment would leave: a state that each start can
go on from. The copying itself goes in small steps, in a thread of its own, and reads snapshots; nobody waits for it.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw import __version__
from iotgw.core import own_file, private
from iotgw.core.errors import Conflict, NoSpace, SettingsError, Unavailable
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.backups import IBackups, MadeBackup
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.recorder import Recorder
from iotgw.store.manifest import (
    DATABASES,
    DEVICE_FILES,
    DISPENSABLE,
    KEY,
    PIECE,
    TOKEN,
    Manifest,
    fingerprint,
    measure,
    sync,
    write,
)  # fmt: skip
from iotgw.store.sqlite.database import connect_reader
from iotgw.store.sqlite.moment import Between, Moment
from iotgw.store.worker import StoreThread

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
PART = ".iotgw-part"
"""Ends the name of a copy that isn't whole; nobody else's files in the backup directory end so."""
PAGES = 256
"""Pages of one step: 1 MB."""
INSTRUCTIONS = 100_000
"""Of SQLite's machine, some milliseconds: a check looks as often whether it is given up."""
RESERVE = 64 << 20
"""Bytes that must stay free on the disk that the gateway writes to."""
OF_ITS_OWN = 1 << 20
"""The same on a disk that only has backups."""
_DAMAGES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class _Damaged(Conflict):
    """A database is damaged, so that there is no copy of it."""


@implementer(IBackups)
class Backups:
    """An `IBackups` of ``data_dir`` in ``folder``. ``writers`` stand still for the moment that is copied.
    ``elsewhere`` says where the data is that these backups would lack: then there are none."""

    def __init__(
        self,
        reactor: IThreadedClock,
        data_dir: Path,
        folder: Path,
        writers: Sequence[Between],
        recorder: Recorder,
        dates: IDates,
        elsewhere: str = "",
    ) -> None:
        self._reactor = reactor
        self._data_dir = data_dir
        self._folder = folder
        self._writers = writers
        self._recorder = recorder
        self._dates = dates
        self._elsewhere = elsewhere
        self._worker: StoreThread | None = None
        self._is_taking = False
        self._is_stopping = False

    # --- life ---

    def start(self) -> Deferred[None]:
        """Begin; what was left of a backup that a kill ended is removed."""
        self._worker = StoreThread(self._reactor, "backups")
        return self._worker.call(self._tidy, self._folder)

    def stop(self) -> Deferred[None]:
        """Give up what is under way; fires when the databases are let go of."""
        worker, self._worker = self._worker, None
        if worker is None:
            return succeed(None)
        self._is_stopping = True
        done = worker.call(lambda: None)
        worker.stop()
        return done

    def take(self, name: str, with_key: bool, folder: Path | None = None) -> Deferred[MadeBackup]:
        """See `IBackups.take`."""
        if self._worker is None:
            return fail(Unavailable("the gateway stops"))
        if self._elsewhere:
            return fail(Conflict(self._elsewhere))
        if NAME.fullmatch(name) is None:
            return fail(SettingsError("name", "expected letters, digits and ._- only, at most 100, no path"))
        if self._is_taking:
            return fail(Conflict("another backup is being made"))
        self._is_taking = True
        made_ms, begun = int(self._dates.seconds() * 1000), time.monotonic()

        def made(result: MadeBackup | Failure) -> MadeBackup | Failure:
            self._is_taking = False
            if folder is not None:
                return result  # whoever keeps backups there tells how it went
            if isinstance(result, Failure):
                self._note("backup-failed", name, result.getErrorMessage(), "error")
                return result
            text = f"all databases are in {result.directory}, {result.bytes} bytes"
            self._note("backup", name, text, "info")
            return result

        taking = self._worker.call(self._take, folder or self._folder, name, with_key, made_ms, begun)
        return taking.addBoth(made)

    def _note(self, type: str, name: str, text: str, severity: str) -> None:
        self._recorder.note(
            type, "gateway", name, text, DEFAULT_TENANT, "error" if severity == "error" else "info"
        )

    # --- in the thread ---

    def _tidy(self, folder: Path) -> None:
        for half in folder.glob(f".*{PART}"):
            shutil.rmtree(half, ignore_errors=True)

    def _take(self, folder: Path, name: str, with_key: bool, made_ms: int, begun: float) -> MadeBackup:
        final, half = folder / name, folder / f".{name}{PART}"
        if os.path.lexists(final):
            raise Conflict(f"there is already a backup {name!r} in {folder}")
        with _saying_why(folder):
            private.make_directory(folder)
            self._tidy(folder)
            half.mkdir(mode=private.DIRECTORY)
            try:
                left_out = self._copy(half)
                key = self._copy_files(half, with_key)
                left_out |= self._copy_device_files(half)
                files = {
                    path.relative_to(half).as_posix(): measure(path, self._expect_no_stop)
                    for path in sorted(half.rglob("*"))
                    if path.is_file()
                }
                Manifest(1, made_ms, __version__, key, files).write(half)
                sync(half)
                half.rename(final)
                sync(folder)
            except BaseException:
                shutil.rmtree(half, ignore_errors=True)
                raise
        size = sum(file.bytes for file in files.values())
        seconds = round(time.monotonic() - begun, 3)
        return MadeBackup(str(final), made_ms, seconds, size, list(files), with_key, left_out)

    def _copy(self, half: Path) -> dict[str, str]:
        """Copy the databases; returns the dispensable ones of which there is no copy, with the reason."""
        left_out: dict[str, str] = {}
        with ExitStack() as opened:
            readers: dict[str, sqlite3.Connection] = {}
            for name in (*DATABASES, *DISPENSABLE):
                path = self._data_dir / name
                if name in DATABASES or path.exists():
                    with _dispensable(name, left_out):
                        readers[name] = opened.enter_context(closing(connect_reader(path)))
            with Moment(self._writers):
                for name, reader in readers.items():
                    with _dispensable(name, left_out):
                        reader.execute("BEGIN")
                        # It sees this moment from its first read on.
                        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self._expect_room(half, sum(_size(self._data_dir / name) for name in readers))
            for name, reader in readers.items():
                if name not in left_out:
                    try:
                        self._copy_database(reader, half / name)
                    except _Damaged as error:
                        if name not in DISPENSABLE:
                            raise
                        left_out[name] = str(error)
                        (half / name).unlink(missing_ok=True)
                reader.close()  # its log may shrink again
        return left_out

    def _copy_database(self, reader: sqlite3.Connection, path: Path) -> None:
        began = time.monotonic()

        def rest(status: int, remaining: int, total: int) -> None:
            """After each step: as long as the step took, others may have the disk."""
            nonlocal began
            self._expect_no_stop()
            self._expect_room(path.parent, 0)
            time.sleep(min(0.1, time.monotonic() - began))
            began = time.monotonic()

        try:
            private.make_file(path)
            with closing(sqlite3.connect(path, isolation_level=None)) as copy:
                copy.execute("PRAGMA synchronous = OFF")  # synced as a whole, below
                reader.backup(copy, pages=PAGES, progress=rest)
            sync(path)
            check(path, lambda: self._is_stopping)
        except sqlite3.DatabaseError as error:
            self._expect_no_stop()
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGES:
                raise _Damaged(f"no backup was made: {path.name} is damaged: {error}") from error
            raise

    def _copy_files(self, half: Path, with_key: bool) -> str:
        """Copy the small files; returns the key's fingerprint."""
        key = (self._data_dir / KEY).read_bytes()
        for path in own_file.found(self._data_dir):
            with suppress(FileNotFoundError):  # it was deleted with what kept it
                write(half / path.name, path.read_bytes())
        if with_key:
            write(half / KEY, key)
            if (self._data_dir / TOKEN).exists():
                write(half / TOKEN, (self._data_dir / TOKEN).read_bytes())
        return fingerprint(key)

    def _copy_device_files(self, half: Path) -> dict[str, str]:
        """Copy what users uploaded for devices. Returns those that were deleted meanwhile, with the reason."""
        left_out: dict[str, str] = {}
        theirs = self._data_dir / DEVICE_FILES
        if not theirs.is_dir():
            return left_out
        (half / DEVICE_FILES).mkdir(mode=private.DIRECTORY)
        for path in sorted(theirs.iterdir()):
            self._expect_room(half, 0)
            try:
                self._copy_in_steps(path, half / DEVICE_FILES / path.name)
            except FileNotFoundError:
                left_out[f"{DEVICE_FILES}/{path.name}"] = "it was deleted while the others were copied"
        sync(half / DEVICE_FILES)
        return left_out

    def _copy_in_steps(self, path: Path, copy: Path) -> None:
        with path.open("rb") as source:
            private.make_file(copy)
            with copy.open("wb") as target:
                began = time.monotonic()
                while piece := source.read(PIECE):
                    self._expect_no_stop()
                    target.write(piece)
                    time.sleep(
                        min(0.1, time.monotonic() - began)
                    )  # as long as it took, others may have the disk
                    began = time.monotonic()
        sync(copy)

    def _expect_no_stop(self) -> None:
        if self._is_stopping:
            raise Unavailable("the gateway stops: the backup was given up")

    def _expect_room(self, folder: Path, size: int) -> None:
        disk = os.statvfs(folder)
        is_shared = os.stat(folder).st_dev == os.stat(self._data_dir).st_dev
        free, reserve = disk.f_bavail * disk.f_frsize, RESERVE if is_shared else OF_ITS_OWN
        if free < size + reserve:
            raise NoSpace(
                f"no backup was made: {folder.parent} has {free >> 20} MB left, expected {(size + reserve) >> 20} or more"
            )


def check(path: Path, is_given_up: Callable[[], bool] = lambda: False, is_thorough: bool = False) -> None:
    """Raise sqlite3.DatabaseError where a database that nobody has open is damaged, or once it is given up. ``is_thorough`` compares
    indexes with their tables, too."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        connection.set_progress_handler(is_given_up, INSTRUCTIONS)
        pragma = "integrity_check" if is_thorough else "quick_check"
        (said,) = connection.execute(f"PRAGMA {pragma}(1)").fetchone()
    if said != "ok":
        error = sqlite3.DatabaseError(said)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


@contextmanager
def _dispensable(name: str, left_out: dict[str, str]) -> Iterator[None]:
    """A database that can't be read is left out, if a gateway can do without it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if name not in DISPENSABLE:
            raise
        left_out[name] = str(error)


def _size(path: Path) -> int:
    """Bytes of a database with its log, which its copy may have."""
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


@contextmanager
def _saying_why(folder: Path) -> Iterator[None]:
    """What the disk refuses, in words for who asked for a backup."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            raise NoSpace(f"no backup was made: the disk of {folder} is full") from error
        raise Unavailable(f"no backup was made: {error}", 5.0) from error
    except sqlite3.DatabaseError as error:
        raise _Damaged(f"no backup was made: a database is damaged: {error}") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"no backup was made: the disk of {folder} is full") from error
        raise Unavailable(f"no backup was made: {folder}: {error.strerror}", 5.0) from error
