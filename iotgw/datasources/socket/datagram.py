"""What all UDP datasources share: a port, one message per datagram, and replies to where it came from.

A datagram needs no connection, so a downlink can only go to the address of the last uplink, and at once: the
operator's NAT forgets it. What doesn't fit the answer waits for the same client's next uplink, bounded in
number and in age.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from zope.interface import implementer

from iotgw.core.model import Answer, Downlink, Metadata, Status
from iotgw.core.ports.datasources import DatasourceContext, IDatasource
from iotgw.datasources.sampling import SampledEvents
from iotgw.datasources.socket.udp_socket import Address, UdpSocket

CLIENTS = 10_000
"""Clients for whom replies wait; beyond, the one that was silent for the longest loses them."""


class DatagramSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of every UDP datasource. Times are seconds, sizes bytes."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port.")]
    interface: Annotated[
        str,
        Meta(description="Address to listen on: `0.0.0.0` is all of IPv4, `::` all of IPv6 and IPv4."),
    ] = "0.0.0.0"
    max_datagram: Annotated[int, Meta(gt=0, le=65535, description="A larger datagram is kept as failed.")] = (
        4096
    )
    cache_size: Annotated[
        int, Meta(ge=1, description="Replies that wait for one client's next datagram.")
    ] = 10
    time_to_live: Annotated[
        float, Meta(gt=0, description="Seconds after which a waiting reply goes back to the queue.")
    ] = 240.0

    def __post_init__(self) -> None:
        """Refuse an interface that nothing could listen on."""
        ipaddress.ip_address(self.interface.partition("%")[0])


class Datagram:
    """One datagram on its way to the gateway."""

    __slots__ = ("_listener", "address", "data", "received_ms")

    def __init__(self, listener: DatagramListener, data: bytes, address: Address, received_ms: int) -> None:
        self._listener = listener
        self.data = data
        self.address = address
        self.received_ms = received_ms

    @property
    def metadata(self) -> Metadata:
        """What is known of every datagram."""
        host = self.address[0]
        return {
            "integrationName": self._listener.context.name,
            "protocol": "udp",
            "remoteIp": host.removeprefix("::ffff:") if "." in host else host,
            "remotePort": self.address[1],
        }

    def submit(
        self,
        payload: bytes,
        metadata: Metadata,
        encode: Callable[[Downlink], bytes],
        refused: Callable[[], None] = lambda: None,
        listens: bool = True,
    ) -> None:
        """Hand it to the gateway; a downlink of its answer goes back as ``encode`` writes it.

        ``refused`` is called when the gateway could not take it; ``listens`` is False for a device that
        takes no downlink.
        """
        self._listener.submit(self, payload, {**metadata, **self.metadata}, encode, refused, listens)

    def reject(self, reason: str, data: bytes | None = None) -> None:
        """These bytes are no message."""
        self._listener.reject(self, self.data if data is None else data, reason)


@implementer(IDatasource)
class DatagramListener:
    """A UDP port. A subclass says in ``received`` what a datagram means."""

    settings: Any

    def __init__(self, settings: DatagramSettings, context: DatasourceContext) -> None:
        self.settings = settings
        self.context = context
        self.intake = context.intake
        self.counts: Counter[str] = Counter()
        self._replies = Replies(settings.cache_size, settings.time_to_live, self.intake)
        self._faults = SampledEvents(context.reactor, context.intake, "malformed")
        self._socket: UdpSocket | None = None

    def received(self, datagram: Datagram) -> None:
        """A datagram came; `Datagram.submit` or `Datagram.reject` it."""
        raise NotImplementedError

    def now_ms(self) -> int:
        """The time in ms since 1970."""
        return int(self.context.reactor.seconds() * 1000)

    # --- IDatasource ---

    def start(self) -> Deferred[Any]:
        """Open the port."""
        return maybeDeferred(self._open)

    def _open(self) -> None:
        settings = self.settings
        self._socket = UdpSocket(self.context.reactor, settings.port, settings.interface, self._datagram)
        self._socket.start()

    @property
    def port(self) -> int:
        """The port that was opened; its settings may have said 0."""
        assert self._socket is not None
        return int(self._socket.address[1])

    def stop(self) -> Deferred[Any]:
        """Close the port; replies that wait go back to the queue."""
        if self._socket is not None:
            self._socket.stop()
            self._socket = None
        self._replies.clear()
        return succeed(None)

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`."""
        if self._socket is None:
            return {"state": "stopped"}
        host, port = self._socket.address[:2]
        where = f"[{host}]" if ":" in host else host
        return {"state": "listening", "address": f"udp {where}:{port}", **self.counts}

    # --- datagrams ---

    def _datagram(self, data: bytes, address: Address) -> None:
        self.counts["datagrams"] += 1
        datagram = Datagram(self, data, address, self.now_ms())
        if not self.intake.room:
            # a datagram can't wait: the sender may try again, or has lost this one
            self.counts["refused"] += 1
        elif len(data) > self.settings.max_datagram:
            datagram.reject(f"expected at most {self.settings.max_datagram} bytes, got {len(data)}")
        else:
            self.received(datagram)

    def reject(self, datagram: Datagram, data: bytes, reason: str) -> None:
        """Count bytes that are no message; once per peer and minute, keep them and say so.

        Anybody can send datagrams from any address: keeping all of them would be an invitation.
        """
        self.counts["faults"] += 1
        host = datagram.address[0]
        if self._faults.note(host, f"a datagram from {host} is no message: {reason}"):
            self.intake.reject(data, datagram.metadata, reason)

    def submit(
        self,
        datagram: Datagram,
        payload: bytes,
        metadata: Metadata,
        encode: Callable[[Downlink], bytes],
        refused: Callable[[], None],
        listens: bool,
    ) -> None:
        """See `Datagram.submit`."""
        address = datagram.address

        def answered(answer: Answer) -> None:
            if answer.status is Status.BUSY:
                self.counts["refused"] += 1
                refused()
            else:
                self._answer(address, answer.downlinks, encode)

        self.intake.receive(payload, metadata, answered, datagram.received_ms, listens)

    def _answer(
        self, address: Address, downlinks: tuple[Downlink, ...], encode: Callable[[Downlink], bytes]
    ) -> None:
        """One reply per uplink: the oldest; the others wait for the next."""
        now = self.context.reactor.seconds()
        for downlink in downlinks:
            self._replies.add(address, downlink, now)
        first = self._replies.take(address, now)
        if first is None:
            return
        if self._socket is None:
            self.intake.downlink_lost(first, "the datasource was closed")
            return
        self._socket.send(encode(first), address)
        self.intake.downlink_sent(first)


class Replies:
    """Downlinks that wait for a client's next datagram, bounded by count, age and clients."""

    def __init__(self, size: int, time_to_live: float, intake: Any) -> None:
        self._size = size
        self._time_to_live = time_to_live
        self._intake = intake
        self._waiting: OrderedDict[Address, deque[tuple[float, Downlink]]] = OrderedDict()

    def add(self, address: Address, downlink: Downlink, now: float) -> None:
        """One more for a client; the oldest goes back to the queue where there are too many."""
        waiting = self._waiting.setdefault(address, deque())
        self._waiting.move_to_end(address)
        waiting.append((now, downlink))
        if len(waiting) > self._size:
            self._lose(waiting.popleft()[1], "too many replies wait for this client")
        while len(self._waiting) > CLIENTS:
            for _, old in self._waiting.popitem(last=False)[1]:
                self._lose(old, "too many clients have replies waiting")

    def take(self, address: Address, now: float) -> Downlink | None:
        """The oldest that is not too old."""
        waiting = self._waiting.get(address)
        found = None
        while waiting and found is None:
            since, downlink = waiting.popleft()
            if now - since <= self._time_to_live:
                found = downlink
            else:
                self._lose(downlink, "it waited too long for the client's next datagram")
        if waiting is not None and not waiting:
            del self._waiting[address]
        return found

    def clear(self) -> None:
        """All go back to the queue."""
        for waiting in self._waiting.values():
            for _, downlink in waiting:
                self._lose(downlink, "the datasource was closed")
        self._waiting.clear()

    def _lose(self, downlink: Downlink, reason: str) -> None:
        self._intake.downlink_lost(downlink, reason)
