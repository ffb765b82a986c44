"""A CoAP endpoint: the message layer combined with the server and client roles.

One `Endpoint` per socket or per DTLS listener. It is both server and client.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from random import Random

from iotgw.wire.coap.client import Client
from iotgw.wire.coap.limits import DEFAULT_LIMITS, EndpointLimits
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.message_layer import Clock, Failed, MessageLayer, Notice, Send
from iotgw.wire.coap.pending import LongBody, PendingRequest, Unanswered, Watch
from iotgw.wire.coap.server import Server
from iotgw.wire.coap.site import Resource, Site
from iotgw.wire.coap.timing import DEFAULT, DEFAULT_POLICY, Policy, Timing
from iotgw.wire.coap.watching import Watcher


class Endpoint(MessageLayer):
    """A CoAP endpoint without I/O.

    ``send(data, remote)`` puts a datagram on its way; ``clock()`` is the time in seconds, monotonic; a
    ``remote`` is any hashable. ``timing`` sets how long `Remembered` keeps messages; on a shared port it is the
    slowest user's. ``notice(kind, remote, text)`` is called for events worth a (sampled) log line; a request that nobody serves gets no answer where it is true. ``failed(error,
    request)`` for exceptions in resources.
    """

    server: Server
    client: Client

    def __init__(
        self,
        site: Site,
        send: Send,
        clock: Clock,
        *,
        timing: Timing = DEFAULT,
        limits: EndpointLimits = DEFAULT_LIMITS,
        random: Random | None = None,
        notice: Notice = lambda kind, remote, text: False,
        failed: Failed = lambda error, request: None,
    ) -> None:
        super().__init__(send, clock, timing, limits, random, notice, failed)
        self.site = site
        self.server = Server(self, site)
        self.client = Client(self, self.server.budget)

    def request(
        self,
        request: Message,
        remote: Hashable,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
        policy: Policy = DEFAULT_POLICY,
        begun: Callable[[], None] | None = None,
        within: float = 0.0,
        body: LongBody | None = None,
    ) -> PendingRequest:
        """Send a request to a peer as a client and wait for its response; see `Client.request`."""
        self._begin()
        return self.client.request(request, remote, done, failed, policy, begun, within, body)

    def observe(
        self,
        request: Message,
        remote: Hashable,
        done: Callable[[Message], None],
        failed: Callable[[Unanswered], None],
        watcher: Watcher,
        policy: Policy = DEFAULT_POLICY,
        within: float = 0.0,
        token: bytes = b"",
    ) -> Watch:
        """Observe a resource of a peer as a client; see `Client.observe`."""
        self._begin()
        return self.client.observe(request, remote, done, failed, watcher, policy, within, token)

    def proved(self, remote: Hashable) -> None:
        """A peer has shown that it gets what is sent to its address."""
        now = self.clock()
        self.client.proved(self.peers.get(remote, now), now)

    def _begin(self) -> None:
        if not self._is_sweeping:
            self._begin_sweeping(self.clock())

    def changed(
        self,
        resource: Resource,
        rest: tuple[str, ...] | None = None,
        only: tuple[int, bytes] | None = None,
    ) -> None:
        """A resource's state has changed: tell its observers (those of the paths that end in ``rest``, or ``only`` the one
        of that key; see `Resource.observed`)."""
        self.server.observers.changed(resource, self.clock(), rest, only)
