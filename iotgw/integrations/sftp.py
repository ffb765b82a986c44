"""SFTP as a target: a file per message, per batch, or per scheduled run.

How a file gets to its place is told in `iotgw.integrations.sftp_placing`. A refusal is the server's fault, unless it
takes a file elsewhere: then it's the message's, and other devices' files go on.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.conch.error import ConchError
from twisted.internet.defer import CancelledError, Deferred, DeferredLock, TimeoutError, succeed
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.endpoint import Connector, in_words
from iotgw.connect.sftp_client import Files, SftpRefused
from iotgw.connect.ssh import SshSession, connect
from iotgw.connect.ssh_keys import HostKeys, load_certificate, load_key
from iotgw.connect.ssh_login import SshCredentials
from iotgw.core.errors import Unavailable as UnavailableError
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable, Verdict, unforeseen
from iotgw.integrations import trial
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import NothingToSay
from iotgw.integrations.sftp_content import Content, Entries
from iotgw.integrations.sftp_placing import Placing
from iotgw.integrations.sftp_room import STEPS, ServerRoom
from iotgw.integrations.sftp_runs import Runs
from iotgw.integrations.sftp_settings import SftpSettings
from iotgw.integrations.template import Template, TemplateFailed, for_path

Settle = Callable[[Sequence[int], Verdict], None]

CHECKED = b"iotgw checks whether it can write here\n"
KNOWN_GOOD = 3
"""Folders that are remembered because they took a file."""
NETWORK = (
    SftpRefused, EOFError, ConnectionClosed, ConnectError, DNSLookupError, UnavailableError, CancelledError,
    TimeoutError, ConchError, OSError,
)  # fmt: skip


@implementer(IIntegration)
class SftpTarget:
    """Writes files; see `SftpSettings`."""

    _log = Logger()

    def __init__(self, settings: SftpSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        self._reactor = context.reactor
        self.whole = settings.files != "message"
        self.max_batch = settings.batch_size if self.whole else settings.concurrency
        self._inflight = 0
        self._last_error = ""
        self._names = RecordNames(context.epochs, context.datasource_name)
        self._content = Content(settings, context, self._names)
        self._path = Template(self._content.path, "configuration.path", self._names, for_path)
        self._content.check(self._path.used)
        self._base = posixpath.dirname(self._content.path.partition("{")[0])
        """The folder that all files are in, or below."""
        self._zone = self._content.zone if {"date", "time"} & self._path.used else None
        """The time zone of dates in paths, where it isn't UTC."""
        key = load_key(settings.private_key, settings.passphrase)
        self._credentials = SshCredentials(
            settings.username, settings.password, key, load_certificate(settings.certificate, key)
        )
        self._host_keys = HostKeys(settings.host_keys, settings.known_hosts, settings.host, settings.port)
        self._endpoint = connector.endpoint(
            settings.host, settings.port, settings.connect_timeout, proxy=settings.proxy
        )
        self._session: SshSession | None = None
        self._is_stopped = False
        self._connecting = DeferredLock()
        self._turns: dict[str, DeferredLock] = {}
        """The paths that are being written."""
        self._placing = self._new_placing()
        self._room = ServerRoom()
        self._lacks: dict[str, str] = {}
        self._good: list[str] = []
        """Folders that took a file, the latest first."""
        self._runs = (
            Runs(settings.schedule, context, lambda: bool(self._inflight or self._last_error))
            if settings.files == "schedule"
            else None
        )

    # --- IIntegration

    @property
    def capacity(self) -> int:
        """One batch at a time, and none outside of a scheduled run."""
        if not self.whole:
            return self._settings.concurrency
        if self._inflight or (self._runs is not None and not self._runs.is_open):
            return self._inflight
        return self.max_batch

    def start(self) -> Deferred[None]:
        """Nothing to do: it connects when there is something to write."""
        if self._runs is not None:
            self._runs.start()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the connection."""
        self._is_stopped = True
        if self._runs is not None:
            self._runs.stop()
        session, self._session = self._session, None
        if session is None:
            return succeed(None)
        session.loseConnection()
        return session.ended

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Write each record to its own file, or all to shared ones."""
        for group in [records] if self.whole else [[record] for record in records]:
            self._send(group, settle)

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect, log in, and write, rename, read back and remove a file."""
        knocking = Deferred.fromCoroutine(self._knock())
        knocking.addTimeout(self._settings.connect_timeout * 2, self._reactor)
        return knocking.addErrback(lambda failure: {"ok": False, "detail": in_words(failure)})

    def status(self) -> dict[str, Any]:
        """Whether a session is open and by which algorithms, when the next scheduled run is (milliseconds since 1970), and
        what the server turned out to lack."""
        return {
            "state": "connected" if self._session is not None else "idle",
            "nextRun": self._runs.next_ms if self._runs is not None else None,
            "lacks": dict(self._lacks),
            "algorithms": self._session.algorithms if self._session is not None else [],
            "lastError": self._last_error or None,
        }

    def _new_placing(self) -> Placing:
        settings = self._settings
        return Placing(settings.temporary, settings.marker, settings.append)

    async def _knock(self) -> dict[str, Any]:
        folder = self._good[0] if self._good else self._base
        name = f"logged in as {self._settings.username}"
        placing = self._new_placing()
        session, mine = None, self._session
        try:
            session = await connect(self._endpoint, self._credentials, self._host_keys)
        except NETWORK as error:
            if mine is None or mine is not self._session:
                raise
            # a server may allow one connection only
            name = f"connected; a second connection failed ({in_words(Failure(error))})"
        files = (session or mine).files  # type: ignore[union-attr]
        try:
            await placing.try_out(files, folder, CHECKED)
        except SftpRefused as refused:
            return {"ok": False, "detail": f"{name}, but {refused}"}
        finally:
            if session is not None:
                session.loseConnection()
        how = "in place" if placing.writes_in_place(files, folder) else "and renamed"
        said = f"{name}; wrote {how}, read back and removed a file in {folder or 'the login directory'}"
        lacks = f"; the server lacks {', '.join(sorted(files.lacks))}" if files.lacks else ""
        return {"ok": True, "detail": said + lacks}

    # --- files

    def _send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        groups: dict[str, list[tuple[TelemetryRecord, bytes]]] = {}
        unwritten: list[tuple[int, Verdict]] = []
        name = self._file_name(records[0])
        for record in records:
            named = {"file": name}
            if self._zone is not None:
                received = datetime.fromtimestamp(record.received_ms / 1000, self._zone)
                named |= {"date": f"{received:%Y-%m-%d}", "time": f"{received:%H-%M-%S}"}
            try:
                entry = record, self._content.document(record)
                groups.setdefault(self._path.text(record, named), []).append(entry)
            except NothingToSay:
                unwritten.append((record.seq, DELIVERED))
            except TemplateFailed as error:
                unwritten.append((record.seq, Rejected(str(error))))
        verdicts: dict[str, Verdict] = {}

        if groups and (shown := self._context.shown(records)) is not None:
            settle = self._shown(groups, shown, settle)

        def done(result: Any) -> None:
            try:
                rest = self._failed(result) if isinstance(result, Failure) else DELIVERED
            except Exception as error:
                rest = unforeseen("reading the answer", error)
            outcomes = [(group, verdicts.get(path, rest)) for path, group in groups.items()]
            self._inflight -= len(records)
            self._wrote(outcomes, len(records))
            for seq, verdict in unwritten:
                settle([seq], verdict)
            for group, verdict in outcomes:
                settle([record.seq for record, _ in group], verdict)

        self._inflight += len(records)
        writing = Deferred.fromCoroutine(self._write_all(groups, verdicts))
        writing.addBoth(done).addErrback(
            lambda failure: self._log.failure("the result of a file could not be processed", failure)
        )

    def _shown(self, groups: Mapping[str, Entries], of: TelemetryRecord, settle: Settle) -> Settle:
        """Settle records, and show for one of them the files as they are before compression and encryption."""
        how = "APPEND" if self._settings.append else "WRITE"
        files = [
            f"{how} {path}\n\n{trial.text(self._content.text(entries))}" for path, entries in groups.items()
        ]
        return trial.showing(self._context.show, of, "\n\n".join(files), "written", settle)

    def _file_name(self, record: TelemetryRecord) -> str:
        run = self._runs.file_name(record) if self._runs is not None else ""
        if run:
            return run
        moment = datetime.fromtimestamp(record.received_ms / 1000, UTC)
        return f"{moment:%Y-%m-%d_%H-%M-%S}_{self._names.number(record)}"

    def _wrote(self, outcomes: Sequence[tuple[object, Verdict]], count: int) -> None:
        """Note how a send went. A run goes on with another name as soon as one of its files is there."""
        is_whole = all(verdict is DELIVERED for _, verdict in outcomes)
        if is_whole:
            self._last_error = ""
        if self._runs is not None and any(verdict is DELIVERED for _, verdict in outcomes):
            self._runs.wrote(is_last=is_whole and count < self.max_batch)

    def _too_slow(self, result: Any, timeout: float) -> Any:
        if self._session is not None and self._session.transport is not None:
            self._session.transport.abortConnection()
        self._session = None
        raise UnavailableError(f"not written within {timeout:g} s")

    def _failed(self, failure: Failure) -> Verdict:
        if failure.check(*NETWORK):
            self._last_error = in_words(failure)
            return Unavailable(self._last_error)
        self._log.failure("a file could not be written", failure)
        return Retry(f"{type(failure.value).__name__}: {failure.getErrorMessage()}")

    async def _write_all(self, groups: Mapping[str, Entries], verdicts: dict[str, Verdict]) -> None:
        """Write a file for each group. What is said here of a group is its verdict; an exception is about the others."""
        for path, entries in groups.items():
            writing = Deferred.fromCoroutine(self._write(path, entries))
            verdicts[path] = await writing.addTimeout(self._settings.timeout, self._reactor, self._too_slow)

    async def _write(self, path: str, entries: Entries) -> Verdict:
        files = await self._connected()
        appends = self._settings.append
        content = b"" if appends else self._content.file(path, entries)
        folder = posixpath.dirname(path)
        size = len(content)

        def addition(end: bytes) -> bytes:
            if not self._context.is_ours():  # where the file ends may be out of date
                raise UnavailableError("another node delivers now")
            nonlocal size
            added = self._content.addition(entries, end)
            size = len(added)
            return added

        turn = self._turns.setdefault(path, DeferredLock())
        await turn.acquire()  # two devices may have the same path
        try:
            if appends:
                await self._placing.append(files, path, addition)
            else:
                await self._placing.put(files, path, content)
        except SftpRefused as refused:
            return await self._judged(files, folder, refused, content, size)
        finally:
            turn.release()
            if not turn.waiting:
                self._turns.pop(path, None)
        self._room.took(size)
        if self._good[:1] != [folder]:
            self._good = [folder, *(each for each in self._good if each != folder)][:KNOWN_GOOD]
        return DELIVERED

    async def _judged(
        self, files: Files, folder: str, refused: SftpRefused, content: bytes, size: int
    ) -> Verdict:
        """Whose fault a refusal is. Without room it's the server's. Where the server takes a file in any folder, it's the message's."""
        self._last_error = str(refused)

        async def takes(probe: bytes) -> bool:
            return await self._placing.takes(files, folder, probe)

        if await self._room.is_used_up(files, folder, refused, size, takes):
            return Unavailable(
                f"{self._last_error}; the server has no room for {size} bytes", is_certain=True
            )
        probe = content if refused.step in STEPS else b""
        for other in dict.fromkeys([folder, *self._good, self._base]):
            if await self._placing.takes(files, other, probe):
                return Retry(self._last_error)
        return Unavailable(self._last_error)

    async def _connected(self) -> Files:
        """The server's files, over one connection that is made on demand."""
        await self._connecting.acquire()
        try:
            if self._session is None:
                session = await connect(self._endpoint, self._credentials, self._host_keys)
                if self._is_stopped:
                    session.loseConnection()
                    raise UnavailableError("stopped")
                self._session = session
                self._placing.begin()
                self._lacks = session.files.lacks
                session.ended.addCallback(lambda _: self._forget(session))
            return self._session.files
        finally:
            self._connecting.release()

    def _forget(self, session: SshSession) -> None:
        if self._session is session:
            self._session = None


@implementer(IIntegrationType)
class SftpType:
    """The type ``sftp``. Its targets are reached by ``connector``; without one, ``forbid`` are the
    networks that no target may be in (see `iotgw.connect.forbidden`)."""

    name = "sftp"
    settings = SftpSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: SftpSettings, context: IntegrationContext) -> SftpTarget:
        """A target; raises SettingsError."""
        return SftpTarget(settings, context, self._connector)
