"""The request layer: from a new request to its resource, and back to what the request asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.site import Resource, error

if TYPE_CHECKING:
    from iotgw.wire.coap.endpoint import Endpoint


class Server:
    """What the endpoint does with requests; ``failed(error, request)`` hears of exceptions in resources."""

    def __init__(self, endpoint: Endpoint, failed: Callable[[Exception, Message], None]) -> None:
        self._endpoint = endpoint
        self._failed = failed

    def request(self, request: Message, exchange: Exchange, now: float) -> None:
        """Take a request that is no duplicate."""
        options = request.options
        if options.flaw is not None:
            self._refuse(exchange, *options.flaw)
            return
        found = self._endpoint.site.find(options.path)
        if found is None:
            self._refuse(exchange, n.NOT_FOUND, "")
            return
        resource, exchange.rest = found
        exchange.policy = resource.policy
        if request.code not in resource.methods:
            self._refuse(exchange, n.METHOD_NOT_ALLOWED, "")
            return
        self.render(resource, request, exchange)

    def render(self, resource: Resource, request: Message, exchange: Exchange) -> None:
        """Let the resource handle a whole request; an exception in it is a 5.00."""
        try:
            resource.render(request, exchange)
        except Exception as problem:
            self._endpoint.counters.errors += 1
            self._failed(problem, request)
            if not exchange.replied:
                exchange.reply(Message(n.INTERNAL_SERVER_ERROR))

    def shape(self, exchange: Exchange, response: Message) -> Message | None:
        """Fit a response to its request's options."""
        return response

    def is_reused(self, key: int, request: Message) -> bool:
        """Whether a known Message ID comes with a message that is another one."""
        return False

    def reset(self, peer: Peer, mid: int) -> bool:
        """A peer has reset a Non-confirmable message; returns whether that was a notification."""
        return False

    def forget(self, peer: Peer) -> None:
        """A peer is gone."""

    def _refuse(self, exchange: Exchange, code: int, reason: str) -> None:
        self._endpoint.counters.refused += 1
        if code == n.BAD_OPTION and exchange.type == n.NON:
            # RFC 7252 §5.4.1 rejects it; silence gives a spoofed address nothing
            self._endpoint.respond(exchange, None)
            exchange.replied = True
            return
        exchange.reply(error(code, reason))
