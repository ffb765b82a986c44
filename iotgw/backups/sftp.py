"""Backups on an SFTP server: a directory each, which gets its name when everything is in it."""

from __future__ import annotations

import posixpath
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from twisted.conch.error import ConchError
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.backups.directory import MANIFEST, PART
from iotgw.backups.pieces import PieceReader
from iotgw.connect.endpoint import in_words
from iotgw.connect.sftp_client import NO_SUCH_FILE, Files, SftpRefused
from iotgw.connect.ssh import SshSession, connect
from iotgw.connect.ssh_keys import HostKeys, load_key
from iotgw.connect.ssh_login import SshCredentials
from iotgw.core import private
from iotgw.core.backup_plan import BackupPlan
from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.ports.backups import IBackupPlace
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor

CONNECT_TIMEOUT = 20.0
DEFAULT_PORT = 22
NETWORK = (
    SftpRefused, EOFError, ConnectionClosed, ConnectError, DNSLookupError, TimeoutError, CancelledError, ConchError, OSError,
)  # fmt: skip
T = TypeVar("T")


@implementer(IBackupPlace)
class SftpPlace:
    """An `IBackupPlace` of directories on a server. Raises SettingsError."""

    def __init__(
        self, plan: BackupPlan, reactor: IReactor, connector: IConnector, pieces: PieceReader
    ) -> None:
        url = urlsplit(plan.to)
        host, port = url.hostname or "", url.port or DEFAULT_PORT
        if not host or not url.username or url.query or url.fragment:
            raise SettingsError("to", "expected sftp://user@host/path")
        if url.password:
            raise SettingsError("to", "expected the password under password, not in the URL", True)
        path = unquote(url.path)
        self.where = plan.to
        self._base = path[3:] if path.startswith("/~/") else path or "/"
        self._credentials = SshCredentials(
            unquote(url.username), plan.password, load_key(plan.private_key, plan.passphrase)
        )
        self._host_keys = HostKeys(plan.host_keys, plan.known_hosts, host, port)
        self._endpoint = connector.endpoint(host, port, CONNECT_TIMEOUT, proxy=plan.proxy)
        self._reactor = reactor
        self._timeout = plan.timeout
        self._pieces = pieces
        self._session: SshSession | None = None

    async def names(self) -> list[str]:
        """See `IBackupPlace.names`."""
        found = [name for name in await self._listed(self._base) if not name.startswith(".")]
        return sorted([name for name in found if MANIFEST in await self._listed(f"{self._base}/{name}")])

    async def send(self, name: str, folder: Path, files: Sequence[str]) -> None:
        """See `IBackupPlace.send`."""
        half = self._half(name)
        await self._make(half)
        made = {half}
        for file in files:
            path = f"{half}/{file}"
            if (below := posixpath.dirname(path)) not in made:
                made.add(below)
                await self._make(below)
            with self._pieces.of(folder / file) as read:
                await self._do(lambda sftp, path=path, read=read: sftp.write_from(path, read), is_long=True)  # type: ignore[misc]
        await self._do(lambda sftp: sftp.rename(half, f"{self._base}/{name}"))

    async def fetch(self, name: str, file: str, path: Path) -> None:
        """See `IBackupPlace.fetch`."""
        private.make_file(path)
        with path.open("wb") as copy:

            def take(piece: bytes) -> None:
                self._pieces.moved()
                copy.write(piece)

            await self._do(lambda sftp: sftp.read_into(f"{self._base}/{name}/{file}", take), is_long=True)

    async def remove(self, name: str) -> None:
        """See `IBackupPlace.remove`."""
        await self._do(lambda sftp: sftp.rename(f"{self._base}/{name}", self._half(name)))
        await self._remove(self._half(name))

    async def tidy(self, prefix: str) -> None:
        """See `IBackupPlace.tidy`."""
        for name in await self._listed(self._base):
            if name.startswith(f".{prefix}") and name.endswith(PART):
                await self._remove(f"{self._base}/{name}")

    async def close(self) -> None:
        """See `IBackupPlace.close`."""
        session, self._session = self._session, None
        if session is not None:
            session.loseConnection()
            await session.ended

    # --- the server ---

    def _half(self, name: str) -> str:
        return f"{self._base}/.{name}{PART}"

    async def _make(self, path: str) -> None:
        """Make a directory with those above it, as far as they aren't there."""
        try:
            await self._do(lambda sftp: sftp.make_folder(path))
        except _Refused as refused:
            above = posixpath.dirname(path)
            if refused.code != NO_SUCH_FILE or above in (path, "", "/"):
                raise
            await self._make(above)
            await self._do(lambda sftp: sftp.make_folder(path))

    async def _listed(self, path: str) -> list[str]:
        """The names in a directory; none where it is not there, or is none."""
        try:
            return await self._do(lambda sftp: sftp.names(path))
        except _Refused as refused:
            if refused.step == "opendir":
                return []
            raise

    async def _remove(self, path: str) -> None:
        """Remove a directory with all that is in it; backups have directories of files only."""
        for name in await self._listed(path):
            inner = f"{path}/{name}"
            below = await self._listed(inner)
            for each in below:
                await self._do(lambda sftp, each=each, inner=inner: sftp.remove(f"{inner}/{each}"))  # type: ignore[misc]
            try:
                await self._do(lambda sftp, inner=inner: sftp.remove(inner))  # type: ignore[misc]
            except _Refused:
                await self._do(lambda sftp, inner=inner: sftp.remove_folder(inner))  # type: ignore[misc]
        await self._do(lambda sftp: sftp.remove_folder(path))

    async def _do(self, step: Callable[[Files], Awaitable[T]], is_long: bool = False) -> T:
        """One step on the server. Raises Unavailable. A long one may take long, but not stand still: its reader and writer watch that."""

        async def do() -> T:
            if self._session is None:
                self._session = await connect(self._endpoint, self._credentials, self._host_keys)
            return await step(self._session.files)

        doing: Deferred[Any] = Deferred.fromCoroutine(do())
        if not is_long:
            doing.addTimeout(self._timeout, self._reactor)
        else:
            self._pieces.watch(doing, self._timeout)
        try:
            found: T = await doing
        except SftpRefused as refused:
            raise _Refused(refused) from refused
        except Unavailable:
            await self._abort()
            raise
        except NETWORK as error:
            await self._abort()
            said = in_words(Failure(error))
            if isinstance(error, TimeoutError | CancelledError):
                said = f"no progress within {self._timeout:g} s"
            raise Unavailable(f"{self.where}: {said}") from error
        return found

    async def _abort(self) -> None:
        session, self._session = self._session, None
        if session is not None and session.transport is not None:
            session.transport.abortConnection()


class _Refused(Unavailable):
    """The server refused a step."""

    def __init__(self, refused: SftpRefused) -> None:
        super().__init__(str(refused))
        self.step = refused.step
        self.code = refused.code
