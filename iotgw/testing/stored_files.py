"""Files for devices, and the states of their updates, in memory."""

from __future__ import annotations

import builtins
import hashlib

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.errors import Conflict, IotgwError, NotFound, SettingsError
from iotgw.core.ports.firmware import IFirmwareJobs, UpdateState
from iotgw.core.ports.stored_files import IStoredFiles, StoredFile


@implementer(IStoredFiles)
class MemoryStoredFiles:
    """``contents`` are the bytes by id; `path` is none of a disk's."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], StoredFile] = {}
        self.contents: dict[str, bytes] = {}

    def list(self, tenant: str) -> builtins.list[StoredFile]:
        """See `IStoredFiles.list`."""
        return [self._files[key] for key in sorted(self._files) if key[0] == tenant]

    def get(self, tenant: str, name: str) -> StoredFile:
        """See `IStoredFiles.get`."""
        found = [file for file in self.list(tenant) if name in (file.name, file.id)]
        if not found:
            raise NotFound(f"there is no file {name!r}")
        return found[0]

    def path(self, file: StoredFile) -> str:
        """See `IStoredFiles.path`."""
        return f"memory:{file.id}"

    def begin(self, tenant: str, name: str, size: int, content: bytes = b"") -> Deferred[StoredFile]:
        """See `IStoredFiles.begin`."""
        if (tenant, name) in self._files:
            return fail(Conflict(f"there is already a file {name!r}"))
        is_name = name not in ("", ".", "..") and "/" not in name
        if not size or not is_name:
            return fail(SettingsError("size" if is_name else "name", "expected another one"))
        file = StoredFile(f"f{len(self.contents) + 1}", name, size, 0, "", 0)
        self.contents[file.id] = b""
        self._files[tenant, name] = file
        return self.append(tenant, name, 0, content)

    def append(self, tenant: str, name: str, offset: int, content: bytes) -> Deferred[StoredFile]:
        """See `IStoredFiles.append`."""
        try:
            return succeed(self._append(tenant, self.get(tenant, name), offset, content))
        except IotgwError as error:
            return fail(error)

    def _append(self, tenant: str, file: StoredFile, offset: int, content: bytes) -> StoredFile:
        if offset != file.received or offset + len(content) > file.size:
            raise Conflict(f"expected bytes from {file.received} on, up to {file.size}")
        whole = self.contents[file.id] = self.contents[file.id] + content
        digest = hashlib.sha256(whole).hexdigest() if len(whole) == file.size else ""
        file = self._files[tenant, file.name] = replace(file, received=len(whole), sha256=digest)
        return file

    def delete(self, tenant: str, name: str) -> Deferred[None]:
        """See `IStoredFiles.delete`."""
        try:
            file = self.get(tenant, name)
        except NotFound as error:
            return fail(error)
        del self._files[tenant, file.name]
        return succeed(None)


@implementer(IFirmwareJobs)
class MemoryUpdates:
    """``states`` are those of each job's devices, by tenant and job."""

    def __init__(self) -> None:
        self.states: dict[tuple[str, str], list[UpdateState]] = {}

    def devices(self, tenant: str, job: str) -> Deferred[list[UpdateState]]:
        """See `IFirmwareJobs.devices`."""
        found = self.states.get((tenant, job))
        return succeed(found) if found is not None else fail(NotFound(f"there is no job {job!r}"))
