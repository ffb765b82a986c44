"""An exchange: a request that came in, and the reply that it gets now or later (RFC 7252 §5.2)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy


class Responder(Protocol):
    """What an exchange needs of its endpoint."""

    def acknowledge(self, exchange: Exchange) -> None:
        """Send the empty ACK of an exchange; its response will be a message of its own."""

    def settle(self, exchange: Exchange, reply: bytes, bare: int | None = None) -> None:
        """Remember what copies of a request get; ``bare`` is the code of a reply that is only that and the token."""

    def respond(self, exchange: Exchange, response: Message | None) -> None:
        """Send a response the way its request asks for; None sends no more than an acknowledgement."""

    def shape_and_respond(self, exchange: Exchange, response: Message) -> None:
        """Fit a response to what its request asks for (block-wise, Observe, No-Response …) and send it."""

    def respond_raw(self, exchange: Exchange, response: Message) -> None:
        """Send a response that is not the resource's: the server's word on one block."""

    def fail(self, exchange: Exchange, problem: BaseException) -> None:
        """An exception in a resource: report it, and answer 5.00 if there is no reply yet."""

    def changed_at(self, path: tuple[str, ...]) -> None:
        """What is at a path has changed: tell its observers."""


class Exchange:
    """What a handler replies to.

    ``request`` is the whole request, its body assembled; ``rest`` the path segments behind those
    that the resource was added under; ``multicast`` tells that it was sent to a group.
    """

    __slots__ = (
        "ack_due",
        "acknowledged",
        "endpoint",
        "key",
        "mid",
        "multicast",
        "on_acknowledged",
        "on_lost",
        "peer",
        "policy",
        "received",
        "replied",
        "request",
        "rest",
        "token",
        "type",
    )

    def __init__(self, endpoint: Responder, peer: Peer, request: Message, key: int, now: float) -> None:
        self.endpoint = endpoint
        self.peer = peer
        self.request = request
        self.type = request.type
        self.mid = request.mid
        self.token = request.token
        self.key = key
        self.received = now
        self.ack_due = now + 0.5
        self.acknowledged = False  # with an empty ACK
        self.replied = False
        self.multicast = False
        self.rest: tuple[str, ...] = ()
        self.policy: Policy = DEFAULT_POLICY
        self.on_acknowledged: Callable[[], None] | None = None
        self.on_lost: Callable[[str], None] | None = None

    @property
    def remote(self) -> Hashable:
        """The peer's address, or its session."""
        return self.peer.remote

    def ignore(self) -> None:
        """Give no response: nothing at all to NON; CON is acknowledged by the reply that it repeats for."""
        self.replied = True
        self.endpoint.settle(self, b"")

    def acknowledge(self) -> None:
        """Send the empty ACK at once, so that the reply is a message of its own whose arrival is known."""
        if self.type == n.CON and not self.acknowledged and not self.replied:
            self.endpoint.acknowledge(self)

    def reply(
        self,
        response: Message,
        on_acknowledged: Callable[[], None] | None = None,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        """Send the response: code, options and payload of ``response``. Once per exchange.

        ``on_acknowledged()`` is called when the peer has acknowledged a separate response. A piggybacked
        one is never acknowledged: then the call comes with the peer's next request, or when none has come
        for EXCHANGE_LIFETIME, which says only that it has stopped waiting. For a body that goes in blocks it comes when the last one is asked for.
        ``on_lost(reason)`` is called when a separate response was reset or given up, or a body not fetched.
        """
        if self.replied:
            raise RuntimeError("this exchange has its reply")
        self.replied = True
        self.on_acknowledged = on_acknowledged
        self.on_lost = on_lost
        size = len(response.payload)
        if self.request.options.is_plain and (
            not size or (size <= self.policy.block_size and not self.policy.amplification)
        ):
            self.endpoint.respond(self, response)
        else:
            self.endpoint.shape_and_respond(self, response)
