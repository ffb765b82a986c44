"""``/i/{routingKey}``: a request becomes uplinks and receipts, and their outcome becomes its response."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from iotgw.core.model import Answer, Downlink, Metadata, Status
from iotgw.core.networks import NOT_ALLOWED
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.intake import IIntake
from iotgw.datasources.api_downlinks import ApiDownlinks
from iotgw.datasources.frames import HeldFrames
from iotgw.datasources.gathering import Gathering, Items
from iotgw.datasources.http.bodies import CODINGS, Fields, UnreadableBody, as_json, decoded, form, query
from iotgw.datasources.http.request import Told, listens, payloads, peer_of, problem, read_in_turn, send
from iotgw.datasources.http.settings import HttpSourceSettings, Objection, lacks
from iotgw.datasources.notices import Notices
from iotgw.datasources.pieces import in_pieces
from iotgw.envelopes.envelope import Asked, Envelope, Proof, Reading

CONTENT_TYPES = {
    "JSON": b"application/json",
    "TEXT": b"text/plain; charset=utf-8",
    "BINARY": b"application/octet-stream",
}
CROSS_SITE = {
    b"access-control-allow-origin": b"*",
    b"access-control-expose-headers": b"X-Message-Id, X-Downlink-Id",
}
"""What lets other sites' pages read the answers, where they may send."""
_NAMES = re.compile(rb"[A-Za-z0-9_, -]{1,1000}")


class Receiver(Protocol):
    """The datasource of a routing key: `iotgw.datasources.http.datasource.HttpDatasource`."""

    settings: HttpSourceSettings
    context: DatasourceContext
    intake: IIntake
    envelope: Envelope
    notices: Notices
    frames: HeldFrames | None
    """Where frames are held that may come again."""
    api: ApiDownlinks | None
    """By what downlinks are sent, if not by answers."""
    object_to: Callable[[Request], Objection | None]
    """What is wrong with a request's proof; None if it may upload."""

    def facts(self, request: Request) -> Metadata:
        """A request's metadata, without its credentials."""

    def without_secrets(self, fields: Fields) -> Fields:
        """What a form or a query says, without what carries secrets."""

    def now_ms(self) -> int:
        """The time in ms since 1970."""


class UploadResource(Resource):
    """``/i/{routingKey}``, with all below it: the uploads of one datasource."""

    isLeaf = True

    def __init__(self, receiver: Receiver) -> None:
        super().__init__()
        self._receiver = receiver

    def render(self, request: Request) -> bytes | int:
        """Accept an upload, or say why not."""
        receiver = self._receiver
        settings = receiver.settings
        if not receiver.context.allow.has(peer := peer_of(request)):
            receiver.intake.refuse("network", peer, NOT_ALLOWED)
            return problem(request, 403, "this address may not send here")
        if settings.cross_site and request.getHeader(b"origin") is not None:
            for name, value in CROSS_SITE.items():
                request.setHeader(name, value)
        if request.method == b"OPTIONS":
            return self._options(request)
        if request.method.decode("latin-1") not in settings.methods:
            request.setHeader(b"allow", self._allowed)
            return problem(request, 405, f"expected {' or '.join(settings.methods)}")
        if request.method == b"GET" and not settings.cross_site and _is_of_other_site(request):
            receiver.intake.refuse("site", peer, "a page of another site, by GET")
            return problem(request, 403, "expected no request of another site's page")
        if (objection := receiver.object_to(request)) is not None:
            return self._unproved(request, objection)
        facts = receiver.facts(request)
        body = request.content.read(settings.max_body + 1)  # type: ignore[union-attr]
        try:
            messages = self._messages(request, body)
        except ValueError as error:
            return self._refused(request, body, facts, error)
        upload, events = UploadRequest(request, receiver), list[Told]()

        def read(error: ValueError | None) -> None:
            if error is not None:
                upload.refuse(self._refused(request, body, facts, error))
                return
            request.content.truncate(0)  # type: ignore[union-attr]  # one that is held back keeps no body
            upload.take(events, facts, listens(request, settings.longest_ttd))

        found = read_in_turn(receiver.envelope, messages, facts, receiver.now_ms())
        in_pieces(receiver.context.reactor, found, events.append, read)
        return NOT_DONE_YET

    def _messages(self, request: Request, body: bytes) -> list[bytes]:
        """The messages of a request; raises ValueError."""
        receiver = self._receiver
        settings = receiver.settings
        if len(body) > settings.max_body:
            raise UnreadableBody(413, f"expected at most {settings.max_body} bytes")
        if (wrong := receiver.envelope.object_to(_proof(request, body), settings.secret)) != "":
            raise _NotProved(
                ("credentials", wrong), "expected a request that this datasource's platform has signed"
            )
        asked = query(request.uri.partition(b"?")[2])
        fields: Fields | None = asked
        try:
            coding = b",".join(request.requestHeaders.getRawHeaders(b"content-encoding", ()))
            content = decoded(body, coding.decode("latin-1"), settings.max_body)
            if request.method != b"GET":
                is_raw = settings.bodies == "raw"
                fields = None if is_raw else form(content, _header(request, b"content-type"))
        except UnreadableBody:
            if (
                objection := lacks(settings, asked)
            ) is not None:  # it proves nothing, so nothing of it is kept
                raise _NotProved(objection) from None
            raise
        if (objection := lacks(settings, asked | (fields or {}))) is not None:
            raise _NotProved(objection)
        if fields is not None:
            fields = receiver.without_secrets(fields)
            if not fields:
                raise UnreadableBody(400, "expected parameters, got none")
            content = as_json(fields)
        return payloads(content, settings.split)

    @property
    def _allowed(self) -> bytes:
        return ", ".join([*self._receiver.settings.methods, "OPTIONS"]).encode()

    def _options(self, request: Request) -> bytes:
        """Say what may be sent: to a platform that asks whether anybody is there, and to a browser before it sends."""
        request.setHeader(b"allow", self._allowed)
        if self._receiver.settings.cross_site:
            request.setHeader(b"access-control-allow-methods", self._allowed)
            asked = request.getHeader(b"access-control-request-headers")
            if asked is not None and _NAMES.fullmatch(asked):
                request.setHeader(b"access-control-allow-headers", asked)
        return b""

    def _unproved(
        self,
        request: Request,
        objection: Objection,
        said: str = "expected the credentials of this datasource",
    ) -> bytes:
        reason, text = objection
        self._receiver.intake.refuse(reason, peer_of(request), text)
        if self._receiver.settings.security.mode == "basic":
            request.setHeader(b"www-authenticate", b'Basic realm="iotgw"')
        return problem(request, 401, said)

    def _refused(self, request: Request, body: bytes, facts: Metadata, error: ValueError) -> bytes:
        """Say why a request's contents are not taken, and keep what people should look at."""
        if isinstance(error, _NotProved):
            return self._unproved(request, error.objection, str(error))
        if not isinstance(error, UnreadableBody) or error.is_kept:
            self._receiver.intake.reject(body, facts, str(error))
        status = error.status if isinstance(error, UnreadableBody) else 400
        if status == 415:
            request.setHeader(b"accept-encoding", ", ".join(CODINGS).encode())  # RFC 9110 §15.5.16
        return problem(request, status, str(error))


class _NotProved(ValueError):
    """The request's contents don't prove who sends; ``said`` is what the sender is told."""

    def __init__(
        self, objection: Objection, said: str = "expected the credentials of this datasource"
    ) -> None:
        super().__init__(said)
        self.objection = objection


def _is_of_other_site(request: Request) -> bool:
    """Whether a browser says so, which sends no ``Origin`` for an image (W3C Fetch Metadata §2.3)."""
    return _header(request, b"sec-fetch-site") in ("cross-site", "same-site")


def _header(request: Request, name: bytes) -> str:
    value: bytes | None = request.getHeader(name)
    return (value or b"").decode("latin-1")


def _proof(request: Request, body: bytes) -> Proof:
    def header(name: str) -> str:
        value = request.getHeader(name.encode())
        return value.decode("latin-1") if value is not None else ""

    return Proof(request.uri.partition(b"?")[2], header, body)


class UploadRequest:
    """One request under way: answered when all of its messages are."""

    def __init__(self, request: Request, receiver: Receiver) -> None:
        self._request = request
        self._settings = receiver.settings
        self._clock = receiver.context.reactor
        self._envelope = receiver.envelope
        self._intake = receiver.intake
        self._notices = receiver.notices
        self._api = receiver.api
        self._frames = receiver.frames
        self._whose: dict[str, Metadata] = {}
        """Metadata of uplinks by their identity, for downlinks that don't go with the answer."""
        self._is_gone = False
        self._let_go: Callable[[], None] = lambda: None
        request.notifyFinish().addErrback(self._lost)

    def _lost(self, failure: Failure) -> None:
        self._is_gone = True
        self._let_go()

    def take(self, events: list[Told], facts: Metadata, seconds: float) -> None:
        """Hand on a request's contents with its metadata. The answer to a single uplink may wait ``seconds``
        for a downlink, unless a network sent it."""
        if len(events) == 1 and isinstance(events[0], Asked):
            self._ask(events[0])
            return
        gathering = Gathering(self._finish)
        if seconds and len(events) == 1 and not self._envelope.offers and self._api is None:
            (event,) = events
            if isinstance(event, Reading) and self._listens(event):
                answered = gathering.expect(event.identity)
                gathering.close()
                self._let_go = self._intake.receive_and_hold(
                    event.payload, event.metadata(facts), answered, seconds
                )
                return

        def hand_on(event: Told) -> None:
            if isinstance(event, Reading):
                answered = gathering.expect(event.identity)
                metadata = event.metadata(facts)
                if self._api is not None:
                    self._whose[event.identity] = metadata
                key = event.name if self._envelope.keys_last else ""
                listens = self._listens(event)
                into = self._intake if self._frames is None else self._frames
                into.receive(event.payload, metadata, answered, listens=listens, key=key)
            elif (taken := self._notices.take(event)) is not None:
                gathering.wait_for(taken)

        in_pieces(self._clock, iter(events), hand_on, lambda _: gathering.close())

    def refuse(self, content: bytes) -> None:
        """Answer with a problem, whose head is set already."""
        if not self._is_gone:
            send(self._request, content)
            self._request.finish()

    def _ask(self, asked: Asked) -> None:
        """Answer a network that wants what waits for a device."""
        found = self._intake.downlinks(asked.device, 1)
        found.addErrback(lambda _: ()).addCallback(self._give, asked)

    def _give(self, items: tuple[Downlink, ...], asked: Asked) -> None:
        request, envelope = self._request, self._envelope
        if self._is_gone:
            self._return(items)
            return
        request.setResponseCode(envelope.status or 200)
        for item in items:
            try:
                command, network = envelope.answer(asked, item)
            except ValueError as reason:
                self._intake.downlink_refused(item, str(reason))
                continue
            request.setHeader(b"content-type", (command.content_type or "application/json").encode())
            request.setHeader(b"x-downlink-id", item.id.encode())
            send(request, command.payload)
            self._intake.downlink_offered(item, network)
            self._lose_if_unheard(item)
        request.finish()

    def _lose_if_unheard(self, item: Downlink) -> None:
        self._request.notifyFinish().addErrback(lambda failure: self._lose((item,)))

    def _call_for(self, api: ApiDownlinks) -> None:
        """Send what waits for the devices of this request by the API; the answer doesn't wait for that."""
        for identity, metadata in self._whose.items():
            found = self._intake.downlinks(identity, 1)
            found.addErrback(lambda _: ()).addCallback(partial(api.send, metadata))

    def _listens(self, reading: Reading) -> bool:
        if self._api is not None:
            return False
        said = self._settings.answers_reach_device
        return reading.listens if said is None else said

    def _finish(self, answer: Answer, items: Items) -> None:
        request = self._request
        if self._api is not None:
            self._call_for(self._api)
        if self._is_gone:
            self._return(item for _, item in items)
            return
        if answer.message_id:
            request.setHeader(b"x-message-id", answer.message_id.encode())
        if answer.status is Status.BUSY:
            request.setHeader(b"retry-after", b"%d" % max(1, round(answer.retry_after)))
            status, why = (429, "beyond a limit") if answer.is_limited else (503, "the gateway is full")
            send(request, problem(request, status, f"{why}; come back later"))
        elif answer.status is Status.TOO_LARGE:
            send(request, problem(request, 413, "expected a smaller message"))
        elif answer.reply is not None:
            request.setHeader(b"content-type", CONTENT_TYPES[answer.reply.content_type])
            send(request, answer.reply.payload)
        elif items:
            items = self._write(items)
        elif answer.status is Status.REFUSED and not self._envelope.is_network:
            send(request, problem(request, 403, "nobody knows this device"))
        elif answer.status is Status.FAILED and not self._envelope.is_network:
            send(request, problem(request, 422, "stored, but its converter failed; see the message"))
        else:
            self._answer_plainly()
        self._return(item for _, item in items)
        request.finish()

    def _answer_plainly(self) -> None:
        """Say that it is stored, and nothing else."""
        settings, request = self._settings, self._request
        if settings.answer is None:
            plain = 200 if settings.replace_no_content_to_ok else 204
            request.setResponseCode(self._envelope.status or plain)
            return
        request.setResponseCode(settings.answer.status)
        if settings.answer.body:
            request.setHeader(b"content-type", settings.answer.content_type.encode("latin-1", "replace"))
            send(request, settings.answer.body.encode())

    def _return(self, items: Iterable[Downlink]) -> None:
        """Return downlinks to the queue; they wait for the next answer."""
        for item in items:
            self._intake.downlink_returned(item)

    def _write(self, items: Items) -> Items:
        """Send the downlinks that fit the response; returns the rest."""
        request, load = self._request, self._envelope.load(items)
        for item, reason in load.unfit:
            self._intake.downlink_lost(item, reason)
        settled = {item.id for item in load.carried} | {item.id for item, _ in load.unfit}
        rest = [each for each in items if each[1].id not in settled]
        if load.command is None:
            self._answer_plainly()
            return rest
        first = load.carried[0]
        content_type = load.command.content_type
        if content_type is None:
            request.setHeader(b"content-type", CONTENT_TYPES[first.content_type])
        elif content_type:
            request.setHeader(b"content-type", content_type.encode())
        request.setHeader(b"x-downlink-id", first.id.encode())
        send(request, load.command.payload)
        is_offer = self._envelope.offers
        for item in load.carried:
            self._intake.downlink_offered(item) if is_offer else self._intake.downlink_sent(item)
        request.notifyFinish().addCallbacks(
            lambda _: None if is_offer else self._deliver(load.carried),
            lambda failure: self._lose(load.carried),
        )
        return rest

    def _deliver(self, items: tuple[Downlink, ...]) -> None:
        for item in items:
            self._intake.downlink_delivered(item, is_certain=False)

    def _lose(self, items: tuple[Downlink, ...]) -> None:
        for item in items:
            self._intake.downlink_lost(item, "the connection closed before the answer was out")
