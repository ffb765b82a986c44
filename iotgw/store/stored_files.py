"""Files that users upload for their devices. What they are stands in the registry, their bytes in ``{data_dir}/device-files``.

A file is hashed when its last byte is there, and never changes after that. What a kill leaves of one that isn't whole goes on where
it was, as only bytes on the disk count.
"""

from __future__ import annotations

import builtins
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.core import private
from iotgw.core.errors import Conflict, NoSpace, SettingsError, Unavailable
from iotgw.core.names import unfit
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.stored_files import IStoredFiles, StoredFile
from iotgw.core.specs import Resource
from iotgw.store.manifest import DEVICE_FILES
from iotgw.store.worker import StoreThread

FOLDER = DEVICE_FILES
"""In the data directory. Nothing else may be in it: what belongs to no file is removed."""
KIND = "file"
"""Of the resources in the registry."""
MOST_FILES = 1000
"""Of a tenant."""
LONGEST_NAME = 200
RESERVE = 64 << 20
"""Bytes that stay free on the disk, for everything else that is written there."""
CHUNK = 1 << 20
P = ParamSpec("P")
T = TypeVar("T")


@implementer(IStoredFiles)
class FileStore:
    """An `IStoredFiles` below ``data_dir``; ``most_bytes`` are those of one tenant's files together."""

    def __init__(
        self, data_dir: Path, registry: IRegistry, reactor: IThreadedClock, dates: IDates, most_bytes: int
    ) -> None:
        self._folder = data_dir / FOLDER
        self._registry = registry
        self._reactor = reactor
        self._dates = dates
        self._most_bytes = most_bytes
        self._received: dict[str, int] = {}
        self._beginning: dict[str, list[int]] = {}
        """The sizes of files that aren't in the registry yet, by their tenants."""
        self._worker: StoreThread | None = None

    # --- life ---

    def start(self) -> Deferred[None]:
        """Find out how much of each file is there; what belongs to none is removed."""
        self._worker = StoreThread(self._reactor, "files")
        ids = [resource.id for resource in self._registry.list(KIND)]

        def found(received: dict[str, int]) -> None:
            self._received = received

        return self._worker.call(self._tidy, ids).addCallback(found)

    def stop(self) -> Deferred[None]:
        """Finish what is being written."""
        assert self._worker is not None
        done = self._worker.call(lambda: None)
        self._worker.stop()
        return done

    # --- IStoredFiles ---

    def list(self, tenant: str) -> builtins.list[StoredFile]:
        """See `IStoredFiles.list`."""
        return [self._file(resource) for resource in self._registry.list(KIND, tenant)]

    def get(self, tenant: str, name: str) -> StoredFile:
        """See `IStoredFiles.get`."""
        return self._file(self._registry.get(KIND, name, tenant))

    def path(self, file: StoredFile) -> str:
        """See `IStoredFiles.path`."""
        return str(self._folder / file.id)

    def begin(self, tenant: str, name: str, size: int, content: bytes = b"") -> Deferred[StoredFile]:
        """See `IStoredFiles.begin`."""
        return Deferred.fromCoroutine(self._begin(tenant, name, size, content))

    def append(self, tenant: str, name: str, offset: int, content: bytes) -> Deferred[StoredFile]:
        """See `IStoredFiles.append`."""
        return Deferred.fromCoroutine(self._append(self._registry.get(KIND, name, tenant), offset, content))

    def delete(self, tenant: str, name: str) -> Deferred[None]:
        """See `IStoredFiles.delete`."""
        return Deferred.fromCoroutine(self._delete(self._registry.get(KIND, name, tenant)))

    # --- in the reactor's thread ---

    def _file(self, resource: Resource) -> StoredFile:
        body, id = resource.body, resource.id
        size, received = body["size"], self._received.get(id, 0)
        digest = body["sha256"] if received == size else ""  # an older backup that was put back has no files
        return StoredFile(id, resource.name, size, received, digest, resource.created_ms)

    async def _begin(self, tenant: str, name: str, size: int, content: bytes) -> StoredFile:
        if not 0 < len(name) <= LONGEST_NAME or unfit(name) or "/" in name or name in (".", ".."):
            raise SettingsError(
                "name", f"expected 1 to {LONGEST_NAME} characters without slashes and control characters"
            )
        if not size > 0:
            raise SettingsError("size", "expected a file of one byte or more")
        if size > self._most_bytes:
            raise SettingsError("size", f"expected at most {self._most_bytes} bytes (max-files), got {size}")
        sizes = [file.size for file in self.list(tenant)] + self._beginning.get(tenant, [])
        if len(sizes) >= MOST_FILES:
            raise Conflict(f"expected at most {MOST_FILES} files; delete one first")
        if sum(sizes) + size > self._most_bytes:
            raise Conflict(
                f"expected files of at most {self._most_bytes} bytes together (max-files); delete one first"
            )
        beginning = self._beginning.setdefault(tenant, [])
        beginning.append(size)  # so that many at once are no more than one after another
        try:
            await self._in_thread(self._check_room, size)
            resource = await self._registry.create(KIND, tenant, name, {"size": size, "sha256": ""})
        finally:
            beginning.remove(size)
            if not beginning:
                del self._beginning[tenant]
        self._received[resource.id] = 0
        return await self._append(resource, 0, content) if content else self._file(resource)

    async def _append(self, resource: Resource, offset: int, content: bytes) -> StoredFile:
        file = self._file(resource)
        if offset != file.received:
            raise Conflict(f"expected bytes from {file.received} on, got some from {offset} on")
        if offset + len(content) > file.size:
            raise Conflict(f"expected a file of {file.size} bytes, got more")
        self._received[file.id] = offset + len(content)  # so that nobody else sends the same
        try:
            await self._in_thread(self._write, file, offset, content)
        except NoSpace:
            self._received[file.id] = offset
            raise
        whole = replace(file, received=offset + len(content))
        if whole.received < whole.size:
            return whole
        digest = await self._in_thread(self._digest, file)
        body = {**resource.body, "sha256": digest}
        return self._file(await self._registry.replace(KIND, file.id, body))

    async def _delete(self, resource: Resource) -> None:
        await self._registry.delete(KIND, resource.id)
        self._received.pop(resource.id, None)
        await self._in_thread((self._folder / resource.id).unlink, True)

    def _in_thread(self, function: Callable[P, T], *arguments: P.args, **more: P.kwargs) -> Deferred[T]:
        if self._worker is None:
            raise Unavailable("the gateway does not keep files yet")
        return self._worker.call(function, *arguments, **more)

    # --- in the worker's thread ---

    def _tidy(self, ids: builtins.list[str]) -> dict[str, int]:
        private.make_directory(self._folder)
        for path in sorted(self._folder.iterdir()):
            if path.name not in ids:
                path.unlink(missing_ok=True)
        return {id: _size(self._folder / id) for id in ids}

    def _check_room(self, size: int) -> None:
        if shutil.disk_usage(self._folder).free - size < RESERVE:
            raise NoSpace(f"expected room for {size} bytes on the disk")

    def _write(self, file: StoredFile, offset: int, content: bytes) -> None:
        if content:
            self._check_room(len(content))  # others may have filled the disk since it began
        path = self._folder / file.id
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, private.FILE)
            with os.fdopen(descriptor, "wb") as stream:
                stream.seek(offset)
                stream.truncate()
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise NoSpace(f"the file could not be written: {error.strerror}") from error

    def _digest(self, file: StoredFile) -> str:
        with (self._folder / file.id).open("rb") as stream:
            digest = hashlib.sha256()
            while part := stream.read(CHUNK):
                digest.update(part)
        return digest.hexdigest()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
