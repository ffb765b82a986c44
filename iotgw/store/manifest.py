"""What a backup holds. The manifest is written last: a directory without one is no backup."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from iotgw.core import private
from iotgw.core.errors import IotgwError

MANIFEST = "manifest.json"
DATABASES = ("registry.db", "downlinks.db", "journal.db")
"""What a gateway can't do without."""
DISPENSABLE = ("devices.db", "events.db", "kept.db", "usage.db")
KEY = "secret.key"
TOKEN = "admin-token"
DEVICE_FILES = "device-files"
"""The directory of what users uploaded for devices; the only one in a backup."""
FORMAT = 1
PIECE = 1 << 20


class NotWhole(IotgwError):
    """A directory is no backup, or not a whole one."""


class File(Struct, frozen=True):
    """A file of a backup; ``sha256`` in hexadecimal."""

    bytes: int
    sha256: str


class Manifest(Struct, frozen=True, rename="camel", forbid_unknown_fields=False):
    """``key`` tells whether a file is the key of the secrets in it, without revealing anything of it."""

    format: int
    made_at: int
    version: str
    key: str
    files: dict[str, File]

    def write(self, folder: Path) -> None:
        """Write it durably."""
        write(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """That of a backup; raises NotWhole."""
        try:
            found = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=cls)
        except FileNotFoundError:
            raise NotWhole(f"{folder}: expected a backup, there is no {MANIFEST}") from None
        except msgspec.DecodeError as error:
            raise NotWhole(f"{folder / MANIFEST}: {error}") from error
        if found.format != FORMAT:
            raise NotWhole(f"{folder}: expected a backup of format {FORMAT}, got {found.format}")
        if not all(map(_is_plain, found.files)):
            raise NotWhole(f"{folder / MANIFEST}: expected plain names of files")
        return found

    def check(self, folder: Path) -> None:
        """Raise NotWhole unless every file is there as it was written."""
        missing = [name for name in DATABASES if name not in self.files]
        if missing:
            raise NotWhole(f"{folder}: {missing[0]} is not in it")
        for name, expected in self.files.items():
            try:
                found = measure(folder / name)
            except FileNotFoundError:
                raise NotWhole(f"{folder / name} is missing") from None
            if found != expected:
                raise NotWhole(
                    f"{folder / name} is not what was written: {found.bytes} bytes of {expected.bytes}"
                )


def _is_plain(name: str) -> bool:
    """Whether a file's name leads nowhere but into a backup."""
    plain = name.removeprefix(f"{DEVICE_FILES}/")
    return plain == os.path.basename(plain) and not plain.startswith(".") and plain not in ("", MANIFEST)


def measure(path: Path, between: Callable[[], None] = lambda: None) -> File:
    """Size and digest of a file. ``between`` is called now and then, and may raise to give it up."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            between()
            digest.update(piece)
            size += len(piece)
    return File(size, digest.hexdigest())


def fingerprint(key: bytes) -> str:
    """Tells keys apart and says nothing of them: they are 256 random bits."""
    return hashlib.sha256(b"iotgw secret.key\0" + key).hexdigest()[:32]


def write(path: Path, content: bytes) -> None:
    """Write a new file that only its owner reads; durably, but for the directory's entry."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, private.FILE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Make a file's content, or a directory's entries, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
