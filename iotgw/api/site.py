"""The HTTP listener's site: bodies are capped while they arrive, whatever they say about their length; so are
all bodies together, the connections, and the time that a request takes to come in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.web.http import _GenericHTTPChannelProtocol
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from iotgw.api.channel import DRAIN, ApiChannel
from iotgw.api.problems import Problem
from iotgw.api.spare_places import SparePlaces
from iotgw.api.visits import OF_ADDRESS, Tell, Visits, origin_of
from iotgw.core.descriptors import are_few
from iotgw.core.small_reads import read_at_most
from iotgw.core.trusted_proxies import NO_PROXIES, TrustedProxies, tcp_address

_ABSOLUTE = re.compile(rb"https?://[^/?]*", re.IGNORECASE)
RESERVED = ("api", "console", "health", "metrics")
"""First segments that are the API's, as far as others are concerned who want a place."""
OWN_PATHS = (("api", "v1"), ("api", "v2"), ("console",), ("health",), ("metrics",))
"""Paths that nobody else may serve, with all below them."""
SPARE = 12
"""How many of a listener's places are for the API alone. They take twice as many descriptors for a moment."""
PATIENCE = 5.0
"""Seconds in which a connection with such a place must ask for something."""
SWEEP = 2.0
"""Seconds between two looks for connections that take too long."""
ONE_READ = 2 << 10
"""Bytes that are read of a connection before others have their turn: a chunk of a body may have one byte, and take six."""
CHUNKS = 2000
"""Chunks of a body that may be as small as they like; some clients write each word in one of its own."""
LEAST = 16
"""Bytes that chunks must have on average where they are more."""
SERVER = b"iotgw"
"""What every answer says of the server."""
_FOR_ALL = frozenset(segment.encode() for segment in RESERVED)
_CROWDED = Problem(
    503, "too many connections are open; come back later", {"Retry-After": "10", "Connection": "close"}
)
_MANY_OF_ONE = Problem(
    503, "too many requests of this address are under way; come back later", {"Retry-After": "10"}
)


def _nothing() -> None:
    """No place was taken."""


class CappedBody(BytesIO):
    """A request's body in memory; when it is too much, it is dropped and ``excess`` counts its bytes."""

    def __init__(self, site: ApiSite) -> None:
        super().__init__()
        self._site = site
        self._size = 0
        self.excess = 0
        self.problem: Problem | None = None

    def write(self, data: Any) -> int:
        """Take a chunk, or drop it."""
        size = len(data)
        if self.problem is None:
            if self._size + size > self._site.max_body:
                self.problem = Problem(413, f"expected at most {self._site.max_body} bytes")
            elif self._site.buffered + size > self._site.max_buffered:
                self.problem = Problem(503, "too many requests are under way", {"Retry-After": "1"})
        if self.problem is not None:
            self.release()
            self.excess += size
            return size
        self._size += size
        self._site.buffered += size
        return super().write(data)

    def truncate(self, size: int | None = None) -> int:
        """Let go of what is behind ``size``, or behind the position."""
        kept = super().truncate(size)
        self._site.buffered -= max(0, self._size - kept)
        self._size = min(self._size, kept)
        return kept

    def release(self) -> None:
        """Let go of what is held; may be called again."""
        self.seek(0)
        self.truncate()


class ApiRequest(Request):
    """A request whose body is capped."""

    content: Any
    channel: Any
    path: bytes
    _end: Callable[[], None] = staticmethod(_nothing)
    _chunks = -1
    """How many came of a body that comes in chunks; -1 for another one."""
    _origin = ""
    """Whose this is, where a trusted proxy says so."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        site = self.channel.site
        site.visits.begins(self.channel.transport, site.reactor.seconds())

    def gotLength(self, length: int | None) -> None:
        """The head is complete."""
        self.channel.site.visits.has_head(self.channel.transport)
        self._chunks = 0 if length is None else -1
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """Take a chunk of the body; a peer that goes on and on is cut off."""
        if self._chunks >= 0:
            self._chunks += 1
            if self._chunks > CHUNKS and self._chunks * LEAST > self.content.tell() + self.content.excess:
                self.channel.refuse(Problem(400, f"expected chunks of at least {LEAST} bytes"), reads=False)
                return
        super().handleContentChunk(data)
        if self.content.excess > DRAIN:
            self.channel.loseConnection()

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """Take the whole request. Forms are not parsed, and no upload is mistaken for one: twisted looks for
        fields only when the body's position says that it isn't empty.

        The target may be a whole URL, as through a proxy and from some modems (RFC 9112 §3.2.2).
        """
        if self.channel.is_refused:
            return
        self.content.seek(0)
        if absolute := _ABSOLUTE.match(path):
            path = path[absolute.end() :]
            path = path if path.startswith(b"/") else b"/" + path
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """Answer what is too large here, for every resource."""
        site = self.channel.site
        site.visits.is_served(self.channel.transport)
        problem = self.content.problem
        if site.proxies and not self._admit_client():
            problem = problem or _MANY_OF_ONE
        if problem is None and self._is_crowded():
            problem = _CROWDED
        if problem is None:
            self._end = site.spare.begin(self.channel.transport)
            super().process()
            return
        body = problem.body()
        self.setResponseCode(problem.status)
        self.setHeader(b"Server", SERVER)
        for name, value in problem.headers.items():
            self.setHeader(name, value)
        self.setHeader(b"Content-Type", b"application/problem+json")
        self.setHeader(b"Content-Length", b"%d" % len(body))
        self.setHeader(b"Connection", b"close")
        self.write(body)
        self.finish()

    def _admit_client(self) -> bool:
        """Learn from a trusted proxy who the client is, and count this for it; returns whether it may have one more request
        answered."""
        site, peer = self.channel.site, getattr(self.client, "host", "")
        host = site.proxies.client(self, peer)
        if host == peer:
            return True
        self.client = tcp_address(host, 0)
        self._origin = origin_of(host)
        site.under_way[self._origin] += 1
        return bool(site.under_way[self._origin] <= site.of_address)

    def _leave(self) -> None:
        """This is no longer under way."""
        if self._origin:
            counts = self.channel.site.under_way
            counts[self._origin] -= 1
            if not counts[self._origin]:
                del counts[self._origin]
            self._origin = ""

    def _is_crowded(self) -> bool:
        """Whether this asks for something that isn't the API's, in a place that only the API has."""
        first = self.path.split(b"/", 2)[1] if b"/" in self.path else b""
        return self.channel.transport in self.channel.site.spare and first not in _FOR_ALL

    def finish(self) -> None:
        """The response is complete."""
        self._leave()
        self._end()
        self.content.release()
        site = self.channel.site
        site.visits.waits(self.channel.transport, site.reactor.seconds(), self.code < 400)
        super().finish()

    def connectionLost(self, reason: Any) -> None:
        """The client went away."""
        self._leave()
        if self.content is not None:
            self.content.release()
        super().connectionLost(reason)


class ApiSite(Site):
    """A site over a resource.

    ``max_body`` bounds one body in bytes, ``max_buffered`` all that are in memory, ``max_connections`` the
    clients, and ``of_address`` those of one address that isn't one of the ``proxies``: a further one takes the place of one that isn't
    being answered (`iotgw.api.visits`), and ``tell(address, message)`` hears of that. Of an address behind a proxy, ``of_address`` bounds the
    requests under way. ``timeout`` is in seconds, for an idle connection. A site that is not
    ``for_devices`` alone keeps its last places for the API, whatever devices do.
    """

    requestFactory = ApiRequest
    protocol = staticmethod(lambda: _GenericHTTPChannelProtocol(ApiChannel()))
    noisy = False
    displayTracebacks = False

    def __init__(
        self,
        resource: IResource,
        max_body: int = 4 << 20,
        max_buffered: int = 64 << 20,
        max_connections: int = 1000,
        timeout: float = 60.0,
        for_devices: bool = False,
        of_address: int = OF_ADDRESS,
        proxies: TrustedProxies = NO_PROXIES,
        tell: Tell = lambda address, message: None,
        reactor: IReactorTime | None = None,
    ) -> None:
        super().__init__(resource, timeout=timeout, reactor=reactor)
        self.max_body = max_body
        self.max_buffered = max_buffered
        self.max_connections = max_connections
        self.buffered = 0
        self.connections = 0
        self.spare = SparePlaces(0 if for_devices else min(SPARE, max_connections // 8))
        self.proxies = proxies
        self.of_address = of_address
        self.under_way: Counter[str] = Counter()
        """Requests that are being answered, of addresses behind a proxy."""
        self.visits = Visits(max_connections - self.spare.places, of_address, proxies.has, tell)
        self._sweeping: LoopingCall | None = None

    def startFactory(self) -> None:
        """A listener is open."""
        super().startFactory()
        self._sweeping = LoopingCall(lambda: self.visits.sweep(self.reactor.seconds()))
        self._sweeping.clock = self.reactor
        self._sweeping.start(SWEEP, now=False)

    def stopFactory(self) -> None:
        """The listener is closed."""
        if self._sweeping is not None and self._sweeping.running:
            self._sweeping.stop()
        super().stopFactory()

    def buildProtocol(self, addr: Any) -> Any:
        """A channel for a new client, unless there are too many."""
        spare, address = self.spare, getattr(addr, "host", "")
        is_last = are_few() or not self.visits.make_room(address)
        if is_last and spare.is_full:
            return None
        channel: Any = super().buildProtocol(addr)
        if channel is not None:
            self.connections += 1
            made, lost, leave, end_visit = channel.makeConnection, channel.connectionLost, _nothing, _nothing

            def admit(transport: Any) -> None:
                nonlocal leave, end_visit
                if is_last:
                    channel.timeOut = PATIENCE
                end_visit = self.visits.enter(transport, address, self.reactor.seconds(), is_last)
                read_at_most(transport, ONE_READ)
                made(transport)
                if is_last:
                    leave = spare.take(transport)

            def count_down(reason: Any) -> None:
                self.connections -= 1
                end_visit()
                leave()
                lost(reason)

            channel.makeConnection, channel.connectionLost = admit, count_down
        return channel

    def getResourceFor(self, request: Any) -> Any:
        """What answers a request. Twisted has named itself and its version by now; nobody need know them."""
        request.setHeader(b"server", SERVER)
        return super().getResourceFor(request)

    def getContentFile(self, length: int | None) -> CappedBody:
        """Where a request's body goes."""
        return CappedBody(self)

    def log(self, request: Any) -> None:
        """No line per request."""
