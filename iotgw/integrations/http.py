"""HTTP push as a target: one request per message, or batches as a JSON array or NDJSON."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw import __version__
from iotgw.connect.endpoint import Connector
from iotgw.connect.http_auth import AccessToken, Auth, Fixed, OAuth2
from iotgw.connect.http_pool import HttpPool
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext
from iotgw.core.ports.reactor import IReactor
from iotgw.core.secret_url import url_secrets
from iotgw.core.secrets import Secret, SecretUrl
from iotgw.core.verdict import DELIVERED, Delivered, Rejected, Unavailable, Verdict, unforeseen
from iotgw.integrations import payload
from iotgw.integrations.commands import MOST_ITEMS, items_of
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import NothingToSay
from iotgw.integrations.formats.table import bodies_of
from iotgw.integrations.http_answers import excerpt
from iotgw.integrations.http_judge import AnswerJudge, AnswerSettings
from iotgw.integrations.template import Template, TemplateFailed, for_header, for_url
from iotgw.wire.http1 import Response, request_head

Settle = Callable[[Sequence[int], Verdict], None]

OURS = {"host", "content-length", "transfer-encoding", "connection", "content-encoding", "idempotency-key"}
"""Headers that the gateway sets itself."""


class HttpSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """HTTP push."""

    url: Annotated[
        SecretUrl,
        Meta(
            description="A template after the host; values that are inserted are percent-encoded. Constant where `batch` is. Stored encrypted; the values of its query are shown as `***`."
        ),
    ]
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    headers: Annotated[dict[str, Secret], Meta(description="Values are templates, and secret.")] = {}
    content_type: Annotated[
        str,
        Meta(
            description="Empty: that of the format, such as `application/json`, or `application/x-ndjson` for NDJSON."
        ),
    ] = ""
    auth: Auth | None = None
    tls: ClientTls | None = None
    connect_timeout: Annotated[float, Meta(gt=0)] = 10.0
    timeout: Annotated[
        float, Meta(gt=0, description="Seconds for a whole exchange, with the response's body.")
    ] = 30.0
    concurrency: Annotated[
        int, Meta(ge=1, le=256, description="Requests under way at once; each needs a connection.")
    ] = 16
    batch: Literal["none", "array", "ndjson"] = "none"
    batch_size: Annotated[
        int,
        Meta(
            ge=1,
            le=10000,
            description="Maximum number of messages in a request. It takes what is queued and doesn't wait for more.",
        ),
    ] = 100
    gzip: bool = False
    success_codes: Annotated[
        list[int], Meta(description="Status codes that mean delivered; any 2xx when empty.")
    ] = []
    answer: Annotated[
        AnswerSettings | None,
        Meta(description="What an answer means, where the status isn't all; see below."),
    ] = None
    keep_response: Annotated[
        bool, Meta(description="Keep the last response for a person to look at (`lastResponse`).")
    ] = False
    downlinks: Annotated[
        bool,
        Meta(
            description="A response that is a downlink (an object with `msg` or `data`) is queued for the device."
        ),
    ] = False

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`: both servers, as the token of the one goes to the other."""
        places = [origin(self.url, "configuration.url")]
        if isinstance(self.auth, OAuth2):
            places.append(origin(self.auth.token_url, "configuration.auth.tokenUrl"))
        return places, trust(self.tls or ClientTls()) if any(
            scheme == "https" for scheme, _, _ in places
        ) else None


@implementer(IIntegration)
class HttpTarget:
    """Posts; see `HttpSettings`."""

    def __init__(self, settings: HttpSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        names = RecordNames(context.epochs, context.datasource_name)
        self._key = names.key
        self._payload = payload.formatter(context.spec, names, context.warn)
        self._bodies = bodies_of(context.spec.format)
        self._inflight = 0
        self._delivered: dict[Settle, list[int]] = {}
        """Positions delivered in this turn of the reactor, by the function to call."""
        self._last_error = ""
        self.whole = settings.batch != "none"
        self.max_batch = settings.batch_size if self.whole else settings.concurrency
        secure, host, port, netloc, path = _parts(settings.url)
        reactor = context.reactor
        tls = (settings.tls or ClientTls()) if secure else None
        way = connector.endpoint(host, port, settings.connect_timeout, tls, "tls")
        self._auth = (
            AccessToken(settings.auth, reactor, settings.tls, connector)
            if isinstance(settings.auth, OAuth2)
            else Fixed(settings.auth)
        )
        self._path = Template(path, "configuration.url", names, for_url)
        self._headers = [
            (name, Template(value, f"configuration.headers.{name}", names, for_header))
            for name, value in settings.headers.items()
        ]
        for name, value in self._headers:
            if name.lower() in OURS or not name.replace("-", "").replace("_", "").isalnum():
                raise SettingsError(f"configuration.headers.{name}", "this header is set by the gateway")
            if self.whole and value.constant is None:
                raise SettingsError(
                    f"configuration.headers.{name}", "expected no template where messages go in batches"
                )
        if self.whole and self._path.constant is None:
            raise SettingsError("configuration.url", "expected no template where messages go in batches")
        self._netloc = netloc
        words = [value.split()[-1] for value in settings.headers.values() if value.strip()]
        self._secrets = [*settings.headers.values(), *words, *url_secrets(settings.url), *self._auth.secrets]
        try:
            self._fixed = self._head(None) if self._is_fixed else b""
        except TemplateFailed as error:
            raise SettingsError("configuration", str(error))

        self._judge = AnswerJudge(
            settings.answer, settings.success_codes, bool(self._fixed), self._excerpt, context.date
        )
        self._pool = HttpPool(reactor, way, settings.concurrency, settings.timeout, self._judge.kept)

    @property
    def _is_fixed(self) -> bool:
        return self._path.constant is not None and all(
            value.constant is not None for _, value in self._headers
        )

    # --- IIntegration

    @property
    def capacity(self) -> int:
        """Records in flight, plus a batch for each free connection."""
        return self._inflight + self._pool.spare * (self.max_batch if self.whole else 1)

    def start(self) -> Deferred[None]:
        """Nothing to do: connections are made on demand."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the connections."""
        self._auth.close()
        return self._pool.close()

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Post each record, or all in one request."""
        if self._auth.ready():
            self._send(records, settle)
            return

        def refreshed(problem: str) -> None:
            if problem:
                settle([record.seq for record in records], Unavailable(problem))
                return
            try:
                self._send(records, settle)
            except Exception as error:
                settle([record.seq for record in records], unforeseen("sending", error))

        self._auth.refresh(refreshed)

    def check(self) -> Deferred[dict[str, Any]]:
        """Send OPTIONS with our credentials."""
        done: Deferred[dict[str, Any]] = Deferred()

        def ask(problem: str) -> None:
            if problem:
                done.callback({"ok": False, "detail": problem})
                return
            path = self._path.constant or "/"
            head = request_head(
                "OPTIONS", path, [("Host", self._netloc), ("User-Agent", f"iotgw/{__version__}")]
            )
            self._pool.request(head + self._auth.header + b"Content-Length: 0\r\n\r\n", answered)

        def answered(response: Response | None, reason: str) -> None:
            if response is None:
                done.callback({"ok": False, "detail": reason})
            else:
                good = response.status < 500 and response.status not in (401, 403, 407)
                done.callback({"ok": good, "detail": f"HTTP {response.status} to OPTIONS"})

        self._auth.refresh(ask)
        return done

    def status(self) -> dict[str, Any]:
        """Connections come and go, so only the last error is shown."""
        return {
            "state": "connected" if self._pool.connected else "idle",
            "connections": self._pool.connected,
            "lastError": self._last_error or None,
        }

    def _send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        if self.whole:
            self._send_batch(records, settle)
            return
        for record in records:
            try:
                body = self._payload(record)
                head = self._fixed or self._head(record)
            except NothingToSay:
                settle([record.seq], DELIVERED)
                continue
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
                continue
            key = b"Idempotency-Key: %b\r\n" % self._key(record).encode()
            self._request([record], head + key, body, settle)

    def _send_batch(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        good, bodies = [], []
        for record in records:
            try:
                bodies.append(self._payload(record))
                good.append(record)
            except NothingToSay:
                settle([record.seq], DELIVERED)
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
        if not good:
            return
        self._request(good, self._fixed, self._bodies.joined(bodies, self._settings.batch), settle)

    def _request(self, records: Sequence[TelemetryRecord], head: bytes, body: bytes, settle: Settle) -> None:
        if self._settings.gzip:
            body = _gzip(body)
        self._inflight += len(records)

        def answered(response: Response | None, reason: str) -> None:
            try:
                outcomes = self._outcomes(records, response, reason)
            except Exception as error:
                outcomes = [(records, unforeseen("reading the answer", error))]
            for some, verdict in outcomes:
                self._settle(some, settle, verdict)

        self._pool.request(
            b"%b%bContent-Length: %d\r\n\r\n%b" % (head, self._auth.header, len(body), body), answered
        )  # fmt: skip

    def _head(self, record: TelemetryRecord | None) -> bytes:
        """Request line and headers; ``record`` is None when nothing depends on it. Raises TemplateFailed."""
        settings = self._settings

        def text(template: Template) -> str:
            return template.constant or "" if record is None else template.text(record)

        kind = settings.content_type or self._bodies.media_type(settings.batch)
        headers = [("Host", self._netloc), ("User-Agent", f"iotgw/{__version__}"), ("Content-Type", kind)]
        headers += [(name, text(value)) for name, value in self._headers]
        if settings.gzip:
            headers.append(("Content-Encoding", "gzip"))
        try:
            return request_head(
                settings.method, quote(text(self._path), safe="/?&=%:@!$'()*+,;~-._"), headers
            )
        except ValueError as error:
            raise TemplateFailed(str(error)) from error

    # --- responses

    def _settle(self, records: Sequence[TelemetryRecord], settle: Settle, verdict: Verdict) -> None:
        """Report the outcome of records. Deliveries by several responses in one turn of the reactor are
        reported together, since choosing what to send next costs more than a request."""
        self._inflight -= len(records)
        seqs = [record.seq for record in records]
        if verdict is not DELIVERED:
            settle(seqs, verdict)
            return
        if not self._delivered:
            self._context.reactor.callLater(0, self._tell_delivered)
        self._delivered.setdefault(settle, []).extend(seqs)

    def _tell_delivered(self) -> None:
        delivered, self._delivered = self._delivered, {}
        for settle, seqs in delivered.items():
            settle(seqs, DELIVERED)

    def _outcomes(
        self, records: Sequence[TelemetryRecord], response: Response | None, reason: str
    ) -> list[tuple[Sequence[TelemetryRecord], Verdict]]:
        if response is None:
            self._last_error = reason
            return [(records, Unavailable(reason))]
        if response.status == 401:
            self._auth.refused()
        outcomes = self._judge.outcomes(response, records)
        for number, (some, verdict) in enumerate(outcomes):
            if not isinstance(verdict, Delivered):
                self._last_error = verdict.reason
                continue
            if self._settings.downlinks and response.body:
                self._take_downlinks(some, response.body)
            if self._settings.keep_response:
                said = f"HTTP {response.status} {self._excerpt(response.body)}"
                outcomes[number] = some, Delivered(said)
        return outcomes

    def _excerpt(self, body: bytes) -> str:
        """What a response says, without our own secrets: some servers return what they were sent."""
        return excerpt(body, [*self._secrets, *self._auth.header.decode().split()[-1:]])

    def _take_downlinks(self, records: Sequence[TelemetryRecord], body: bytes) -> None:
        context = self._context
        if context.downlink is not None:
            device = records[0].device_name if len(records) == 1 else ""
            most = max(MOST_ITEMS, len(records))  # one for each message, at least
            items, more = items_of(body, device, most)
            for name, item in items:
                context.downlink(context.tenant, name, item)
            if more:
                self._last_error = f"expected at most {most} downlinks in a response, got {most + more}"
                context.event("downlink.refused", self._last_error, "warning", refused=more)


def _gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(5, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def _parts(url: str) -> tuple[bool, str, int, str, str]:
    """``(secure, host, port, netloc, path with query)`` of a URL template; raises SettingsError."""
    scheme, host, port = origin(url, "configuration.url")
    rest = url.partition("://")[2]
    netloc = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = rest[len(netloc) :] or "/"
    return scheme == "https", host, port, netloc, path if path[0] == "/" else f"/{path}"


@implementer(IIntegrationType)
class HttpType:
    """The type ``http``. Its targets are reached by ``connector``; without one, ``forbid`` are the
    networks that no target may be in (see `iotgw.connect.forbidden`)."""

    name = "http"
    settings = HttpSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: HttpSettings, context: IntegrationContext) -> HttpTarget:
        """A target; raises SettingsError."""
        return HttpTarget(settings, context, self._connector)
