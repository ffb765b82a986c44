"""An exchange: a request that came in, and the reply that it gets now or later (RFC 7252 §5.2)."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol

from msgspec import Struct

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.peers import Peer
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy


class Responder(Protocol):
    """What an exchange needs of its endpoint."""

    def acknowledge(self, exchange: Exchange) -> None:
        """Send the empty ACK of an exchange; its response will be a message of its own."""

    def settle(self, exchange: Exchange, reply: bytes, bare: int | None = None) -> None:
        """Remember the reply for duplicates of a request; ``bare`` is the code of a reply that consists of code and
        token only."""

    def respond(self, exchange: Exchange, response: Message | None) -> None:
        """Send a response the way its request asks for; None sends only an acknowledgement."""

    def shape_and_respond(self, exchange: Exchange, response: Message) -> None:
        """Fit a response to what its request asks for (block-wise, Observe, No-Response …) and send it."""

    def respond_raw(self, exchange: Exchange, response: Message) -> None:
        """Send a response that comes from the server itself, about one block, and not from the resource."""

    def fail(self, exchange: Exchange, problem: BaseException) -> None:
        """An exception in a resource: report it, and answer 5.00 if there is no reply yet."""

    def changed_at(self, path: tuple[str, ...]) -> None:
        """The resource at a path has changed: notify its observers."""


class Exchange(Struct, eq=False):
    """What a handler replies to.

    ``request`` is the whole request, its body assembled; ``rest`` the path segments behind those
    that the resource was added under; ``multicast`` tells that it was sent to a group.
    """

    endpoint: Responder
    peer: Peer
    request: Message
    type: int
    mid: int
    token: bytes
    key: int
    received: float
    content: int = 0
    """By which `Remembered` tells it from another with its Message ID."""
    ack_due: float = 0.0
    acknowledged: bool = False
    """With an empty ACK."""
    replied: bool = False
    multicast: bool = False
    rest: tuple[str, ...] = ()
    policy: Policy = DEFAULT_POLICY
    on_acknowledged: Callable[[], None] | None = None
    on_lost: Callable[[str], None] | None = None

    @property
    def remote(self) -> Hashable:
        """The peer's address, or its session."""
        return self.peer.remote

    def ignore(self) -> None:
        """Send no response. A NON request gets nothing, a CON request only its acknowledgement."""
        self.replied = True
        self.endpoint.settle(self, b"")

    def acknowledge(self) -> None:
        """Send the empty ACK at once, so that the reply becomes a separate message whose arrival the peer
        acknowledges."""
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
        response is never acknowledged. Then the call comes with the peer's next request, or after
        EXCHANGE_LIFETIME without one, and says only that the peer no longer waits. For a block-wise body the
        call comes when the last block is requested. ``on_lost(reason)`` is called when a separate response was
        reset or given up, or when a body was not fetched.
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
