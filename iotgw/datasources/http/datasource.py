"""HTTP devices: ``POST /i/{routingKey}`` with any body, as ThingsBoard's HTTP integration takes it.

The answer is 204, or 200 with a downlink as its body; 401, 404, 413 and 503 say why not. A datasource
shares the listener of the REST API, or opens one of its own (TLS by a Twisted endpoint string).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.model import Answer, Downlink, Metadata, Status
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IDatasourceType
from iotgw.core.secrets import Secret
from iotgw.datasources.http.request import listens, metadata, payloads, problem
from iotgw.datasources.http.server_tls import FileContext, ServerTls, TlsFactory
from iotgw.envelopes import sigfox

CONTENT_TYPES = {
    "JSON": b"application/json",
    "TEXT": b"text/plain; charset=utf-8",
    "BINARY": b"application/octet-stream",
}


class Security(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How a client proves that it may upload."""

    mode: Literal["none", "basic", "bearer"] = "none"
    username: str = ""
    password: Secret = ""
    token: Secret = ""


class HttpSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of an ``http`` datasource."""

    endpoint: Annotated[
        str,
        Meta(
            description="Twisted endpoint of a listener of its own, such as "
            "`ssl:8443:privateKey=key.pem:certKey=cert.pem`; empty shares the API's."
        ),
    ] = ""
    tls: Annotated[
        ServerTls | None,
        Meta(
            description="Certificate files for an `endpoint` such as `tcp:8443`; read again when they change."
        ),
    ] = None
    security: Annotated[Security, Meta(description="none, basic or bearer.")] = Security()
    headers_filter: Annotated[
        dict[str, Secret], Meta(description="Every header must be there and equal, or the answer is 401.")
    ] = {}
    replace_no_content_to_ok: Annotated[
        bool, Meta(description="Answer 200 instead of 204 when there is no downlink.")
    ] = False
    split: Annotated[
        Literal["none", "array", "lines"],
        Meta(description="One request is one message, a JSON array of messages, or one message per line."),
    ] = "none"
    profile: Annotated[
        Literal["none", "sigfox"],
        Meta(
            description="`sigfox`: bodies are SigFox's callbacks with `device`, `data` and `ack`; a downlink is "
            "offered when `ack` is true, and delivered when a callback with `infoCode` 0 says so."
        ),
    ] = "none"
    longest_ttd: Annotated[
        float,
        Meta(
            ge=0,
            le=600,
            description="Most seconds that an answer is held back for a downlink when a device says that it "
            "listens (`hono-ttd`, in a header or the query, or `?ttd=`); 0 never.",
        ),
    ] = 60.0
    max_body: Annotated[int, Meta(gt=0, description="Largest body in bytes; beyond, 413.")] = 1 << 20


MakeSite = Callable[[Resource, int], Any]
"""Makes a listener's site of a resource and the largest body in bytes."""


def _plain_site(resource: Resource, max_body: int) -> Site:
    site = Site(resource)
    site.displayTracebacks = False
    return site


@implementer(IDatasourceType)
class HttpType:
    """The ``http`` datasources of a gateway; `resource` serves those that share the API's listener."""

    name = "http"
    settings = HttpSettings

    def __init__(self, reactor: Any, make_site: MakeSite | None = None) -> None:
        self._reactor = reactor
        self._make_site = make_site or _plain_site
        self.resource = Uploads()

    def build(self, settings: HttpSettings, context: DatasourceContext) -> HttpDatasource:
        """See `IDatasourceType.build`."""
        if not context.routing_key:
            raise SettingsError("routingKey", "expected a path token, got nothing: it selects the datasource")
        if settings.security.mode == "basic" and not settings.security.username:
            raise SettingsError("configuration.security.username", "expected a name for basic authentication")
        if settings.security.mode == "bearer" and not settings.security.token:
            raise SettingsError("configuration.security.token", "expected the bearer token")
        if settings.tls is not None and not settings.endpoint:
            raise SettingsError("configuration.endpoint", "expected an endpoint such as tcp:8443 for `tls`")
        uploads = Uploads() if settings.endpoint else self.resource
        return HttpDatasource(settings, context, uploads, self._reactor, self._make_site)


@implementer(IDatasource)
class HttpDatasource:
    """Uploads under one routing key."""

    def __init__(
        self,
        settings: HttpSettings,
        context: DatasourceContext,
        uploads: Uploads,
        reactor: Any,
        make_site: MakeSite,
    ) -> None:
        self._make_site = make_site
        self.settings = settings
        self.context = context
        self._uploads = uploads
        self._reactor = reactor
        self._port: Any = None
        self.allowed = _authenticator(settings)

    def start(self) -> Deferred[Any]:
        """See `IDatasource.start`."""
        self._uploads.add(self.context.routing_key.encode(), self)
        if not self.settings.endpoint:
            return succeed(None)
        listening: Deferred[Any] = maybeDeferred(self._listen)
        return listening.addCallbacks(self._opened, self._not_opened)

    def _listen(self) -> Any:
        root = Resource()
        root.putChild(b"i", self._uploads)
        factory = self._make_site(root, self.settings.max_body)
        if self.settings.tls is not None:
            factory = TlsFactory(FileContext(self.settings.tls, self._certificate), factory)
        return serverFromString(self._reactor, self.settings.endpoint).listen(factory)

    def _certificate(self, message: str) -> None:
        self.context.intake.event("certificate", message)

    def _opened(self, port: Any) -> None:
        self._port = port

    def _not_opened(self, failure: Any) -> Any:
        self._uploads.remove(self.context.routing_key.encode())
        if failure.check(ValueError, TypeError, KeyError):
            raise SettingsError(
                "configuration.endpoint", f"expected a Twisted endpoint string: {failure.getErrorMessage()}"
            )
        return failure

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        self._uploads.remove(self.context.routing_key.encode())
        return maybeDeferred(self._port.stopListening) if self._port is not None else succeed(None)

    def facts(self, request: Request) -> Metadata:
        """A request's metadata, without what proves that it may upload."""
        return metadata(request, self.context.name, self.settings.headers_filter)

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        where = self.settings.endpoint.partition(":privateKey")[0] or "the API's listener"
        return {"state": "listening", "address": f"{where}, /i/{self.context.routing_key}"}


def _authenticator(settings: HttpSettings) -> Callable[[Request], bool]:
    """Whether a request may upload; secrets are compared in constant time."""
    security = settings.security
    expected = b""
    if security.mode == "basic":
        credentials = f"{security.username}:{security.password}".encode()
        expected = b"Basic " + base64.b64encode(credentials)
    elif security.mode == "bearer":
        expected = b"Bearer " + security.token.encode()
    wanted = [(name.encode(), value.encode()) for name, value in settings.headers_filter.items()]

    def allowed(request: Request) -> bool:
        good = True
        if expected:
            good = hmac.compare_digest(request.getHeader(b"authorization") or b"", expected)
        for name, value in wanted:
            good &= hmac.compare_digest(request.getHeader(name) or b"", value)
        return good

    return allowed


class Uploads(Resource):
    """``/i``: the routing key selects the datasource."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self._datasources: dict[bytes, HttpDatasource] = {}

    def add(self, key: bytes, datasource: HttpDatasource) -> None:
        """Serve a datasource; raises SettingsError when its routing key is taken."""
        if key in self._datasources:
            raise SettingsError("routingKey", f"{key.decode()!r} is taken by another datasource")
        self._datasources[key] = datasource

    def remove(self, key: bytes) -> None:
        """Serve it no more."""
        self._datasources.pop(key, None)

    def render(self, request: Request) -> Any:
        """Take an upload, or say why not."""
        datasource = self._datasources.get(request.postpath[0]) if request.postpath else None
        if datasource is None:
            return problem(request, 404, "expected /i/{routingKey} of a datasource that is open")
        if request.method not in (b"POST", b"PUT"):
            request.setHeader(b"allow", b"POST, PUT")
            return problem(request, 405, "expected POST or PUT")
        if not datasource.allowed(request):
            if datasource.settings.security.mode == "basic":
                request.setHeader(b"www-authenticate", b'Basic realm="iotgw"')
            return problem(request, 401, "expected the credentials of this datasource")
        body = request.content.read(datasource.settings.max_body + 1)  # type: ignore[union-attr]
        if len(body) > datasource.settings.max_body:
            return problem(request, 413, f"expected at most {datasource.settings.max_body} bytes")
        try:
            messages = payloads(body, datasource.settings.split)
            is_sigfox = datasource.settings.profile == "sigfox"
            callbacks = [sigfox.read(payload) if is_sigfox else None for payload in messages]
        except ValueError as error:
            datasource.context.intake.reject(body, datasource.facts(request), str(error))
            return problem(request, 400, str(error))
        request.content.truncate(0)  # type: ignore[union-attr]  # one that is held back keeps no body
        upload = _Upload(request, datasource)
        seconds = listens(request, datasource.settings.longest_ttd)
        if seconds and len(messages) == 1 and not is_sigfox:
            upload.hold(messages[0], datasource.facts(request), seconds)
        else:
            upload.receive(list(zip(messages, callbacks, strict=True)), datasource.facts(request))
        return NOT_DONE_YET


class _Upload:
    """One request under way: answered when all of its messages are."""

    def __init__(self, request: Request, datasource: HttpDatasource) -> None:
        self._request = request
        self._settings = datasource.settings
        self._intake = datasource.context.intake
        self._open = 1
        self._worst = Answer(Status.STORED)
        self._items: list[tuple[str, Downlink]] = []
        self._gone = False
        self._let_go: Callable[[], None] = lambda: None
        request.notifyFinish().addErrback(self._lost)

    def _lost(self, failure: Any) -> None:
        self._gone = True
        self._let_go()

    def hold(self, payload: bytes, metadata: Metadata, seconds: float) -> None:
        """Hand the only message to the gateway; its answer may wait so long for a downlink."""
        answered = partial(self._answered, "")  # nothing else is open then
        self._let_go = self._intake.receive_and_hold(payload, metadata, answered, seconds)

    def receive(self, messages: list[tuple[bytes, sigfox.Callback | None]], metadata: Metadata) -> None:
        """Hand the messages to the gateway."""
        self._open += len(messages)
        for payload, callback in messages:
            if callback is None:
                self._intake.receive(payload, metadata, partial(self._answered, ""))
            elif callback.info_code is not None:
                if callback.info_code != sigfox.PENDING:
                    delivered = callback.info_code == sigfox.ACKED
                    self._intake.downlink_confirmed(callback.device, delivered, callback.reason)
                self._done()
            else:
                device = callback.device
                facts = {**metadata, "identity": device}
                self._intake.receive(
                    payload, facts, partial(self._answered, device), listens=callback.listens
                )
        self._done()

    def _answered(self, device: str, answer: Answer) -> None:
        if not self._worst.message_id or _SEVERITY[answer.status] > _SEVERITY[self._worst.status]:
            self._worst = answer
        self._items += [(device, item) for item in answer.downlinks]
        self._done()

    def _done(self) -> None:
        self._open -= 1
        if not self._open:
            self._finish(self._worst)

    def _finish(self, answer: Answer) -> None:
        request = self._request
        if self._gone:
            self._return_items()
            return
        if answer.message_id:
            request.setHeader(b"x-message-id", answer.message_id.encode())
        if answer.status is Status.BUSY:
            request.setHeader(b"retry-after", b"%d" % max(1, round(answer.retry_after)))
            request.write(problem(request, 503, "the gateway is full; come back later"))
        elif answer.status is Status.TOO_LARGE:
            request.write(problem(request, 413, "expected a smaller message"))
        elif self._items:
            self._write()
        elif answer.status is Status.FAILED:
            request.write(problem(request, 422, "stored, but its converter failed; see the message"))
        else:
            request.setResponseCode(200 if self._settings.replace_no_content_to_ok else 204)
        self._return_items()
        request.finish()

    def _return_items(self) -> None:
        """An answer carries one item, or none: the others wait for the next."""
        items, self._items = self._items, []
        for _, item in items:
            self._intake.downlink_returned(item)

    def _refuse_others(self) -> None:
        """What SigFox never takes is lost by itself, not by this answer."""
        unfit = [item for _, item in self._items if not sigfox.fits(item)]
        self._items = [each for each in self._items if each[1] not in unfit]
        for item in unfit:
            self._intake.downlink_lost(item, f"expected {sigfox.PAYLOAD} bytes, as SigFox takes")

    def _write(self) -> None:
        """Send what fits the answer; the rest goes back to the queue."""
        request, is_offer = self._request, self._settings.profile == "sigfox"
        if is_offer:
            fitting = {device: item for device, item in self._items if sigfox.fits(item)}
            sent = list(fitting.items())
        else:
            sent = self._items[:1]
        self._items = [each for each in self._items if each not in sent]
        if is_offer:
            self._refuse_others()
        if not sent:
            request.setResponseCode(204)
            return
        first = sent[0][1]
        request.setHeader(b"content-type", CONTENT_TYPES["JSON" if is_offer else first.content_type])
        request.setHeader(b"x-downlink-id", first.id.encode())
        request.write(sigfox.reply(sent) if is_offer else first.payload)
        for _, item in sent:
            (self._intake.downlink_offered if is_offer else self._intake.downlink_sent)(item)
        request.notifyFinish().addCallbacks(
            lambda _: None if is_offer else self._intake.downlink_delivered(first, is_certain=False),
            lambda failure: self._lose([item for _, item in sent]),
        )

    def _lose(self, items: list[Downlink]) -> None:
        for item in items:
            self._intake.downlink_lost(item, "the connection closed before the answer was out")


_SEVERITY = {Status.STORED: 0, Status.FAILED: 1, Status.TOO_LARGE: 2, Status.BUSY: 3}
