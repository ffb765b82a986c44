"""ThingsBoard as a target, by its HTTP device API: each device speaks for itself, with its own access token.

https://thingsboard.io/docs/reference/http-api/ RPC and shared attributes come by requests that stay open
(`iotgw.integrations.thingsboard_listening`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, DeferredList, succeed
from zope.interface import implementer

from iotgw.connect.endpoint import Connector
from iotgw.connect.http_answers import retry_after
from iotgw.connect.http_pool import HttpPool
from iotgw.connect.http_probe import Probed, probe
from iotgw.connect.tls import ClientTls
from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.own_file import OwnFile, path_of
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.integrations import IIntegration, IIntegrationType, IntegrationContext, Queued
from iotgw.core.ports.reactor import IReactor
from iotgw.core.verdict import DELIVERED, Rejected, Retry, Unavailable, Verdict, unforeseen
from iotgw.integrations import thingsboard_provision, trial
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.http_answers import excerpt
from iotgw.integrations.http_judge import WRONG
from iotgw.integrations.incoming import PATIENCE, Incoming, verdict_of
from iotgw.integrations.template import Template, TemplateFailed
from iotgw.integrations.thingsboard_device_api import DeviceApi
from iotgw.integrations.thingsboard_documents import body_of, encode, is_empty
from iotgw.integrations.thingsboard_http_settings import ThingsBoardHttpSettings
from iotgw.integrations.thingsboard_listening import Listening
from iotgw.integrations.thingsboard_rpc import (
    CALLERS_PATIENCE,
    OpenRequests,
    ServerRequest,
    ServerRequests,
    answer_of,
    request,
    to_caller,
)
from iotgw.integrations.thingsboard_tokens import ProvisionedTokens
from iotgw.wire.http1 import Response

Settle = Callable[[Sequence[int], Verdict], None]
NO_TOKEN = (401, 403, 404)
"""The server knows no such token, or its device was deleted."""


class _Step(Struct, frozen=True):
    """A POST: what stands after the token in its path, its body, and the request of the device's that it makes."""

    what: str
    body: bytes
    asked: ServerRequest | None = None


@implementer(IIntegration)
class ThingsBoardHttpTarget:
    """Posts for each device; see `ThingsBoardHttpSettings`."""

    whole = False

    def __init__(
        self, settings: ThingsBoardHttpSettings, context: IntegrationContext, connector: IConnector
    ) -> None:
        self._settings = settings
        self._context = context
        self._wants = set(context.spec.route.wants)
        self._inflight = 0
        self._last_error = ""
        self.max_batch = settings.concurrency
        if "{" in settings.url:
            raise SettingsError("configuration.url", "expected no template")
        self._api = DeviceApi(settings.url)
        to = self._api.server
        names = RecordNames(context.epochs, context.datasource_name)
        self._template = Template(settings.token, "configuration.token", names) if settings.token else None
        if not (settings.token or settings.tokens or settings.provision):
            raise SettingsError("configuration.token", "expected token, tokens or provision")
        reactor = context.reactor
        tls = (settings.tls or ClientTls()) if to.is_secure else None
        self._way = connector.endpoint(to.host, to.port, settings.connect_timeout, tls, "tls", settings.proxy)
        self._pool = HttpPool(reactor, self._way, settings.concurrency, settings.timeout)
        file = OwnFile(path_of(context.data_dir, "thingsboard", context.id))
        place = f"{to.is_secure}:{to.host}:{to.port}"
        self._tokens = ProvisionedTokens(file, place, context.seal, context.unseal, reactor)
        self._waiting: dict[str, list[Callable[[str, Verdict | None], None]]] = {}
        """Who waits for a device's token that is being provisioned."""
        self._requests = OpenRequests(settings.rpc_answer) if settings.rpc_answer else None
        self._asks: ServerRequests | None = None
        self._listening: Listening | None = None
        self._incoming = Incoming(context)
        if settings.downlinks and context.downlink is not None:
            self._listening = Listening(settings, reactor, self._way, self._api, self._incoming, self._asked)
            self._asks = ServerRequests(settings.rpc_request) if settings.rpc_request else None

    # --- IIntegration

    @property
    def capacity(self) -> int:
        """Records in flight, and one for each free connection."""
        return self._inflight + self._pool.spare

    def start(self) -> Deferred[None]:
        """Nothing to do: connections are made on demand."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """Close the connections."""
        self._tokens.close()
        self._incoming.close()
        closing = [self._pool.close()]
        if self._listening is not None:
            closing.append(self._listening.close())
        return DeferredList(closing, consumeErrors=True).addCallback(lambda _: None)

    def send(self, records: Sequence[TelemetryRecord], settle: Settle) -> None:
        """Post each record with its device's token."""
        for record in records:
            self._inflight += 1
            try:
                self._send(record, settle)
            except TemplateFailed as error:
                self._settle(record, settle, Rejected(str(error)))
            except IotgwError as error:  # what is kept of tokens was sealed with another key
                reason = f"the token of {record.device_name!r} can't be read: {error}"
                self._settle(record, settle, Unavailable(reason, is_certain=True))

    def check(self) -> Deferred[dict[str, Any]]:
        """Connect, and have the server say something."""
        asked = self._api.get("iotgw", "attributes?clientKeys=iotgw")
        asking = probe(self._context.reactor, self._way, asked, self._settings.timeout)

        def judged(probed: Probed) -> dict[str, Any]:
            untried = ["the tokens of devices"]
            if probed.response is None:
                problem = (
                    probed.reason if not probed.connection else f"{probed.connection}, but {probed.reason}"
                )
                return {"ok": False, "detail": problem, "untried": untried}
            is_right = probed.response.status == 401  # as ThingsBoard says to a token that nobody has
            said = f"{probed.connection}; HTTP {probed.response.status}"
            return {
                "ok": is_right,
                "detail": said + ("" if is_right else ", expected 401"),
                "untried": untried,
            }

        return asking.addCallback(judged)

    def status(self) -> dict[str, Any]:
        """Connections come and go, so only the last error is shown; ``listening`` is for how many devices it listens."""
        return {
            "state": "connected" if self._pool.connected else "idle",
            "provisioned": len(self._tokens),
            "listening": len(self._listening) if self._listening is not None else 0,
            "lastError": self._incoming.trouble or self._last_error or None,
        }

    # --- records

    def _send(self, record: TelemetryRecord, settle: Settle) -> None:
        steps = self._steps(record)
        if not steps:
            self._settle(record, settle, DELIVERED)
            return
        token = self._token(record)
        if token or self._settings.provision is None:
            if not token:
                self._settle(record, settle, Rejected(f"no token for the device {record.device_name!r}"))
                return
            self._post(record, token, steps, settle)
            return

        def ready(token: str, problem: Verdict | None) -> None:
            if problem is not None:
                self._settle(record, settle, problem)
            else:
                self._post(record, token, steps, settle)

        self._provisioned(record.device_name, ready)

    def _token(self, record: TelemetryRecord) -> str:
        """The token of a record's device; empty if there is none. Raises TemplateFailed."""
        device = record.device_name
        found = self._settings.tokens.get(device) or self._tokens.known(device)
        return found or (self._template.text(record).strip() if self._template is not None else "")

    def _steps(self, record: TelemetryRecord) -> list[_Step]:
        """The POSTs of a record, in order."""
        if record.kind is Kind.EVENT or not record.device_name:
            return []
        content, answer, asked = record.body, None, None
        if self._requests is not None:
            content, answer = self._requests.split(record)
        if self._asks is not None:
            content, asked = self._asks.split(record.device_name, content)
        body = body_of(content)
        steps: list[_Step] = []
        if "telemetry" in self._wants and not is_empty(body.telemetry):
            steps.append(_Step("telemetry", bytes(body.telemetry)))
        if "attributes" in self._wants and not is_empty(body.attributes):
            steps.append(_Step("attributes", bytes(body.attributes)))
        if answer is not None:
            steps.append(_Step(f"rpc/{answer.id}", encode(answer.data)))
        if asked is not None:
            steps.append(_Step("rpc", request(asked.params, asked.method), asked))
        return steps

    def _post(
        self, record: TelemetryRecord, token: str, steps: list[_Step], settle: Settle, place: int = 0
    ) -> None:
        """Post what is left of a record's steps, one after another."""
        step = steps[place]

        def answered(response: Response | None, reason: str) -> None:
            if self._context.shown((record,)) is not None:
                self._show(record, step.what, step.body, response, reason)
            try:
                if step.asked is not None:
                    verdict = self._judged_answer(step.asked, token, response, reason)
                else:
                    verdict = self._judged(record.device_name, token, response, reason)
            except Exception as error:
                verdict = unforeseen("reading the answer", error)
            if step.asked is not None and response is not None and verdict is DELIVERED:
                self._hand_on(step.asked, response, finished)
            else:
                finished(verdict)

        def finished(verdict: Verdict) -> None:
            if verdict is DELIVERED and place + 1 < len(steps):
                self._post(record, token, steps, settle, place + 1)
                return
            if verdict is DELIVERED and self._listening is not None and record.seq > 0:
                self._listening.to(record.device_name, token)
            self._settle(record, settle, verdict)

        self._pool.request(self._api.post(token, step.what, step.body), answered)

    def _judged_answer(
        self, asked: ServerRequest, token: str, response: Response | None, reason: str
    ) -> Verdict:
        """What an answer to a device's request means. A rule chain that doesn't answer is no trouble of the server's, and is not asked again."""
        if response is None:
            return Retry(f"no answer to {asked.method!r}: {reason}")
        if response.status == 408:
            self._last_error = f"nothing in ThingsBoard answers {asked.method!r}"
            return DELIVERED
        return self._judged(asked.device, token, response, reason)

    def _hand_on(self, asked: ServerRequest, response: Response, finished: Callable[[Verdict], None]) -> None:
        """Queue what a device's request was answered; ``finished(verdict)`` comes when that is durable."""
        if response.status == 408:
            finished(DELIVERED)
            return
        item = {"msgType": "rpcResponse", "msg": answer_of(asked, response.body)}
        self._incoming.take(asked.device, item, lambda queued: finished(verdict_of(queued)), PATIENCE)

    def _judged(self, device: str, token: str, response: Response | None, reason: str) -> Verdict:
        """What an answer to a POST means."""
        if response is None:
            return Unavailable(reason)
        status = response.status
        if 200 <= status < 300:
            return DELIVERED
        if status in NO_TOKEN:
            if token == self._tokens.known(device):
                self._tokens.forget(device)
            return Retry(f"ThingsBoard knows no device of the token for {device!r} (HTTP {status})")
        said = excerpt(response.body, [token])
        why = f"HTTP {status}" + (f": {said}" if said else "")
        if status == 429 or status >= 500 or status < 400:
            # If a single message is the reason, the others get through, and the outbox finds it.
            after = retry_after(response.headers.get(b"retry-after"), self._context.date())
            return Unavailable(why, after)
        return Rejected(why) if status in WRONG else Retry(why)

    def _settle(self, record: TelemetryRecord, settle: Settle, verdict: Verdict) -> None:
        self._inflight -= 1
        if verdict is DELIVERED:
            if self._requests is not None:
                self._requests.settled([record.seq])
        else:
            self._last_error = verdict.reason  # type: ignore[union-attr]
        settle([record.seq], verdict)

    def _show(
        self, record: TelemetryRecord, what: str, body: bytes, response: Response | None, reason: str
    ) -> None:
        request = f"POST /api/v1/***/{what}\n\n{trial.text(body)}"
        answer = (
            f"none: {reason}"
            if response is None
            else f"HTTP {response.status}\n\n{trial.text(response.body)}"
        )
        self._context.show(record, request, answer)

    # --- tokens

    def _provisioned(self, device: str, ready: Callable[[str, Verdict | None], None]) -> None:
        """Have a device made; calls ``ready`` with its token, or with why there is none."""
        waiting = self._waiting.setdefault(device, [])
        waiting.append(ready)
        how = self._settings.provision
        if len(waiting) > 1 or how is None:
            return
        try:
            wanted = self._tokens.wanted(device)
        except OSError as error:
            self._got(device, "", Unavailable(f"a new token can't be kept: {error}"))
            return
        asked = thingsboard_provision.request(how, device, wanted)

        def answered(response: Response | None, reason: str) -> None:
            if response is None:
                self._got(device, "", Unavailable(reason))
                return
            if response.status != 200:
                why = f"provisioning: HTTP {response.status} {excerpt(response.body, [how.key, how.secret, wanted])}"
                self._got(device, "", Unavailable(why))
                return
            try:
                token = thingsboard_provision.token(response.body)
            except thingsboard_provision.NotProvisioned as refused:
                self._doubted(device, wanted, f"provisioning of {device!r}: {refused}")
                return
            self._tokens.learned(device, token)
            self._got(device, token, None)

        self._pool.request(self._api.provision(asked), answered)

    def _doubted(self, device: str, wanted: str, refused: str) -> None:
        """There is no new token. Perhaps an earlier answer was lost, and the server knows the one that was asked for."""

        def answered(response: Response | None, reason: str) -> None:
            if response is None:
                self._got(device, "", Unavailable(reason))
            elif response.status == 200:
                self._tokens.learned(device, wanted)
                self._got(device, wanted, None)
            else:
                self._got(device, "", Retry(refused))

        self._pool.request(self._api.get(wanted, "attributes?clientKeys=iotgw"), answered)

    def _got(self, device: str, token: str, problem: Verdict | None) -> None:
        for ready in self._waiting.pop(device, ()):
            ready(token, problem)

    # --- downlinks

    def _asked(self, device: str, token: str, id: int, data: Any, done: Callable[[], None]) -> None:
        """A request came: its answer is the device's, or that it is queued, or why it isn't."""
        requests = self._requests
        if requests is not None:
            requests.asked(device, id)

        def answer(queued: Queued) -> None:
            if queued.reason and requests is not None:
                requests.withdrawn(device, id)
            if queued.reason or requests is None:
                said = self._api.post(token, f"rpc/{id}", encode(to_caller(queued)))
                self._pool.request(said, lambda response, reason: None)
            done()

        self._incoming.take(device, {"msgType": "rpc", "msg": data}, answer, CALLERS_PATIENCE)


@implementer(IIntegrationType)
class ThingsBoardHttpType:
    """The type ``thingsboard-http``. Its targets are reached by ``connector``; without one, ``forbid`` are the networks that no target may
    be in (see `iotgw.connect.forbidden`)."""

    name = "thingsboard-http"
    settings = ThingsBoardHttpSettings

    def __init__(
        self, reactor: IReactor, forbid: Sequence[str] = (), connector: IConnector | None = None
    ) -> None:
        self._connector = connector or Connector(reactor, forbid)

    def build(self, settings: ThingsBoardHttpSettings, context: IntegrationContext) -> ThingsBoardHttpTarget:
        """A target; raises SettingsError."""
        return ThingsBoardHttpTarget(settings, context, self._connector)
