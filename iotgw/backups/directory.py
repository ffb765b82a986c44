"""Backups in a directory of the gateway's host, such as a mounted disk. They are made there, not copied to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core import private
from iotgw.core.errors import Unavailable
from iotgw.core.ports.backups import IBackupPlace

MANIFEST = "manifest.json"
PART = ".iotgw-part"
"""Ends the name of what isn't whole."""
InThread = Callable[..., Deferred[object]]


@implementer(IBackupPlace)
class DirectoryPlace:
    """An `IBackupPlace` of directories in ``folder``; ``in_thread(function, *args)`` runs what waits for a disk."""

    def __init__(self, folder: Path, in_thread: InThread) -> None:
        self.folder = folder
        self.where = str(folder)
        self._in_thread = in_thread

    async def names(self) -> list[str]:
        """See `IBackupPlace.names`."""
        found = await self._run(self._names)
        assert isinstance(found, list)
        return found

    async def send(self, name: str, folder: Path, files: Sequence[str]) -> None:
        """See `IBackupPlace.send`."""
        await self._run(self._send, name, folder, files)

    async def fetch(self, name: str, file: str, path: Path) -> None:
        """See `IBackupPlace.fetch`."""
        await self._run(shutil.copyfile, self.folder / name / file, path)

    async def remove(self, name: str) -> None:
        """See `IBackupPlace.remove`."""
        await self._run(self._remove, name)

    async def tidy(self, prefix: str) -> None:
        """See `IBackupPlace.tidy`."""
        await self._run(self._tidy, prefix)

    async def close(self) -> None:
        """See `IBackupPlace.close`."""

    async def _run(self, function: Callable[..., object], *arguments: object) -> object:
        try:
            return await self._in_thread(function, *arguments)
        except OSError as error:
            raise Unavailable(f"{error.filename or self.folder}: {error.strerror}") from error

    # --- in the thread ---

    def _names(self) -> list[str]:
        whole = (path.parent for path in self.folder.glob(f"*/{MANIFEST}"))
        return sorted(path.name for path in whole if not path.name.endswith(PART))

    def _half(self, name: str) -> Path:
        return self.folder / f".{name}{PART}"

    def _send(self, name: str, folder: Path, files: Sequence[str]) -> None:
        half = self._half(name)
        for file in files:
            private.make_directory((half / file).parent)
            private.make_file(half / file)
            shutil.copyfile(folder / file, half / file)
            _sync(half / file)
        _sync(half)
        half.rename(self.folder / name)
        _sync(self.folder)

    def _remove(self, name: str) -> None:
        (self.folder / name).rename(self._half(name))
        shutil.rmtree(self._half(name))

    def _tidy(self, prefix: str) -> None:
        for half in self.folder.glob(f".{prefix}*{PART}"):
            shutil.rmtree(half)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
