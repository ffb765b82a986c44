"""Any device over plain TCP: ThingsBoard's TCP integration, with its handlers TEXT, BINARY and JSON, and HEX and RAW.

A downlink goes back on the same connection. Mostly only the converter knows which device it is. So while items
are queued, an answer waits for the name that the converter gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.needs import Need, TcpPort
from iotgw.core.patterns import pattern
from iotgw.core.ports.datasources import DatasourceContext, IChecksAddresses, IDatasource, IListens, INeeds
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.openness import unproved
from iotgw.datasources.socket.connection import DeviceConnection
from iotgw.datasources.socket.handlers import Handler, Registration, TextHandler, framer
from iotgw.datasources.socket.stream import StreamSettings, StreamSource
from iotgw.wire.framing import Events, Fault, Frame
from iotgw.wire.registration import as_name


class TcpSettings(StreamSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``tcp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port.")] = 10560
    handler: Annotated[
        Handler,
        Meta(description="What a message is: `type` TEXT, BINARY, JSON, HEX or RAW, and its own settings."),
    ] = TextHandler()
    registration: Annotated[
        Registration | None,
        Meta(description="Bytes that name the device, at the start of a connection or of each message."),
    ] = None
    heartbeat: Annotated[
        str,
        Meta(
            pattern=pattern("^([0-9A-Fa-f]{2}){0,64}$", "up to 64 bytes in hexadecimal, such as 0a0b"),
            description="A message of these bytes, in hexadecimal, only keeps the connection open.",
        ),
    ] = ""
    identity: Annotated[
        Literal["none", "address"],
        Meta(
            description="`address`: the peer's IP address names the device for downlinks, which then leave at once."
        ),
    ] = "none"


@implementer(INeeds, IChecksAddresses, IListens)
class TcpType:
    """The ``tcp`` datasources of a gateway."""

    name = "tcp"
    settings = TcpSettings

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def build(self, settings: TcpSettings, context: DatasourceContext) -> TcpDatasource:
        """See `IDatasourceType.build`."""
        return TcpDatasource(settings, context)

    def open_to_all(self, settings: TcpSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        return unproved(settings.interface)

    def needs(self, settings: TcpSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        return [TcpPort(settings.interface, settings.port)]


@implementer(IDatasource)
class TcpDatasource(StreamSource):
    """A TCP port for any device."""

    def __init__(self, settings: TcpSettings, context: DatasourceContext) -> None:
        super().__init__(settings, context, lambda connection: TcpSession(connection, settings))


class TcpSession:
    """One device's connection."""

    def __init__(self, connection: DeviceConnection, settings: TcpSettings) -> None:
        self._connection = connection
        self._handler = settings.handler
        self._framer = framer(settings.handler, settings.registration)
        self._heartbeat = bytes.fromhex(settings.heartbeat)
        self._silence: IDelayedCall | None = None
        self._sent: list[Downlink] = []
        self._facts: Metadata = {**connection.metadata, "contentType": settings.handler.content_type}
        self._forget: Callable[[], None] | None = None
        self._identity = ""
        """The device that a converter named, if the address doesn't."""
        self._is_by_address = settings.identity == "address"
        if self._is_by_address:
            self._facts["identity"] = connection.host
            self._forget = connection.intake.reachable(connection.host, self._send)

    @property
    def pending(self) -> int:
        """See `iotgw.datasources.socket.connection.StreamSession`."""
        return self._framer.pending

    def received(self, data: bytes) -> None:
        """See `iotgw.datasources.socket.connection.StreamSession`."""
        # the connection has stayed up since the last downlink; TCP can't tell more than that
        self._sent = []
        self._take(self._framer.feed(data))
        if self._handler.pause:
            self._await_silence()

    def ended(self) -> None:
        """See `iotgw.datasources.socket.connection.StreamSession`."""
        self._stop_waiting()
        self._take(self._framer.close())

    def closed(self, clean: bool) -> None:
        """See `iotgw.datasources.socket.connection.StreamSession`."""
        self._stop_waiting()
        if self._forget is not None:
            self._forget()
        for downlink in self._sent:
            if not clean:
                self._connection.intake.downlink_lost(downlink, "the connection broke")
        self._sent = []

    def _await_silence(self) -> None:
        """A pause from now on ends the message that has begun."""
        self._stop_waiting()
        if self._framer.pending and self._connection.is_open:
            self._silence = self._connection.clock.callLater(self._handler.pause, self._fell_silent)

    def _stop_waiting(self) -> None:
        if self._silence is not None and self._silence.active():
            self._silence.cancel()
        self._silence = None

    def _fell_silent(self) -> None:
        self._silence = None
        if self._connection.is_paused:  # it is we who don't listen
            self._await_silence()
        else:
            self._take(self._framer.pause())

    def _take(self, events: Events) -> None:
        for framed in events:
            if isinstance(framed, Frame):
                if self._heartbeat and framed.data == self._heartbeat:
                    self._connection.count("heartbeats")
                    continue
                if framed.prefix and not self._is_by_address:
                    self._facts["identity"] = as_name(framed.prefix)
                    self._be_reachable(self._facts["identity"])
            for event in self._handler.read(framed):
                if isinstance(event, Fault):
                    self._connection.reject(event.data, self._facts, event.reason)
                    if event.ends:
                        self._connection.close()
                else:
                    facts = {**self._facts, "receivedTime": self._connection.now_ms()}
                    self._connection.submit(event.data, facts, self._answered)

    def _answered(self, answer: Answer) -> None:
        if answer.reply is not None:
            self._connection.reply(answer.reply)
        if answer.facts and not self._is_by_address:
            self._be_reachable(self._facts.get("identity") or self._connection.facts.get("identity", ""))
        self._send(answer.downlinks)

    def _be_reachable(self, identity: str) -> None:
        """A converter named the device: what is queued for it leaves on this connection."""
        if identity == self._identity or not self._connection.is_open:
            return
        if self._forget is not None:
            self._forget()
        self._identity = identity
        self._forget = self._connection.intake.reachable(identity, self._send) if identity else None

    def _send(self, downlinks: tuple[Downlink, ...]) -> None:
        connection = self._connection
        for downlink in downlinks:
            if connection.is_open:
                connection.write(downlink.payload)
                connection.intake.downlink_sent(downlink)
                self._sent.append(downlink)
            else:
                connection.intake.downlink_lost(downlink, "the device closed the connection")
