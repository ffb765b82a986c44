"""The resources of a server of LwM2M: ``/rd``, where devices register (Core §6.2), and ``/dp``, where they send (§6.4.6)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from iotgw.core.model import Answer, Status
from iotgw.datasources.lwm2m.registration import Said, objects_of, said
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.defence import size_of
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error, options
from iotgw.wire.coap.site import Path, Resource
from iotgw.wire.coap.timing import Policy
from iotgw.wire.lwm2m.values import CodecError

Reply = Callable[[Message], None]
FULL = "the gateway is full"
ID_SIZE = 12
"""Characters of a registration's id."""
BUSY = error(n.SERVICE_UNAVAILABLE, FULL, (n.MAX_AGE, 30))
LONGEST_LINKS = 16 << 10
"""Bytes of a device's links, which are kept for as long as it is registered; real devices send some hundred."""
TOO_MANY_LINKS = error(n.REQUEST_ENTITY_TOO_LARGE, f"expected links of at most {LONGEST_LINKS} bytes")
FORMATS = frozenset((None, n.LINK_FORMAT))


class Registrar(Protocol):
    """Who keeps the registrations. ``reply`` is called once, with the response, when all is durable."""

    def register(self, remote: Hashable, what: Said, links: bytes, reply: Reply) -> None:
        """A device registers."""

    def update(self, remote: Hashable, id: str, what: Said, links: bytes | None, reply: Reply) -> None:
        """A device updates its registration; ``links`` is None where it doesn't send them."""

    def deregister(self, remote: Hashable, id: str, reply: Reply) -> None:
        """A device says good-bye."""

    def sent(self, remote: Hashable, request: Message, reply: Reply) -> None:
        """A device sends values that nobody asked for."""


class _ForDevices(Resource):
    """A resource for devices that may be here. ``sent()`` is called after a reply that came outside of a datagram's handling;
    ``refuses`` says why a peer may not be here at all, empty if it may."""

    def __init__(
        self,
        registrar: Registrar,
        policy: Policy,
        sent: Callable[[], None],
        refuses: Callable[[Hashable], str],
    ) -> None:
        self.policy = policy
        self._registrar = registrar
        self._sent = sent
        self._refuses = refuses

    def render(self, request: Message, exchange: Exchange) -> None:
        """See `Resource.render`."""
        reply = replying(exchange, self._sent)
        if reason := self._refuses(exchange.remote):
            reply(error(n.UNAUTHORIZED, reason))
        else:
            self.take(request, exchange, reply)

    def take(self, request: Message, exchange: Exchange, reply: Reply) -> None:
        """Handle the request of a device that may be here."""
        raise NotImplementedError


class Rd(_ForDevices):
    """``POST /rd``, ``POST /rd/{id}`` and ``DELETE /rd/{id}``."""

    methods = frozenset((n.POST, n.PUT, n.DELETE))
    takes_rest = True

    def take(self, request: Message, exchange: Exchange, reply: Reply) -> None:
        """Register, update or deregister."""
        opts = request.options
        if len(exchange.rest) > 1:
            reply(Message(n.NOT_FOUND))
        elif request.code == n.DELETE:
            self._delete(exchange, reply)
        elif opts.get_uint(n.CONTENT_FORMAT) not in FORMATS and request.payload:
            reply(Message(n.UNSUPPORTED_CONTENT_FORMAT))
        elif len(request.payload) > LONGEST_LINKS:
            reply(TOO_MANY_LINKS)
        else:
            self._post(request, exchange, reply)

    def _post(self, request: Message, exchange: Exchange, reply: Reply) -> None:
        try:
            what = said(request.options.queries)
            if request.payload:
                objects_of(request.payload)
        except CodecError as flaw:
            reply(error(n.BAD_REQUEST, str(flaw)))
            return
        if exchange.rest:
            links = request.payload or None
            self._registrar.update(exchange.remote, exchange.rest[0], what, links, reply)
        else:
            self._register(request, exchange, what, reply)

    def _register(self, request: Message, exchange: Exchange, what: Said, reply: Reply) -> None:
        """The answer names the registration's id. It goes to an address that may be forged, so it must not be larger than what came
        from there; no registration that says what its device has is that small."""
        said_bytes = sum(1 + len(query.encode()) for query in request.options.queries) + len(request.payload)
        if exchange.peer.verified <= exchange.received and said_bytes <= ID_SIZE:
            reply(Message(n.BAD_REQUEST))
        else:
            self._registrar.register(exchange.remote, what, request.payload, reply)

    def _delete(self, exchange: Exchange, reply: Reply) -> None:
        if exchange.rest:
            self._registrar.deregister(exchange.remote, exchange.rest[0], reply)
        else:
            reply(Message(n.METHOD_NOT_ALLOWED))


class Dp(_ForDevices):
    """``POST /dp``: values that a device sends by itself (Core 1.1.1 §6.4.6)."""

    methods = frozenset((n.POST,))

    def take(self, request: Message, exchange: Exchange, reply: Reply) -> None:
        """Take what a device sends."""
        self._registrar.sent(exchange.remote, request, reply)


def replying(exchange: Exchange, sent: Callable[[], None]) -> Reply:
    """What replies to an exchange, now or later. What is left of the request's size may then be sent to find out whether its
    sender's address is real."""

    def reply(response: Message) -> None:
        exchange.peer.left(size_of(exchange.request) - size_of(response))
        exchange.reply(response)
        if exchange.acknowledged:
            sent()

    return reply


def created(path: Path, id: str) -> Message:
    """The response to a registration, with its place."""
    return Message(n.CREATED, b"", options(*((n.LOCATION_PATH, segment) for segment in (*path, id))))


def of_answer(answer: Answer, success: Message) -> Message:
    """The response that a gateway's answer stands for."""
    if answer.status is Status.BUSY:
        code = n.TOO_MANY_REQUESTS if answer.is_limited else n.SERVICE_UNAVAILABLE
        why = "beyond a limit" if answer.is_limited else FULL
        return error(code, why, (n.MAX_AGE, max(1, round(answer.retry_after))))
    if answer.status is Status.TOO_LARGE:
        return error(n.REQUEST_ENTITY_TOO_LARGE, "expected a smaller message")
    return success
