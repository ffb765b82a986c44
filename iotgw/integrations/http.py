"""HTTP push as a target: one request per message, or batches as a JSON array or NDJSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw import __version__
from iotgw.connect.endpoint import Connector
from iotgw.connect.http_auth import OAuth2, authenticator
from iotgw.connect.http_pool import HttpPool
from iotgw.connect.http_probe import Probed, probe
from iotgw.connect.tls import ClientTls
from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Queued
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Delivered, Rejected, Unavailable, Verdict, unforeseen
from iotgw.integrations.commands import MOST_ITEMS, Items, items_of
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.formats.readings import NothingToSay
from iotgw.integrations.http_answers import excerpt
from iotgw.integrations.http_check import judged
from iotgw.integrations.http_judge import AnswerJudge
from iotgw.integrations.http_request import RequestMaker, server, texts_with_secrets
from iotgw.integrations.http_settings import HttpSettings
from iotgw.integrations.http_shown import ShownExchanges
from iotgw.integrations.incoming import PATIENCE, Incoming, verdict_of
from iotgw.integrations.template import TemplateFailed
from iotgw.wire.http1 import Response, request_head

Settle = Callable[[Sequence[int], Verdict], None]
Outcomes = list[tuple[Sequence[TelemetryRecord], Verdict]]


@implementer(IIntegration)
class HttpTarget:
    """Posts; see `HttpSettings`."""

    def __init__(self, settings: HttpSettings, context: IntegrationContext, connector: IConnector) -> None:
        self._settings = settings
        self._context = context
        self._names = names = RecordNames(context.epochs, context.datasource_name)
        self._inflight = 0
        self._incoming = Incoming(context)
        self._delivered: dict[Settle, list[int]] = {}
        """Positions delivered in this turn of the reactor, by the function to call."""
        self._last_error = ""
        self.whole = settings.batch != "none"
        self.max_batch = settings.batch_size if self.whole else settings.concurrency
        self._server = to = server(settings.url)
        reactor = context.reactor
        tls = (settings.tls or ClientTls()) if to.is_secure else None
        self._way = connector.endpoint(to.host, to.port, settings.connect_timeout, tls, "tls", settings.proxy)
        self._auth = authenticator(
            settings.auth, reactor, settings.tls, connector, context.date, settings.proxy
        )
        self._requests = RequestMaker(settings, context.spec, names, self._auth, context.warn)
        self._secrets = [*texts_with_secrets(settings), *self._auth.secrets]
        is_fixed = self._requests.goes_to_one_place
        self._judge = AnswerJudge(
            settings.answer, settings.success_codes, is_fixed, self._excerpt, context.date
        )
        self._pool = HttpPool(reactor, self._way, settings.concurrency, settings.timeout, self._judge.kept)

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
        self._incoming.close()
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
        """Get a token where there is one to get, connect, and send OPTIONS with our credentials."""
        done: Deferred[dict[str, Any]] = Deferred()

        def ask(problem: str) -> None:
            if problem:
                done.callback({"ok": False, "detail": problem, "untried": ["the target itself"]})
                return
            path = self._requests.path or "/"
            head = request_head(
                "OPTIONS", path, [("Host", self._server.netloc), ("User-Agent", f"iotgw/{__version__}")]
            )
            asked = head + self._auth.sign(head, b"") + b"Content-Length: 0\r\n\r\n"
            probe(self._context.reactor, self._way, asked, self._settings.timeout).addCallback(answered)

        def answered(probed: Probed) -> None:
            auth = self._settings.auth
            brings = (
                "" if auth is None else "the token is" if isinstance(auth, OAuth2) else "the credentials are"
            )
            is_constant = bool(self._requests.path)
            done.callback(judged(probed, brings, self._settings.method, is_constant))

        self._auth.refresh(ask)
        return done

    def status(self) -> dict[str, Any]:
        """Connections come and go, so only the last error is shown."""
        return {
            "state": "connected" if self._pool.connected else "idle",
            "connections": self._pool.connected,
            "lastError": self._incoming.trouble or self._last_error or None,
        }

    def _send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        if self.whole:
            self._send_batch(records, settle)
            return
        for record in records:
            try:
                head, body = self._requests.single(record)
            except NothingToSay:
                settle([record.seq], DELIVERED)
                continue
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
                continue
            self._request([record], head, body, settle)

    def _send_batch(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        good, bodies = [], []
        for record in records:
            try:
                bodies.append(self._requests.document(record))
                good.append(record)
            except NothingToSay:
                settle([record.seq], DELIVERED)
            except TemplateFailed as error:
                settle([record.seq], Rejected(str(error)))
        if not good:
            return
        self._request(good, *self._requests.batch(bodies), settle)

    def _request(self, records: Sequence[TelemetryRecord], head: bytes, body: bytes, settle: Settle) -> None:
        self._inflight += len(records)
        data = self._requests.on_wire(head, body)

        def answered(response: Response | None, reason: str) -> None:
            if (shown := self._context.shown(records)) is not None:
                self._show(records, shown, head, data, response, reason)
            downlinks: Items = []
            try:
                outcomes = self._outcomes(records, response, reason)
                if self._settings.downlinks:
                    downlinks = self._downlinks_in(response, outcomes)
            except Exception as error:
                outcomes = [(records, unforeseen("reading the answer", error))]
            if downlinks:
                self._queue(downlinks, lambda problem: settle_all(outcomes, problem))
            else:
                settle_all(outcomes, DELIVERED)

        def settle_all(outcomes: Outcomes, downlinks: Verdict) -> None:
            for some, verdict in outcomes:
                is_lacking = isinstance(verdict, Delivered) and downlinks is not DELIVERED
                self._settle(some, settle, downlinks if is_lacking else verdict)

        self._pool.request(data, answered)

    def _show(
        self,
        records: Sequence[TelemetryRecord],
        of: TelemetryRecord,
        head: bytes,
        data: bytes,
        response: Response | None,
        reason: str,
    ) -> None:
        """Show what was exchanged for records, ``of`` one of them."""
        secrets = self._all_secrets
        shown = ShownExchanges(self._settings, self._context.spec, self._names)
        try:
            request = shown.request(records, head, data, secrets)
        except TemplateFailed as error:
            request = str(error)
        self._context.show(of, request, shown.answer(response, reason, secrets))

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
    ) -> Outcomes:
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
            if self._settings.keep_response:
                said = f"HTTP {response.status} {self._excerpt(response.body)}"
                outcomes[number] = some, Delivered(said)
        return outcomes

    def _excerpt(self, body: bytes) -> str:
        """What a response says, without our own secrets: some servers return what they were sent."""
        return excerpt(body, self._all_secrets)

    @property
    def _all_secrets(self) -> list[str]:
        return [*self._secrets, *self._auth.header.decode().split()[-1:]]

    def _downlinks_in(self, response: Response | None, outcomes: Outcomes) -> Items:
        """What a response says for devices, if it accepted something."""
        taken = [some for some, verdict in outcomes if isinstance(verdict, Delivered)]
        if response is None or not response.body or not taken:
            return []
        records = taken[0]
        device = records[0].device_name if len(records) == 1 else ""
        most = max(MOST_ITEMS, len(records))  # one for each message, at least
        items, more = items_of(response.body, device, most)
        if more:
            self._last_error = f"expected at most {most} downlinks in a response, got {most + more}"
            self._context.event("downlink.refused", self._last_error, "warning", refused=more)
        return items

    def _queue(self, items: Items, then: Callable[[Verdict], None]) -> None:
        """Queue what a response said; ``then(verdict)`` comes when all of it is durable or refused, or when it couldn't be stored."""
        left = len(items)
        problem: Verdict = DELIVERED

        def done(queued: Queued) -> None:
            nonlocal left, problem
            left -= 1
            problem = verdict_of(queued) if problem is DELIVERED else problem
            if not left:
                then(problem)

        for device, item in items:
            self._incoming.take(device, item, done, PATIENCE)


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
