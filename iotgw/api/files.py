"""`/files`: what users upload for their devices, such as firmware. A file of any size comes in parts, which are on the disk when they are
answered."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.problems import Problem
from iotgw.api.queries import Query
from iotgw.api.routes import OCTETS, Call, Reply, Route
from iotgw.core.errors import Conflict
from iotgw.core.ports.jobs import IJobs
from iotgw.core.ports.stored_files import IStoredFiles, StoredFile
from iotgw.core.recorder import Recorder

SIZE = Query(
    "size", int, None, "bytes of the whole file; without it, the body is all of it", range=(1, 1 << 40)
)
OFFSET = Query("offset", int, 0, "how many bytes are there already", range=(0, 1 << 40))


class FileList(Struct, frozen=True):
    """Files by name."""

    items: Annotated[list[StoredFile], Meta(max_length=1000, description="Files by name.")]


class FileRoutes:
    """The routes of files."""

    def __init__(self, files: IStoredFiles, jobs: IJobs, recorder: Recorder) -> None:
        self._files = files
        self._jobs = jobs
        self._recorder = recorder

    def routes(self) -> list[Route]:
        """List, look, upload, remove."""
        read, write, one = Permission.READ, Permission.WRITE, "/files/<name>"
        begin, more = "Upload a file, or its first bytes", "Upload the next bytes of a file"
        return [
            Route("GET", "/files", read, self.index, "Files for devices", answer=FileList),
            Route("GET", one, read, self.read, "A file: its size, how much of it is there, its digest", answer=StoredFile),
            Route("PUT", one, write, self.begin, begin, bytes, StoredFile, query=(SIZE,), status=201),
            Route("PATCH", one, write, self.more, more, bytes, StoredFile, query=(OFFSET,)),
            Route("DELETE", one, write, self.remove, "Remove a file", status=204),
        ]  # fmt: skip

    async def index(self, call: Call) -> FileList:
        """All of a tenant."""
        return FileList(self._files.list(call.tenant))

    async def read(self, call: Call, name: str) -> StoredFile:
        """One."""
        return self._files.get(call.tenant, name)

    async def begin(self, call: Call, name: str) -> Reply:
        """A new one."""
        content = _content(call)
        size = call.query("size") or len(content)
        file = await self._files.begin(call.tenant, name, size, content)
        self._note(call, file)
        return Reply(file, 201)

    async def more(self, call: Call, name: str) -> StoredFile:
        """Its next bytes."""
        file = await self._files.append(call.tenant, name, call.query("offset"), _content(call))
        self._note(call, file)
        return file

    async def remove(self, call: Call, name: str) -> None:
        """Remove one, unless devices are being updated with it."""
        file = self._files.get(call.tenant, name)
        users = [
            job.id for job in self._jobs.list(call.tenant) if job.state == "running" and _uses(job.what, file)
        ]
        if users:
            raise Conflict(f"job {users[0]} updates devices with {file.name!r}; cancel it first")
        await self._files.delete(call.tenant, file.id)
        self._recorder.note("file.deleted", "file", file.name, f"by {call.token.name}", call.tenant)

    def _note(self, call: Call, file: StoredFile) -> None:
        if file.is_whole:
            text = f"{file.size} bytes, SHA-256 {file.sha256}, by {call.token.name}"
            self._recorder.note("file.uploaded", "file", file.name, text, call.tenant)


def _content(call: Call) -> bytes:
    content = call.content(OCTETS)
    if content is None:
        raise Problem(415, f"expected 'Content-Type: {OCTETS}'")
    return content


def _uses(what: dict[str, Any], file: StoredFile) -> bool:
    return bool(what.get("file") == file.id)
