"""An SFTP client (draft-ietf-secsh-filexfer-02, version 3) on conch's: whole steps, whose errors name step and path."""

from __future__ import annotations

import struct
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.filetransfer import (
    FXF_CREAT,
    FXF_READ,
    FXF_TRUNC,
    FXF_WRITE,
    FXP_FSETSTAT,
    FileTransferClient,
)
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.protocol import connectionDone

from iotgw.core.errors import IotgwError, ProtocolError

HEADER = 9
"""Bytes of an SFTP packet's length, type, and request id or version (draft-ietf-secsh-filexfer-02 §3)."""
LONGEST_SAID = 200
"""Characters of a server's own words that are kept."""
LARGEST = 256 << 10
"""Bytes of an SFTP packet; OpenSSH sends none that is larger."""
CHUNK = 32768
"""Bytes of a write; every server must accept that much (draft-ietf-secsh-filexfer-02 §6.4)."""
PIECE = 128 << 10
"""Bytes that are asked for in a read; a server may give less."""
MOST_NAMES = 100_000
LONGEST_NAME = 255
"""Bytes of a name in a directory; longer ones are none of ours."""
PIPELINED = 16
"""Writes under way at once."""
FSYNC, POSIX_RENAME, STATVFS = b"fsync@openssh.com", b"posix-rename@openssh.com", b"statvfs@openssh.com"
"""Extensions of OpenSSH's (its PROTOCOL file, §4)."""
END_OF_FILE = 1
NO_SUCH_FILE, PERMISSION_DENIED, UNSUPPORTED = 2, 3, 8
CODES = {
    1: "end of file", 2: "no such file", 3: "permission denied", 4: "failure", 5: "bad message", 6: "no connection",
    7: "connection lost", 8: "operation unsupported",
}  # fmt: skip
"""Statuses (draft-ietf-secsh-filexfer-02 §7)."""


class SftpRefused(Exception):
    """The server refused one step. ``step`` is what was tried (``rename``), ``path`` what it was tried on, ``code`` the
    status, ``said`` the server's own words."""

    def __init__(self, step: str, path: str, code: int, said: str = "") -> None:
        self.step = step
        self.path = path
        self.code = code
        word = CODES.get(code, "")
        own = said if said.strip().lower().rstrip(".") != word else ""
        why = ": ".join(filter(None, (word, own)))
        super().__init__(f"{step} {path} was refused: {why} (SFTP status {code})")


class SftpStatus(Exception):
    """A status that isn't OK."""

    def __init__(self, code: int, said: str) -> None:
        super().__init__(code, said)
        self.code = code
        self.said = said


class Session(Protocol):
    """What a channel knows of its session."""

    def opened(self, files: Files) -> None:
        """The SFTP channel is open."""

    def sendDisconnect(self, reason: int, desc: bytes) -> None:
        """End the session, and say why."""

    def loseConnection(self) -> None:
        """End the session."""


class Channels(SSHConnection):
    """Opens the one channel that is needed."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session

    def serviceStarted(self) -> None:
        """Login succeeded."""
        super().serviceStarted()
        self.openChannel(SftpChannel(self._session, conn=self))


class SftpChannel(SSHChannel):
    """The subsystem ``sftp``."""

    name = b"session"
    conn: Any

    def __init__(self, session: Session, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._session = session
        self._files: Files | None = None

    def openFailed(self, reason: Any) -> None:
        """The channel could not be opened, so the session ends."""
        self._session.sendDisconnect(11, f"no channel: {reason}".encode())

    def channelOpen(self, specificData: bytes) -> None:
        """Ask for SFTP."""
        asked = self.conn.sendRequest(self, b"subsystem", NS(b"sftp"), wantReply=1)
        asked.addCallbacks(
            self._granted, lambda _: self._session.sendDisconnect(11, b"the server has no SFTP")
        )

    def _granted(self, _: object) -> None:
        self._files = Files(self._session)
        self._files.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        """SFTP's."""
        if self._files is not None:
            self._files.dataReceived(data)

    def closed(self) -> None:
        """The channel ended; so does the session."""
        if self._files is not None:
            self._files.connectionLost(connectionDone)
        self._session.loseConnection()


class Files(FileTransferClient):
    """The files of a server. ``lacks`` are the operations that it turned out to lack, with its words.

    Paths are texts. Each coroutine raises SftpRefused when the server refuses it, and what ends a connection.
    """

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.extensions: dict[bytes, bytes] = {}
        self.lacks: dict[str, str] = {}

    def dataReceived(self, data: bytes) -> None:
        """Read packets. Raises ProtocolError, and whatever conch raises, if one can't be read.

        conch's own loop waits for a packet of any size, and logs one that it can't read and goes on, so that whoever
        asked never gets an answer.
        """
        self.buf += data
        while len(self.buf) >= HEADER:
            size, kind = int.from_bytes(self.buf[:4], "big"), self.buf[4]
            if not HEADER - 4 <= size <= LARGEST:
                raise ProtocolError(f"expected an SFTP packet of at most {LARGEST} bytes, got one of {size}")
            if len(self.buf) < 4 + size:
                return
            packet, self.buf = self.buf[5 : 4 + size], self.buf[4 + size :]
            handle = getattr(self, f"packet_{self.packetTypes.get(kind)}", None)
            if handle is None:
                raise ProtocolError(f"expected an answer of SFTP, got a packet of type {kind}")
            handle(packet)

    def packet_STATUS(self, data: bytes) -> None:
        """An answer without data (§7). conch ends the connection when the server's words aren't ASCII."""
        asked, rest = self._parseRequest(data)
        code = int.from_bytes(rest[:4], "big") if len(rest) >= 4 else -1
        if code == 0:
            asked.callback(None)
            return
        size = int.from_bytes(rest[4:8], "big")
        asked.errback(SftpStatus(code, rest[8 : 8 + size].decode("utf-8", "replace")[:LONGEST_SAID]))

    def gotServerVersion(self, serverVersion: int, extData: dict[bytes, bytes]) -> None:
        """The server answered: the session is ready."""
        self.extensions = extData
        for name, extension in (("fsync", FSYNC), ("posix-rename", POSIX_RENAME)):
            if extension not in extData:
                self.lacks[name] = "not offered"
        self._session.opened(self)

    async def write(self, path: str, content: bytes) -> None:
        """Write a whole file, replacing what it held, and have the server sync it to its disk where it can."""
        flags = FXF_WRITE | FXF_CREAT | FXF_TRUNC
        file = await _done("open", path, self.openFile(path.encode(), flags, {}))
        try:
            await self._fill(file, path, content)
            await self._sync(file, path)
        except SftpRefused:
            file.close().addErrback(lambda _: None)  # so that the server has its handle back
            raise
        await _done("close", path, file.close())

    async def _fill(self, file: Any, path: str, content: bytes, offset: int = 0) -> None:
        for start in range(0, len(content), CHUNK * PIPELINED):
            piece = range(start, min(start + CHUNK * PIPELINED, len(content)), CHUNK)
            writes = [file.writeChunk(offset + at, content[at : at + CHUNK]) for at in piece]
            try:
                await gatherResults(writes, consumeErrors=True)
            except FirstError as error:
                _refuse("write", path, error.subFailure.value)

    async def _sync(self, file: Any, path: str) -> None:
        if "fsync" in self.lacks:
            return
        try:  # conch keeps the handle packed
            await _done("fsync", path, self.extendedRequest(FSYNC, file.handle))
        except SftpRefused as refused:
            if refused.code not in (PERMISSION_DENIED, UNSUPPORTED):
                raise
            self.lacks["fsync"] = str(refused)

    async def read(self, path: str, most: int) -> bytes:
        """The first bytes of a file, at most ``most``."""
        file = await _done("open", path, self.openFile(path.encode(), FXF_READ, {}))
        try:
            found: bytes = await _done("read", path, file.readChunk(0, most))
        finally:
            await _done("close", path, file.close())
        return found

    async def append(self, path: str, unconfirmed: dict[str, int], make: Callable[[bytes], bytes]) -> None:
        """Add to a file, or begin it. ``make(end)`` gives what to add, where the last two bytes of the file are ``end``: none
        if it is empty. ``unconfirmed`` keeps where an attempt began until it is confirmed: the next one replaces it."""
        file = await _done("open", path, self.openFile(path.encode(), FXF_READ | FXF_WRITE | FXF_CREAT, {}))
        try:
            size = (await _done("fstat", path, file.getAttrs())).get("size")
            if size is None:  # to write at 0 would destroy what is there
                raise SftpRefused("fstat", path, 4, "it doesn't tell the file's size")
            start = min(unconfirmed.get(path, size), size)
            tail = min(2, start)
            end = await _done("read", path, file.readChunk(start - tail, tail)) if tail else b""
            content = make(end)
            unconfirmed[path] = start
            await self._fill(file, path, content, start)
            if size > start + len(content):
                await self._cut(file, path, start + len(content))
            await self._sync(file, path)
        except (SftpRefused, IotgwError):
            file.close().addErrback(lambda _: None)
            raise
        await _done("close", path, file.close())
        unconfirmed.pop(path, None)

    async def _cut(self, file: Any, path: str, size: int) -> None:
        """Cut off the end of an earlier attempt. Where that can't be done it stays: rows that come twice, the first in part."""
        try:
            asked = self._sendRequest(FXP_FSETSTAT, file.handle + self._packAttributes({"size": size}))
            await _done("fsetstat", path, asked)
        except SftpRefused as refused:
            self.lacks["setstat"] = str(refused)

    async def posix_rename(self, old: str, new: str) -> None:
        """Rename a file, replacing any existing one. Only where the server offers ``POSIX_RENAME``."""
        asked = self.extendedRequest(POSIX_RENAME, NS(old.encode()) + NS(new.encode()))
        await _done("posix-rename", f"{old} to {new}", asked)

    async def rename(self, old: str, new: str) -> None:
        """Rename a file; refused if the new name is taken."""
        await _done("rename", f"{old} to {new}", self.renameFile(old.encode(), new.encode()))

    async def remove(self, path: str) -> None:
        """Remove a file."""
        await _done("remove", path, self.removeFile(path.encode()))

    async def room(self, folder: str) -> tuple[int, int] | None:
        """Bytes that are free for us in a directory's file system, and that it has in all. None where the server doesn't tell."""
        if STATVFS not in self.extensions:
            return None
        try:
            said: bytes = await _done(
                "statvfs", folder, self.extendedRequest(STATVFS, NS((folder or ".").encode()))
            )
        except SftpRefused:
            return None
        if len(said) < 88:  # eleven numbers (OpenSSH's PROTOCOL file, §4.4)
            return None
        _, size, blocks, _, free = struct.unpack(">5Q", said[:40])
        return free * size, blocks * size

    async def make_folder(self, path: str) -> None:
        """Make a directory."""
        await _done("mkdir", path, self.makeDirectory(path.encode(), {}))

    async def remove_folder(self, path: str) -> None:
        """Remove an empty directory."""
        await _done("rmdir", path, self.removeDirectory(path.encode()))

    async def names(self, path: str) -> list[str]:
        """The names in a directory, of which at most `MOST_NAMES` are looked at. A server that gives none in an answer is asked no further."""
        folder = await _done("opendir", path, self.openDirectory(path.encode()))
        found: list[str] = []
        try:
            while len(found) < MOST_NAMES:
                some = await _done("readdir", path, folder.read())
                if not some:
                    break
                found += [name.decode("utf-8", "replace") for name, _, _ in some if len(name) <= LONGEST_NAME]
        except (EOFError, SftpRefused) as over:
            if isinstance(over, SftpRefused) and over.code != END_OF_FILE:
                raise
        finally:
            await _done("close", path, folder.close())
        return [name for name in found if name not in (".", "..")]

    async def write_from(self, path: str, read: Callable[[], Awaitable[bytes]]) -> None:
        """Write a whole file of pieces, each of which ``read()`` gives when the one before is written; an empty one is the end."""
        flags = FXF_WRITE | FXF_CREAT | FXF_TRUNC
        file = await _done("open", path, self.openFile(path.encode(), flags, {}))
        try:
            offset = 0
            while piece := await read():
                await self._fill(file, path, piece, offset)
                offset += len(piece)
            await self._sync(file, path)
        except SftpRefused:
            file.close().addErrback(lambda _: None)
            raise
        await _done("close", path, file.close())

    async def read_into(self, path: str, take: Callable[[bytes], object]) -> None:
        """Read a whole file; ``take`` gets its pieces."""
        file = await _done("open", path, self.openFile(path.encode(), FXF_READ, {}))
        try:
            offset = 0
            while piece := await _done("read", path, file.readChunk(offset, PIECE)):
                take(piece)
                offset += len(piece)
        except (EOFError, SftpRefused) as over:
            if isinstance(over, SftpRefused) and over.code != END_OF_FILE:
                raise
        finally:
            file.close().addErrback(lambda _: None)


async def _done(step: str, path: str, asked: Deferred[Any]) -> Any:
    try:
        return await asked
    except SftpStatus as error:
        _refuse(step, path, error)


def _refuse(step: str, path: str, error: BaseException | None) -> None:
    if isinstance(error, SftpStatus):
        raise SftpRefused(step, path, error.code, error.said) from None
    assert error is not None
    raise error
