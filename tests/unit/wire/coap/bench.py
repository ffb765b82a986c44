"""A test bench: an endpoint with a fake clock, and a peer made of raw messages."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, decode, encode, options, uri_options
from iotgw.wire.coap.site import Resource, Site
from iotgw.wire.coap.timing import DEFAULT_POLICY, Policy

PEER = ("192.0.2.1", 40000)
STORED = Message(n.CHANGED)
OTHER = ("192.0.2.2", 40000)


class Box(Resource):
    """A resource that keeps what it gets, and answers at once, or when told with `answer`."""

    methods = frozenset((n.GET, n.POST, n.PUT, n.DELETE))

    def __init__(
        self,
        response: Message | None = STORED,
        policy: Policy = DEFAULT_POLICY,
        **attributes: object,
    ) -> None:
        self.response = response
        self.policy = policy
        self.requests: list[Message] = []
        self.exchanges: list[Exchange] = []
        self.__dict__.update(attributes)

    def render(self, request: Message, exchange: Exchange) -> None:
        self.requests.append(request)
        self.exchanges.append(exchange)
        if self.response is not None:
            exchange.reply(self.response)


class Boom(Resource):
    def render(self, request: Message, exchange: Exchange) -> None:
        raise ZeroDivisionError("boom")


class Bench:
    """An endpoint with a clock that stands still until `advance`; what it sends is in ``sent``."""

    def __init__(self, resources: dict[str, Resource] | None = None, **settings: object) -> None:
        self.now = 1000.0
        self.sent: list[tuple[Message, object]] = []
        self.raw: list[bytes] = []
        self.times: list[float] = []
        self.failures: list[Exception] = []
        self.site = Site()
        for path, resource in (resources or {}).items():
            self.site.add(tuple(path.split("/")) if path else (), resource)
        self.mid = 100
        self.endpoint = Endpoint(
            self.site,
            self._send,
            lambda: self.now,
            random=Random(1),
            failed=lambda error, request: self.failures.append(error),
            **settings,
        )

    def prove(self, remote: object = PEER) -> Bench:
        """Have a peer's address count as real, so that errors have their whole text."""
        self.endpoint.proved(remote)
        return self

    def _send(self, data: bytes, remote: object) -> None:
        self.sent.append((decode(data), remote))
        self.raw.append(data)
        self.times.append(self.now)

    def take(self) -> list[Message]:
        """What was sent since the last call."""
        messages = [message for message, _ in self.sent]
        self.sent.clear()
        self.raw.clear()
        self.times.clear()
        return messages

    def put_in(self, data: bytes, remote: object = PEER, multicast: bool = False) -> list[Message]:
        """Hand in a datagram; what is sent at once."""
        self.take()
        self.endpoint.datagram(data, remote, self.now, multicast)
        return self.take()

    def ask(
        self,
        code: int,
        path: str,
        payload: bytes = b"",
        *pairs: tuple[int, int | bytes | str],
        type: int = n.CON,
        token: bytes = b"\xaa\xbb",
        mid: int | None = None,
        remote: object = PEER,
        multicast: bool = False,
    ) -> list[Message]:
        """Send a request; what comes back at once."""
        if mid is None:
            self.mid = mid = self.mid + 1
        data = encode(type, code, mid, token, options(*uri_options(path), *pairs), payload)
        return self.put_in(data, remote, multicast)

    def one(
        self,
        code: int,
        path: str,
        payload: bytes = b"",
        *pairs: tuple[int, int | bytes | str],
        **more: object,
    ) -> Message:
        """`ask`, with exactly one answer."""
        (answer,) = self.ask(code, path, payload, *pairs, **more)
        return answer

    def advance(self, seconds: float) -> list[Message]:
        """Let time pass, timer by timer; what is sent meanwhile."""
        end = self.now + seconds
        while True:
            due = self.endpoint.poll(self.now)
            if due is None or due > end:
                break
            self.now = max(self.now, due)
        self.now = end
        self.endpoint.poll(end)
        return self.take()

    def until(self, condition: Callable[[], bool], limit: float = 1000) -> None:
        """Let time pass until something is true."""
        end = self.now + limit
        while not condition():
            due = self.endpoint.poll(self.now)
            assert due is not None and due <= end, "it never becomes true"
            self.now = max(self.now, due)
