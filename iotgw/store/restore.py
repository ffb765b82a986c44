"""Puts a backup back into the data directory of a gateway that doesn't run."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
from msgspec import Struct

from iotgw.core import private
from iotgw.core.errors import IotgwError
from iotgw.core.ports.pause import Paused
from iotgw.store.backups import PART, check
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.manifest import (
    DATABASES,
    DEVICE_FILES,
    DISPENSABLE,
    KEY,
    TOKEN,
    Manifest,
    NotWhole,
    fingerprint,
    sync,
    write,
)
from iotgw.store.sqlite.database import upgrades

PAUSED = "paused"
"""A file in the data directory: while it is there, nothing leaves the gateway."""
UNFINISHED = "restoring"
"""A file in the data directory: a restore has begun and not ended, so no gateway may use it."""
ASIDE = "before-restore-"
_KEEP = frozenset({"lock", UNFINISHED})
_OURS = frozenset({DEVICE_FILES, *DATABASES, *DISPENSABLE})


class NotRestored(IotgwError):
    """Nothing was restored; the message says what to do."""


class Restored(Struct, frozen=True):
    """What was done. ``aside`` is where the former content is now; ``lacks_key`` says that the key of the secrets has to be
    put there by hand."""

    data_dir: Path
    made_at: int
    files: list[str]
    aside: Path | None
    lacks_key: bool


def restore(
    backup: Path, data_dir: Path, *, key: Path | None = None, force: bool = False, paused: bool = False
) -> Restored:
    """Check a backup and put it into a data directory, which must be empty; with ``force`` what is in it is moved aside.

    ``key`` is the file of the secrets' key, where the backup doesn't have it. With ``paused`` the gateway will start paused.
    Raises NotWhole, NotRestored, or AlreadyRunning, and has changed nothing then.
    """
    backup, data_dir = backup.absolute(), data_dir.absolute()
    manifest = opened(backup)
    given = _key(backup, manifest, key)
    lock = DataDirectoryLock(data_dir)
    lock.acquire()
    try:
        there = list(_content(data_dir, backup))
        if there and not force:
            raise NotRestored(
                f"{data_dir} is not empty ({there[0].name} is in it): with --force its content is moved aside"
            )
        _expect_room(manifest, data_dir)
        private.make_file(data_dir / UNFINISHED)
        sync(data_dir)
        aside = _move_aside(there, data_dir) if there else None
        if given is None:
            given = _key_aside(data_dir, manifest)
        names = [name for name in manifest.files if name != KEY]
        for name in names:
            private.make_directory((data_dir / name).parent)
            private.make_file(data_dir / name)
            shutil.copyfile(backup / name, data_dir / name)
            sync(data_dir / name)
        if given is not None:
            write(data_dir / KEY, given)
        if TOKEN not in names and aside is not None and (aside / TOKEN).exists():
            write(data_dir / TOKEN, (aside / TOKEN).read_bytes())
        if paused:
            made = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(manifest.made_at / 1000))
            reason = f"restored from {backup.name}, made {made}"
            write(data_dir / PAUSED, msgspec.json.encode(Paused(reason, int(time.time() * 1000))))
        _give_to_owner(data_dir)
        if (data_dir / DEVICE_FILES).exists():
            sync(data_dir / DEVICE_FILES)
        sync(data_dir)
        (data_dir / UNFINISHED).unlink()
        sync(data_dir)
    finally:
        lock.release()
    return Restored(data_dir, manifest.made_at, names, aside, given is None)


class Verified(Struct, frozen=True, rename="camel"):
    """A backup that is whole. ``key`` tells keys apart; ``key_fits`` whether the one that was given, or is in it, is the key of its secrets (None: none was)."""

    made_at: int
    version: str
    files: int
    bytes: int
    key: str
    key_fits: bool | None


def verify(backup: Path, key: Path | None = None) -> Verified:
    """Open a backup: every file is there as it was written, every database is sound to its last page, and this version can use it.
    Raises NotWhole, and NotRestored for a key that can't be read."""
    backup = backup.absolute()
    manifest = opened(backup, is_thorough=True)
    path = key or (backup / KEY if KEY in manifest.files else None)
    try:
        fits = None if path is None else fingerprint(path.read_bytes()) == manifest.key
    except OSError as error:
        raise NotRestored(f"{path}: {error.strerror}") from error
    size = sum(file.bytes for file in manifest.files.values())
    return Verified(manifest.made_at, manifest.version, len(manifest.files), size, manifest.key, fits)


def opened(backup: Path, is_thorough: bool = False) -> Manifest:
    """A backup's manifest, when its files are what it says and its databases are sound. ``is_thorough`` looks at their indexes, too. Raises NotWhole."""
    if backup.name.endswith(PART):
        raise NotWhole(f"{backup}: expected a backup; this is one that wasn't finished")
    manifest = Manifest.read(backup)
    manifest.check(backup)
    for name in manifest.files:
        if name.endswith(".db"):
            _check_database(backup / name, is_thorough)
    return manifest


def expect_finished(data_dir: Path) -> None:
    """Raise NotRestored where a restore was interrupted."""
    if (data_dir / UNFINISHED).exists():
        raise NotRestored(f"{data_dir}: a restore was interrupted; finish it by `iotgwctl restore --force`")


def _check_database(path: Path, is_thorough: bool) -> None:
    try:
        check(path, is_thorough=is_thorough)
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
    except sqlite3.DatabaseError as error:
        raise NotWhole(f"{path} is damaged: {error}") from error
    known = len(upgrades(path.stem))
    if known and version > known:
        raise NotWhole(
            f"{path}: expected schema version {known} or older, got {version}; made by a newer iotgw?"
        )


def _key(backup: Path, manifest: Manifest, key: Path | None) -> bytes | None:
    path = key or (backup / KEY if KEY in manifest.files else None)
    if path is None:
        return None
    try:
        content = path.read_bytes()
    except OSError as error:
        raise NotRestored(f"{path}: {error.strerror}") from error
    if fingerprint(content) != manifest.key:
        raise NotRestored(f"{path} is not the key with which the secrets of this backup are encrypted")
    return content


def _key_aside(data_dir: Path, manifest: Manifest) -> bytes | None:
    """The backup's key, where it was in the data directory before this restore, or before one that was interrupted."""
    for path in data_dir.glob(f"{ASIDE}*/{KEY}"):
        found = path.read_bytes()
        if fingerprint(found) == manifest.key:
            return found
    return None


def _content(data_dir: Path, backup: Path) -> Iterator[Path]:
    """What a gateway left in its data directory: not the lock, and no directories of the operator's, as those of certificates and backups."""
    for path in sorted(data_dir.iterdir()):
        is_theirs = path.is_dir() and path.name not in _OURS
        if path.name not in _KEEP and path not in (backup, *backup.parents) and not is_theirs:
            yield path


def _move_aside(there: list[Path], data_dir: Path) -> Path:
    name = f"{ASIDE}{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    aside = next(data_dir / each for each in names if not (data_dir / each).exists())
    aside.mkdir(mode=private.DIRECTORY)
    for path in there:
        path.rename(aside / path.name)
    sync(aside)
    sync(data_dir)
    return aside


def _expect_room(manifest: Manifest, data_dir: Path) -> None:
    disk = os.statvfs(data_dir)
    size = sum(file.bytes for file in manifest.files.values())
    if disk.f_bavail * disk.f_frsize < size:
        raise NotRestored(f"the disk of {data_dir} has no room for {size} bytes")


def _give_to_owner(data_dir: Path) -> None:
    """Restored by root, the files belong to whom the directory belongs."""
    owner = data_dir.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        for path in (*data_dir.iterdir(), *data_dir.glob(f"{DEVICE_FILES}/*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
