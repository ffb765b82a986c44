"""A CoAP endpoint on a UDP socket, shared by the datasources that name the same port."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from iotgw.core.allowance import Allowance
from iotgw.core.model import Metadata
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.socket.udp_socket import Address, UdpSocket
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.discovery import WELL_KNOWN_CORE, Discovery
from iotgw.wire.coap.endpoint import Endpoint
from iotgw.wire.coap.message import Message, error
from iotgw.wire.coap.message_layer import Send
from iotgw.wire.coap.site import Path, Resource, Site
from iotgw.wire.coap.timing import DEFAULT, Policy, Timing

LINES_PER_MINUTE = 30
"""Log lines about faulty peers in all: addresses can be forged, so a limit per address is not enough."""
RETRY_AFTER = 10
"""Seconds after which a device may try again, whose datasource isn't open."""
NOT_OPEN = error(n.SERVICE_UNAVAILABLE, "not open now", (n.MAX_AGE, RETRY_AFTER))
"""What such a device is told. Its resources may be there again soon, so this is no 4.04."""


class CoapPort:
    """Endpoint, socket and timer. ``clock`` is the time in seconds, monotonic."""

    log = Logger()
    scheme = "coap"

    def __init__(
        self, reactor: IReactor, port: int, interface: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._is_closed = False
        self._due = 0.0
        self.unserved: Callable[[str, str], bool] = lambda host, path: False
        """Told of a peer's address and the path that it asked for, if nobody serves that; says whether the peer gets no
        answer."""
        self.admits: Callable[[str], bool] | None = None
        """Says whether anybody here takes what comes from an address; None is all of them."""
        self._lines = Allowance(reactor, 1)
        self._all_lines = Allowance(reactor, LINES_PER_MINUTE)
        self._timings: list[Timing] = []
        self._discoveries: list[Policy | None] = []
        self._resets: list[bool] = []
        self.site = Site()
        self.socket = UdpSocket(reactor, port, interface, self._received, self._schedule)
        self.endpoint = Endpoint(self.site, self._sender(), clock, notice=self._notice, failed=self._failed)
        self.socket.start()

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self.socket.address

    def add(
        self,
        resources: dict[Path, Resource],
        timing: Timing,
        discovery: Policy | None = None,
        resets: bool = True,
    ) -> None:
        """Serve resources, and ``/.well-known/core`` if it has a policy. Non-confirmable notifications that nobody observes are
        reset if all users want that (``resets``).

        Raises KeyError with the path that is taken, and then serves none of them.
        """
        added: list[Path] = []
        try:
            for path, resource in resources.items():
                self.site.add(path, resource)
                added.append(path)
        except KeyError:
            for path in added:
                self.site.remove(path)
            raise
        self._timings.append(timing)
        self._discoveries.append(discovery)
        self._resets.append(resets)
        self._reckon()

    def remove(
        self,
        resources: dict[Path, Resource],
        timing: Timing,
        discovery: Policy | None = None,
        resets: bool = True,
    ) -> None:
        """Stop serving resources, and tell their observers to come back later."""
        for path, resource in resources.items():
            self.site.remove(path)
            self.endpoint.server.observers.drop(resource, NOT_OPEN)
        self._timings.remove(timing)
        self._discoveries.remove(discovery)
        self._resets.remove(resets)
        self._reckon()

    def close(self) -> Deferred[None]:
        """Stop listening."""
        self.socket.stop()
        self._is_closed = True
        if self._call is not None:
            self._call.cancel()
            self._call = None
        return succeed(None)

    def _reckon(self) -> None:
        """Remember messages for as long as the slowest peer may retransmit them; answer discovery if any user
        wants it."""
        slowest = max(self._timings, key=lambda timing: timing.exchange_lifetime, default=DEFAULT)
        self.endpoint.set_timing(slowest)
        self.endpoint.resets_notifications = all(self._resets)
        wanted = next((policy for policy in self._discoveries if policy is not None), None)
        if WELL_KNOWN_CORE in self.site:
            self.site.remove(WELL_KNOWN_CORE)
        if wanted is not None:
            self.site.add(WELL_KNOWN_CORE, Discovery(self.site, wanted))

    # --- datagrams and time ---

    def _sender(self) -> Send:
        """The function that sends the endpoint's datagrams."""
        return self.socket.send

    def _received(self, data: bytes, address: Address) -> None:
        if self.admits is not None and not self.admits(address[0]):
            return
        self.endpoint.datagram(data, address, self._clock())

    def _schedule(self) -> None:
        """Schedule `_poll` for when the endpoint has something to do."""
        due = self.endpoint.deadline
        if due is None or self._is_closed:
            return
        if self._call is not None:
            if due >= self._due:
                return
            self._call.cancel()
        self._due = due
        self._call = self._reactor.callLater(max(0.0, due - self._clock()), self._poll)

    def _poll(self) -> None:
        self._call = None
        self.endpoint.poll(self._clock())
        self._schedule()

    def sent(self) -> None:
        """Something was sent outside of a datagram's handling: schedule its retransmission."""
        self._schedule()

    def peer_of(self, metadata: Metadata) -> Hashable:
        """The endpoint's ``remote`` of the peer whose uplink had this metadata; None when it is gone."""
        host, number = metadata.get("remoteIp", ""), metadata.get("remotePort", 0)
        return (host, number, 0, 0) if ":" in host else (host, number)

    def statistics(self) -> dict[str, Any]:
        """Which port it is, the endpoint's counters and contents, for the API."""
        endpoint = self.endpoint
        host, number = self.address[:2]
        return {
            "listener": f"{self.scheme} {host}:{number}",
            **vars(endpoint.counters),
            "evicted": endpoint.remembered.evicted,
            "retransmitted": endpoint.transmissions.retransmitted,
            "remembered": len(endpoint.remembered),
            "peers": len(endpoint.peers),
            "unsent": self.socket.unsent,
        }

    # --- what is worth a line ---

    def _notice(self, kind: str, remote: Hashable, text: str) -> bool:
        host = address_of(remote)
        if kind == "unserved":
            return self.unserved(host, text)
        if self._may_say(f"{kind} {host}"):
            self.log.info("{kind} CoAP datagram from {host}: {text}", kind=kind, host=host, text=text)
        return False

    def _failed(self, error: BaseException, request: Message) -> None:
        if self._may_say(f"failed {request.options.path}"):
            self.log.error("a CoAP resource failed: {error!r} ({request})", error=error, request=str(request))

    def _may_say(self, what: str) -> bool:
        """Whether to log this fault: one line a minute for each host, and not too many in all."""
        return self._lines.take(what) is not None and self._all_lines.take("") is not None


def address_of(remote: Hashable) -> str:
    """The network address of an endpoint's ``remote``: a UDP address, or a session that has one."""
    address = remote if isinstance(remote, tuple) else getattr(remote, "address", ("",))
    return str(address[0])
