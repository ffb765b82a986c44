"""Any device over plain TCP: ThingsBoard's TCP integration, with its handlers TEXT, BINARY and JSON, and HEX.

A downlink goes back on the same connection. Mostly only the converter knows which device it is. So while items
are queued, an answer waits for the name that the converter gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from msgspec import Meta
from zope.interface import implementer

from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.needs import Need, TcpPort
from iotgw.core.ports.datasources import DatasourceContext, IChecksAddresses, IDatasource, IListens, INeeds
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.openness import unproved
from iotgw.datasources.socket.connection import DeviceConnection
from iotgw.datasources.socket.handlers import Handler, TextHandler
from iotgw.datasources.socket.stream import StreamSettings, StreamSource
from iotgw.wire.framing import Events, Fault


class TcpSettings(StreamSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``tcp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port.")] = 10560
    handler: Annotated[
        Handler,
        Meta(description="What a message is: `type` TEXT, BINARY, JSON or HEX, and its own settings."),
    ] = TextHandler()
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
        self._framer = settings.handler.framer()
        self._sent: list[Downlink] = []
        self._facts: Metadata = {**connection.metadata, "contentType": settings.handler.content_type}
        self._forget: Callable[[], None] | None = None
        if settings.identity == "address":
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

    def ended(self) -> None:
        """See `iotgw.datasources.socket.connection.StreamSession`."""
        self._take(self._framer.close())

    def closed(self, clean: bool) -> None:
        """See `iotgw.datasources.socket.connection.StreamSession`."""
        if self._forget is not None:
            self._forget()
        for downlink in self._sent:
            if not clean:
                self._connection.intake.downlink_lost(downlink, "the connection broke")
        self._sent = []

    def _take(self, events: Events) -> None:
        for framed in events:
            for event in self._handler.read(framed):
                if isinstance(event, Fault):
                    self._connection.reject(event.data, self._facts, event.reason)
                    if event.ends:
                        self._connection.close()
                else:
                    facts = {**self._facts, "receivedTime": self._connection.now_ms()}
                    self._connection.submit(event.data, facts, self._answered)

    def _answered(self, answer: Answer) -> None:
        self._send(answer.downlinks)

    def _send(self, downlinks: tuple[Downlink, ...]) -> None:
        connection = self._connection
        for downlink in downlinks:
            if connection.is_open:
                connection.write(downlink.payload)
                connection.intake.downlink_sent(downlink)
                self._sent.append(downlink)
            else:
                connection.intake.downlink_lost(downlink, "the device closed the connection")
