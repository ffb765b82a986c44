"""SFTP as a target: a file per message, per batch, or per scheduled run.

A file is written under a temporary name, synced if the server supports it, and renamed. So no partial file ever
appears under the final name.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from twisted.conch.error import ConchError
from twisted.conch.ssh.filetransfer import (
    FX_NO_SUCH_FILE,
    FXF_CREAT,
    FXF_TRUNC,
    FXF_WRITE,
    SFTPError,
)
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredLock,
    FirstError,
    TimeoutError,
    gatherResults,
    succeed,
)
from twisted.internet.error import ConnectError, ConnectionClosed, DNSLookupError
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.endpoint import Connector, in_words
from iotgw.connect.ssh import Files, HostKeys, SshCredentials, SshSession, connect, load_key
from iotgw.core.errors import SettingsError
from iotgw.core.errors import Unavailable as UnavailableError
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable, Verdict, unforeseen
from iotgw.integrations import payload
from iotgw.integrations.cron import Cron
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.files import Columns, csv_file, json_file, ndjson_file
from iotgw.integrations.sftp_settings import SftpSettings
from iotgw.integrations.template import Template, TemplateFailed, for_path

Settle = Callable[[Sequence[int], Verdict], None]

CHUNK = 32768
"""Bytes of a write; every server must accept that much (draft-ietf-secsh-filexfer-02 §6.4)."""
PIPELINED = 16
"""Writes under way at once."""
LONGEST_SLEEP = 60.0
"""Seconds between two looks at the date, while a run is not due."""
WINDOW = 60.0
"""Seconds that a scheduled run waits for something to send."""
PATHS = {
    "message": "{{ deviceName }}/{{ key }}",
    "batch": "{{ file }}",
    "schedule": "{{ file }}",
}
REFUSED = (SFTPError, NotImplementedError, EOFError)
"""What conch makes of a server's status codes: two of them have exceptions of their own."""
NETWORK = (
    *REFUSED, ConnectionClosed, ConnectError, DNSLookupError, UnavailableError, CancelledError, TimeoutError,
    ConchError, OSError,
)  # fmt: skip


@implementer(IIntegration)
class SftpTarget:
    """Writes files; see `SftpSettings`.

    Many methods: seven are `IIntegration`'s, the others are for runs and files.
    """

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
        self._format = payload.formatter(context.spec, self._names)
        suffix = "ndjson" if settings.content == "ndjson" else settings.content
        split = "_{{ deviceType }}" if settings.content == "csv" and self.whole else ""
        path = settings.path or f"{PATHS[settings.files]}{split}.{suffix}"
        self._path = Template(path, "configuration.path", self._names, for_path)
        if self.whole and "file" not in self._path.used:
            raise SettingsError(
                "configuration.path", "expected {{ file }}, else one batch would replace another"
            )
        if self.whole and settings.content == "csv" and "deviceType" not in self._path.used:
            raise SettingsError("configuration.path", "expected {{ deviceType }}: CSV has a file for each")
        self._columns = Columns(f"{context.data_dir}/sftp-{context.id}.json" if context.data_dir else "")
        self._credentials = SshCredentials(
            settings.username, settings.password, load_key(settings.private_key, settings.passphrase)
        )
        self._host_keys = HostKeys(settings.host_keys, settings.known_hosts, settings.host, settings.port)
        self._endpoint = connector.endpoint(settings.host, settings.port, settings.connect_timeout)
        self._session: SshSession | None = None
        self._connecting = DeferredLock()
        self._cron = (
            Cron(settings.schedule, "configuration.schedule") if settings.files == "schedule" else None
        )
        self._alarm: Any = None
        self._next = 0.0
        """The date of the next run, in seconds since 1970."""
        self._run = ""
        self._comes_again = False
        """Whether a run may have had this name before, because the machine's clock was set back."""
        self._part = 0
        self._closes = 0.0
        self._made: set[str] = set()

    # --- IIntegration

    @property
    def capacity(self) -> int:
        """One batch at a time, and none outside of a scheduled run."""
        if not self.whole:
            return self._settings.concurrency
        if self._inflight or (self._cron is not None and not self._run):
            return self._inflight
        return self.max_batch

    def start(self) -> Deferred[None]:
        """Nothing to do: it connects when there is something to write."""
        self._set_alarm()
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the connection."""
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
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
        """Connect and log in."""

        async def knock() -> dict[str, Any]:
            session = await connect(self._endpoint, self._credentials, self._host_keys)
            session.loseConnection()
            return {"ok": True, "detail": f"logged in as {self._settings.username}"}

        knocking = Deferred.fromCoroutine(knock())
        knocking.addTimeout(self._settings.connect_timeout * 2, self._reactor)
        return knocking.addErrback(lambda failure: {"ok": False, "detail": in_words(failure)})

    def status(self) -> dict[str, Any]:
        """Whether a session is open, and when the next scheduled run is (milliseconds since 1970)."""
        return {
            "state": "connected" if self._session is not None else "idle",
            "nextRun": int(self._next * 1000) if self._alarm and self._alarm.active() else None,
            "lastError": self._last_error or None,
        }

    # --- scheduled runs

    def _set_alarm(self) -> None:
        """Look again when the next run is due, or earlier: the date may jump meanwhile."""
        if self._cron is not None:
            date = self._context.date()
            self._next = self._cron.next(date)
            self._alarm = self._reactor.callLater(min(self._next - date, LONGEST_SLEEP), self._wake)

    def _wake(self) -> None:
        is_due = self._context.date() >= self._next
        if is_due:
            self._begin_run()
        self._set_alarm()

    def _begin_run(self) -> None:
        now = self._reactor.seconds()
        self._run = datetime.fromtimestamp(self._context.date(), UTC).strftime("%Y-%m-%d_%H-%M")
        self._comes_again = self._context.comes_again()
        self._part = 1
        self._closes = now + WINDOW
        self._reactor.callLater(WINDOW, self._end_run, now)
        self._context.available()

    def _end_run(self, begun: float) -> None:
        """No record came for a while: end the run. A failed run goes on until it succeeds or the next one
        begins."""
        if self._reactor.seconds() >= self._closes and not self._inflight and not self._last_error:
            self._run = ""

    def _ran(self, count: int) -> None:
        """A file of the run is written; a short one is the last."""
        self._part += 1
        if count < self.max_batch:
            self._run = ""

    # --- files

    def _send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        good: dict[str, list[TelemetryRecord]] = {}
        bad: list[tuple[int, str]] = []
        name = self._file_name(records[0])
        for record in records:
            try:
                good.setdefault(self._path.text(record, {"file": name}), []).append(record)
            except TemplateFailed as error:
                bad.append((record.seq, str(error)))
        seqs = [record.seq for group in good.values() for record in group]

        def done(result: Any) -> None:
            try:
                verdict = self._failed(result) if isinstance(result, Failure) else DELIVERED
            except Exception as error:
                verdict = unforeseen("reading the answer", error)
            self._inflight -= len(records)
            if verdict is DELIVERED:
                self._last_error = ""
                if self._cron is not None:
                    self._ran(len(records))
            for seq, problem in bad:
                settle([seq], Rejected(problem))
            if seqs:
                settle(seqs, verdict)

        self._inflight += len(records)
        writing = Deferred.fromCoroutine(self._write_all(good))
        writing.addTimeout(self._settings.timeout, self._reactor, self._too_slow)
        writing.addBoth(done).addErrback(
            lambda failure: self._log.failure("the result of a file could not be processed", failure)
        )

    def _file_name(self, record: TelemetryRecord) -> str:
        if self._run:
            part = record.seq if self._comes_again else self._part
            return self._run if part == 1 else f"{self._run}_{part}"
        moment = datetime.fromtimestamp(record.received_ms / 1000, UTC)
        return f"{moment:%Y-%m-%d_%H-%M-%S}_{self._names.number(record)}"

    def _too_slow(self, result: Any, timeout: float) -> Any:
        if self._session is not None and self._session.transport is not None:
            self._session.transport.abortConnection()
        self._session = None
        raise UnavailableError(f"not written within {timeout:g} s")

    def _failed(self, failure: Failure) -> Verdict:
        if failure.check(TemplateFailed):
            return Retry(failure.getErrorMessage())
        if failure.check(*NETWORK):
            self._last_error = in_words(failure)
            return Unavailable(self._last_error)
        self._log.failure("a file could not be written", failure)
        return Retry(f"{type(failure.value).__name__}: {failure.getErrorMessage()}")

    async def _write_all(self, groups: dict[str, list[TelemetryRecord]]) -> None:
        if groups:
            files = await self._connected()
            for path, records in groups.items():
                await self._write(files, path, self._content(records))

    def _content(self, records: Sequence[TelemetryRecord]) -> bytes:
        if self._settings.content == "csv":
            return csv_file(records, self._columns)
        if self._settings.content == "ndjson":
            return ndjson_file(records, self._format)
        return json_file(records, self._format) if self.whole else self._format(records[0])

    async def _connected(self) -> Files:
        """The server's files, over one connection that is made on demand."""
        await self._connecting.acquire()
        try:
            if self._session is None:
                session = await connect(self._endpoint, self._credentials, self._host_keys)
                self._session = session
                self._made.clear()
                session.ended.addCallback(lambda _: self._forget(session))
            return self._session.files
        finally:
            self._connecting.release()

    def _forget(self, session: SshSession) -> None:
        if self._session is session:
            self._session = None

    async def _write(self, files: Files, path: str, content: bytes) -> None:
        folder, name = posixpath.split(path)
        final = path.encode()
        temporary = posixpath.join(folder, f".{name}.part").encode()
        file = await self._open(files, temporary, folder)
        try:
            for start in range(0, len(content), CHUNK * PIPELINED):
                piece = range(start, min(start + CHUNK * PIPELINED, len(content)), CHUNK)
                writes = [file.writeChunk(at, content[at : at + CHUNK]) for at in piece]
                try:
                    await gatherResults(writes, consumeErrors=True)
                except FirstError as error:
                    error.subFailure.raiseException()
            await files.sync(file)
            await file.close()
            await files.replace(temporary, final)
        except REFUSED:
            files.removeFile(temporary).addErrback(lambda _: None)  # as good as it goes
            raise

    async def _open(self, files: Files, path: bytes, folder: str) -> Any:
        flags = FXF_WRITE | FXF_CREAT | FXF_TRUNC
        try:
            return await files.openFile(path, flags, {})
        except SFTPError as error:
            if error.code != FX_NO_SUCH_FILE or not folder:
                raise
        await self._make_folders(files, folder)
        return await files.openFile(path, flags, {})

    async def _make_folders(self, files: Files, folder: str) -> None:
        parts = folder.split("/")
        for end in range(1, len(parts) + 1):
            part = "/".join(parts[:end])
            if part and part not in self._made:
                with contextlib.suppress(SFTPError):  # it exists already, or else opening the file will fail
                    await files.makeDirectory(part.encode(), {})
                self._made.add(part)


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
