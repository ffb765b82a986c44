"""What all UDP datasources share: a port, one message per datagram, and replies to where it came from.

There is no connection, so a downlink can only go to the address of the last uplink, and must go at once, before
the operator's NAT forgets the binding. Further downlinks wait for the same client's next uplink, bounded in
number and age.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict, deque
from typing import Annotated, Any

from msgspec import Meta, Struct
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from zope.interface import implementer

from iotgw.core.model import Answer, DeviceReply, Downlink, Metadata, Status
from iotgw.core.needs import Need, UdpPort
from iotgw.core.networks import NOT_ALLOWED
from iotgw.core.ports.datasources import DatasourceContext, IChecksAddresses, IDatasource, IListens, INeeds
from iotgw.core.ports.intake import IIntake
from iotgw.core.ports.reactor import IReactor
from iotgw.core.urls import url
from iotgw.datasources.notices import Notices
from iotgw.datasources.openness import unproved
from iotgw.datasources.sampling import SampledEvents
from iotgw.datasources.socket.udp_socket import Address, UdpSocket
from iotgw.envelopes.envelope import Envelope, Ignored, Malformed, Reading

LONGEST_REPLY = 1_400
"""Bytes of a converter's reply: who forges a sender's address must not get megabytes sent there."""
REPLIES = 1_000
"""Replies that are kept for retransmissions."""
CLIENTS = 10_000
"""Clients for whom replies can wait. Beyond that, the one that was silent for longest loses them."""


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


def _host(address: Address) -> str:
    """An address as text, an IPv4-mapped IPv6 address as IPv4."""
    host: str = address[0]
    return host.removeprefix("::ffff:") if "." in host else host


@implementer(INeeds, IChecksAddresses, IListens)
class DatagramType:
    """A kind of UDP datasource: a name, settings, and the envelope that they make."""

    name: str
    settings: type[DatagramSettings]

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def envelope(self, settings: Any) -> Envelope:
        """The envelope of a datasource with these settings."""
        raise NotImplementedError

    def build(self, settings: Any, context: DatasourceContext) -> DatagramSource:
        """See `IDatasourceType.build`."""
        return DatagramSource(settings, context, self.envelope(settings))

    def open_to_all(self, settings: DatagramSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return unproved(settings.interface)

    def needs(self, settings: DatagramSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        return [UdpPort(settings.interface, settings.port)]


@implementer(IDatasource)
class DatagramSource:
    """A UDP port. Its envelope says what a datagram means."""

    def __init__(self, settings: DatagramSettings, context: DatasourceContext, envelope: Envelope) -> None:
        self.settings = settings
        self.context = context
        self.intake = context.intake
        self.intake.sends_once = True
        self.counts: Counter[str] = Counter()
        self._envelope = envelope
        self._notices = Notices(context.intake, context.reactor, self.counts)
        self._replies = WaitingReplies(settings.cache_size, settings.time_to_live, self.intake)
        self._faults = SampledEvents(context.reactor, context.intake, "malformed")
        self._lost_replies = SampledEvents(context.reactor, context.intake, "reply.lost")
        self._said: OrderedDict[tuple[str | int, ...], DeviceReply] = OrderedDict()
        """The latest replies, by the key of their readings."""
        self._socket: UdpSocket | None = None

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
        urls = [url("udp", host, port)]
        return {"state": "listening", "address": f"udp {where}:{port}", "urls": urls, **self.counts}

    # --- datagrams ---

    def _datagram(self, data: bytes, address: Address) -> None:
        self.counts["datagrams"] += 1
        if not self.context.allow.has(address[0]):
            self.counts["refused"] += 1
            self.intake.refuse("network", _host(address), NOT_ALLOWED)
            return
        if not self.intake.room:
            # a datagram can't wait: it is lost unless the sender tries again
            self.counts["refused"] += 1
            return
        known = self._known(address)
        if len(data) > self.settings.max_datagram:
            reason = f"expected at most {self.settings.max_datagram} bytes, got {len(data)}"
            self._reject(data, known, address, reason)
            return
        now_ms = self.context.date_ms()
        for event in self._envelope.read(data, known, now_ms):
            if isinstance(event, Reading):
                self._submit(event, known, address, now_ms)
            elif isinstance(event, Malformed):
                self._reject(event.data, {**event.facts, **known}, address, event.reason)
            else:
                self._notices.take(event)
                if isinstance(event, Ignored) and (said := self._said.get(event.key)) is not None:
                    self._reply(address, said)

    def _known(self, address: Address) -> Metadata:
        """What is known of every datagram."""
        return {
            "integrationName": self.context.name,
            "protocol": "udp",
            "remoteIp": _host(address),
            "remotePort": address[1],
        }

    def _reject(self, data: bytes, known: Metadata, address: Address, reason: str) -> None:
        """Count bytes that are no message; once per peer and minute, keep them and say so.

        Anybody can send datagrams from forged addresses; keeping all of them would invite floods.
        """
        self.counts["faults"] += 1
        host = address[0]
        if self._faults.note(host, f"a datagram from {host} is no message: {reason}"):
            self.intake.reject(data, known, reason)

    def _submit(self, reading: Reading, known: Metadata, address: Address, now_ms: int) -> None:
        def answered(answer: Answer) -> None:
            if answer.status is Status.BUSY:
                self.counts["refused"] += 1
                self._envelope.forget(reading)
            else:
                if answer.reply is not None:
                    self._reply(address, answer.reply)
                    self._remember(reading, answer.reply)
                self._answer(address, answer.downlinks, reading.identity)

        self.intake.receive(reading.payload, reading.metadata(known), answered, now_ms, reading.listens)

    def _remember(self, reading: Reading, reply: DeviceReply) -> None:
        """Keep a reply for retransmissions of its message, if the envelope can tell these."""
        if reading.key and len(reply.payload) <= LONGEST_REPLY:
            self._said[reading.key] = reply
            if len(self._said) > REPLIES:
                self._said.popitem(last=False)

    def _reply(self, address: Address, reply: DeviceReply) -> None:
        """Send what a converter has the client answered, as it is. The address may be forged, so it is no long text."""
        if self._socket is None or len(reply.payload) > LONGEST_REPLY:
            self.counts["repliesLost"] += 1
            if self._socket is not None:
                reason = f"expected at most {LONGEST_REPLY} bytes over UDP, got {len(reply.payload)}"
                self._lost_replies.note("", f"a converter's reply was not sent: {reason}")
            return
        self.counts["replies"] += 1
        self._socket.send(reply.payload, address)

    def _answer(self, address: Address, downlinks: tuple[Downlink, ...], identity: str) -> None:
        """Send one reply per uplink, the oldest; the others wait for the next uplink."""
        now = self.context.reactor.seconds()
        for downlink in downlinks:
            self._replies.add(address, downlink, now)
        first = self._replies.take(address, now)
        if first is None:
            return
        if self._socket is None:
            self.intake.downlink_lost(first, "the datasource was closed")
            return
        try:
            command = self._envelope.write(first, identity)
        except ValueError as reason:
            self.intake.downlink_lost(first, str(reason))
            return
        self._socket.send(command.payload, address)
        self.intake.downlink_sent(first)


class WaitingReplies:
    """Downlinks that wait for a client's next datagram, bounded by count, age and clients."""

    def __init__(self, size: int, time_to_live: float, intake: IIntake) -> None:
        self._size = size
        self._time_to_live = time_to_live
        self._intake = intake
        self._waiting: OrderedDict[Address, deque[tuple[float, Downlink]]] = OrderedDict()

    def add(self, address: Address, downlink: Downlink, now: float) -> None:
        """Add a reply for a client; if there are too many, the oldest goes back to the queue."""
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
