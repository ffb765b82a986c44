"""A subscription of Google Pub/Sub that pushes: each message is a request, and answered when it is durable.

The request proves itself by a token that Google signs for the subscription. What isn't answered with success comes again, and is
known by its message id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from twisted.internet.defer import Deferred, gatherResults
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from iotgw.connect.web_keys import WebKeys
from iotgw.core.errors import SettingsError
from iotgw.core.model import Answer, Status
from iotgw.core.needs import HttpMount, Need, TcpPort
from iotgw.core.networks import NOT_ALLOWED
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IDatasource,
    IListens,
    INeeds,
    ISetsUp,
    IVouches,
    SetUp,
)
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.gathering import Gathering, Items
from iotgw.datasources.http.mounts import UPLOADS
from iotgw.datasources.http.request import peer_of, problem
from iotgw.datasources.http.served import Served
from iotgw.datasources.pieces import in_pieces
from iotgw.datasources.pubsub.push_body import Pushed, unwrapped, wrapped
from iotgw.datasources.pubsub.push_settings import PubsubPushSettings
from iotgw.datasources.pubsub.reader import PubsubReader
from iotgw.datasources.pulled import Found
from iotgw.datasources.pulled_source import PulledSource
from iotgw.wire import jwt

RETRY_AFTER = 2
"""Seconds after which a request may come again that can't be checked yet."""


@implementer(IVouches, INeeds, IListens, IChecksAddresses, ISetsUp)
class PubsubPushType:
    """The ``google-pubsub-push`` datasources of a gateway."""

    name = "google-pubsub-push"
    settings = PubsubPushSettings

    def __init__(self, reactor: IReactor, connector: IConnector) -> None:
        self._connector = connector

    def build(self, settings: PubsubPushSettings, context: DatasourceContext) -> PubsubPush:
        """See `IDatasourceType.build`."""
        if not context.routing_key:
            raise SettingsError("routingKey", "expected a path token, got nothing: it selects the datasource")
        return PubsubPush(settings, context, self._connector)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a topic's policy says who may publish to it."""
        return True

    def open_to_all(self, settings: Any, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`: each request is signed."""
        return ""

    def needs(self, settings: PubsubPushSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        listener = settings.listener
        if listener is None:
            return [HttpMount((UPLOADS, context.routing_key))]
        return [TcpPort(listener.interface, listener.port)]

    def setup(self, settings: PubsubPushSettings, routing_key: str) -> SetUp:
        """See `ISetsUp.setup`."""
        place = f"{{gateway}}/{UPLOADS}/{quote(routing_key, safe='')}"
        fields = {
            "Subscription ID": settings.subscription, "Delivery type": "Push", "Endpoint URL": place,
            "Enable authentication": settings.service_account, "Audience": settings.audience,
            "Enable payload unwrapping": "yes, with write metadata" if settings.unwrapped else "no",
        }  # fmt: skip
        return SetUp(place, {}, fields, "Google pushes to HTTPS with a public certificate only.")


@implementer(IDatasource)
class PubsubPush(PulledSource[PubsubPushSettings]):
    """The receiving end of a subscription."""

    def __init__(
        self, settings: PubsubPushSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        super().__init__(settings, context)
        self._context = context
        self._expected = settings.expected
        self._keys = WebKeys(context.reactor, connector, settings.keys)
        attribute = settings.device_attribute.lower() if settings.unwrapped else settings.device_attribute
        self._reader = PubsubReader(settings, attribute, self._messages, self._may_show)
        paths = [(UPLOADS, context.routing_key)]
        self._served = Served(context, settings.listener, settings.tls, paths, settings.max_body)
        self._error = ""
        """What was wrong with the last request that was proved."""

    # --- IDatasource ---

    def start(self) -> Deferred[Any]:
        """See `IDatasource.start`. Until the keys are there, what comes is to come again."""
        self._keys.fetch()
        return self._intake.recall().addCallback(lambda _: self._served.open(_PushResource(self.take)))

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        closed = self._served.close()
        if self._frames is not None:
            self._frames.flush()
        return gatherResults([closed, self._keys.close()], consumeErrors=True)

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`. ``keys`` says whether requests can be checked."""
        error = self._keys.error or self._error
        return {
            "state": "listening",
            "address": f"{self._served.where}, /{UPLOADS}/{self._context.routing_key}",
            "urls": self._served.urls,
            "keys": "known" if self._keys.are_known else "missing",
            **({"lastError": error} if error else {}),
            **self._counted(),
        }

    # --- requests ---

    def take(self, request: Request) -> bytes | int:
        """Take a message, or say why not."""
        settings, peer = self._settings, peer_of(request)
        if not self._context.allow.has(peer):
            self._intake.refuse("network", peer, NOT_ALLOWED)
            return problem(request, 403, "this address may not send here")
        if request.method != b"POST":
            request.setHeader(b"allow", b"POST")
            return problem(request, 405, "expected POST")
        self._keys.look()
        if not self._keys.are_known:
            request.setHeader(b"retry-after", b"%d" % RETRY_AFTER)
            return problem(request, 503, "the keys for checking this request are not known; come back later")
        if objection := self._object_to(request):
            self._intake.refuse("credentials", peer, objection)
            request.setHeader(b"www-authenticate", b"Bearer")
            return problem(request, 401, "expected a token of this datasource's subscription")
        body = request.content.read(settings.max_body + 1)  # type: ignore[union-attr]
        if len(body) > settings.max_body:
            return problem(request, 413, f"expected at most {settings.max_body} bytes")
        try:
            pushed = self._read(request, body)
        except ValueError as error:
            self._trouble(str(error))
            return problem(request, 400, str(error))
        self._error = ""
        self._hand_over(request, pushed)
        return NOT_DONE_YET

    def _object_to(self, request: Request) -> str:
        """What is wrong with a request's token; empty if nothing is."""
        brought = (request.getHeader(b"authorization") or b"").decode("latin-1")
        scheme, _, token = brought.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return "no token"
        return jwt.objection(token.strip(), self._keys.find, self._expected, self._context.date_ms() / 1000)

    def _read(self, request: Request, body: bytes) -> Pushed:
        """The message of a request. Raises ValueError."""
        settings = self._settings
        if settings.unwrapped:
            found = unwrapped(body, _headers(request))
        else:
            try:
                found = wrapped(body)
            except ValueError as error:
                raise ValueError(
                    f"expected a message in Pub/Sub's wrapper ({error}); for payload unwrapping, set `unwrapped`"
                ) from None
        if found.subscription and found.subscription != settings.resource:
            raise ValueError(f"expected a message of {settings.resource}, got one of another subscription")
        return found

    def _hand_over(self, request: Request, pushed: Pushed) -> None:
        answering = _Answering(request)
        gathering = Gathering(answering.finish)
        into = self._intake if self._frames is None else self._frames

        def take(each: Found) -> None:
            if not isinstance(each, tuple):
                gathering.wait_for(each())
                return
            payload, facts, key = each
            into.receive(payload, facts, gathering.expect(""), listens=False, key=key)

        found = iter(self._reader.uplinks(pushed.message, pushed.delivery_attempt))
        in_pieces(self._context.reactor, found, take, lambda _: gathering.close())

    def _trouble(self, reason: str) -> None:
        """A request of the subscription is none that can be read. It isn't kept: Pub/Sub keeps it, and sends it again."""
        self._counts["faults"] += 1
        if self._error != reason:
            self._intake.event("failed", reason, "error")
        self._error = reason


class _Answering:
    """The answer to a request, unless its sender has gone."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._is_gone = False
        request.notifyFinish().addErrback(self._gone)

    def _gone(self, failure: object) -> None:
        self._is_gone = True

    def finish(self, answer: Answer, items: Items) -> None:
        """Say what became of the message. Only what isn't durable may come again."""
        request = self._request
        if self._is_gone:
            return
        if answer.message_id:
            request.setHeader(b"x-message-id", answer.message_id.encode())
        if answer.status is Status.BUSY:
            request.setHeader(b"retry-after", b"%d" % max(1, round(answer.retry_after)))
            request.write(problem(request, 503, "the gateway is full; come back later"))
        elif answer.status is Status.TOO_LARGE:
            request.write(problem(request, 413, "expected a smaller message"))
        else:
            request.setResponseCode(204)
        request.finish()


class _PushResource(Resource):
    """What serves the push endpoint, with all below it."""

    isLeaf = True

    def __init__(self, take: Callable[[Request], bytes | int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._take = take

    def render(self, request: Request) -> bytes | int:
        """Take a message, or say why not."""
        return self._take(request)


def _headers(request: Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), values[-1].decode("latin-1"))
        for name, values in request.requestHeaders.getAllRawHeaders()
    ]
