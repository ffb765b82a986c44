"""Dragino NB-IoT and LTE-M nodes, over TCP (``dragino``) and UDP (``dragino-udp``).

A node connects, sends one frame, waits a moment for a downlink, and closes. Nothing marks the frame's end:
it is the format's own, or a pause (see `iotgw.wire.dragino.stream`). The answer to a frame is its downlink;
nodes expect no other.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from zope.interface import implementer

from iotgw.core.model import Answer, Downlink, Metadata
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IDatasourceType
from iotgw.datasources.socket.connection import Connection
from iotgw.datasources.socket.datagram import Datagram, DatagramListener, DatagramSettings
from iotgw.datasources.socket.stream import Listener, Seconds, StreamSettings
from iotgw.wire.dragino import DraginoFrame, DraginoStream, Guesses, encode_downlink, metadata, parse
from iotgw.wire.dragino.downlink import Encoding
from iotgw.wire.framing import Fault

PATIENCE = 3
"""How many pauses bytes of no known layout are given to go on."""


class DraginoDevice(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What is set for one device, by its IMEI (G0: the last 12 digits)."""

    model: Annotated[
        str, Meta(description="Its model, where the frame doesn't tell; selects the converter.")
    ] = ""
    encoding: Encoding | None = None


DraginoDevices = Annotated[
    dict[str, DraginoDevice],
    Meta(
        description="By IMEI: `model` and `encoding`. Several models' frames look alike; this tells them apart."
    ),
]
DraginoEncoding = Annotated[
    Encoding,
    Meta(
        description="Form of downlinks: `raw` bytes, `asciihex` text, or `text` (AT commands, newer firmware)."
    ),
]


class DraginoSettings(StreamSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``dragino`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; the nodes' `AT+SERVADDR`.")] = 5600
    model: Annotated[str, Meta(description="Model of all nodes whose frames don't tell it.")] = ""
    pause: Annotated[
        Seconds,
        Meta(
            description="Silence that ends a frame of a known layout; three times as long ends any other. "
            "Shorter than the time that the nodes wait for a downlink (`AT+RXDL`)."
        ),
    ] = 1.0
    encoding: DraginoEncoding = "raw"
    devices: DraginoDevices = {}


class DraginoUdpSettings(
    DatagramSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``dragino-udp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port; the nodes' `AT+SERVADDR`.")] = 5600
    model: Annotated[str, Meta(description="Model of all nodes whose frames don't tell it.")] = ""
    encoding: DraginoEncoding = "raw"
    devices: DraginoDevices = {}


class Nodes:
    """What is set about nodes, and what follows from it for a frame. CoAP uses it as well."""

    def __init__(self, devices: dict[str, DraginoDevice], model: str, encoding: Encoding) -> None:
        self._devices = devices
        self._model = model
        self._encoding = encoding
        self._guesses = Guesses()

    def metadata(self, frame: DraginoFrame, received_ms: int) -> Metadata:
        """What converters get of a frame."""
        device = self._devices.get(frame.identity)
        model = device.model if device is not None and device.model else ""
        facts = metadata(frame, model, self._model, self._guesses)
        return {**facts, "identity": frame.identity, "receivedTime": received_ms}

    def encode(self, identity: str, downlink: Downlink) -> bytes:
        """A downlink in the form that its node wants."""
        device = self._devices.get(identity)
        encoding = device.encoding if device is not None and device.encoding else self._encoding
        return encode_downlink(downlink.payload, encoding)


@implementer(IDatasourceType)
class DraginoType:
    """The ``dragino`` datasources of a gateway."""

    name = "dragino"
    settings = DraginoSettings

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def build(self, settings: DraginoSettings, context: DatasourceContext) -> DraginoDatasource:
        """See `IDatasourceType.build`."""
        return DraginoDatasource(settings, context)


@implementer(IDatasource)
class DraginoDatasource(Listener):
    """A TCP port for Dragino nodes."""

    def __init__(self, settings: DraginoSettings, context: DatasourceContext) -> None:
        nodes = Nodes(settings.devices, settings.model, settings.encoding)
        super().__init__(
            settings, context, lambda connection: DraginoSession(connection, nodes, settings.pause)
        )


class DraginoSession:
    """One node's connection."""

    def __init__(self, connection: Connection, nodes: Nodes, pause: float) -> None:
        self._connection = connection
        self._nodes = nodes
        self._pause = pause
        self._stream = DraginoStream()
        self._sent: list[Downlink] = []
        self._reachable: dict[str, Any] = {}
        self._timer: Any = None

    @property
    def pending(self) -> int:
        """See `iotgw.datasources.socket.connection.Session`."""
        return self._stream.pending

    def received(self, data: bytes) -> None:
        """See `iotgw.datasources.socket.connection.Session`."""
        self._cancel()
        self._take(self._stream.feed(data))
        if self._stream.pending:
            pause = self._pause if self._stream.is_whole else PATIENCE * self._pause
            self._timer = self._connection.clock.callLater(pause, self._silence)

    def _silence(self) -> None:
        self._take(self._stream.pause())

    def ended(self) -> None:
        """See `iotgw.datasources.socket.connection.Session`."""
        self._cancel()
        self._take(self._stream.close())

    def closed(self, clean: bool) -> None:
        """See `iotgw.datasources.socket.connection.Session`."""
        self._cancel()
        for forget in self._reachable.values():
            forget()
        intake = self._connection.intake
        for downlink in self._sent:
            if not clean:
                intake.downlink_lost(downlink, "the connection broke")
            elif self._connection.is_heard:
                intake.downlink_delivered(downlink)
        self._sent = []

    def _take(self, events: Any) -> None:
        for event in events:
            frame = event.reason if isinstance(event, Fault) else parse(event.data)
            if isinstance(frame, DraginoFrame):
                self._frame(frame)
            else:
                self._connection.reject(event.data, {}, frame)
                self._connection.close()

    def _frame(self, frame: DraginoFrame) -> None:
        connection = self._connection
        facts = self._nodes.metadata(frame, connection.now_ms()) | connection.metadata

        def reply(downlinks: tuple[Downlink, ...]) -> None:
            self._reply(frame.identity, downlinks)

        def answered(answer: Answer) -> None:
            reply(answer.downlinks)

        if frame.identity not in self._reachable and connection.is_open:
            # as long as it listens, what is queued for it leaves at once
            self._reachable[frame.identity] = connection.intake.reachable(frame.identity, reply)
        connection.submit(frame.payload, facts, answered)

    def _reply(self, identity: str, downlinks: tuple[Downlink, ...]) -> None:
        connection = self._connection
        for downlink in downlinks:
            if connection.is_open:
                connection.write(self._nodes.encode(identity, downlink))
                connection.intake.downlink_sent(downlink)
                self._sent.append(downlink)
            else:
                connection.intake.downlink_lost(downlink, "the device closed the connection")

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()


@implementer(IDatasourceType)
class DraginoUdpType:
    """The ``dragino-udp`` datasources of a gateway."""

    name = "dragino-udp"
    settings = DraginoUdpSettings

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def build(self, settings: DraginoUdpSettings, context: DatasourceContext) -> DraginoUdpDatasource:
        """See `IDatasourceType.build`."""
        return DraginoUdpDatasource(settings, context)


@implementer(IDatasource)
class DraginoUdpDatasource(DatagramListener):
    """A UDP port for Dragino nodes: each datagram is a frame."""

    def __init__(self, settings: DraginoUdpSettings, context: DatasourceContext) -> None:
        super().__init__(settings, context)
        self._nodes = Nodes(settings.devices, settings.model, settings.encoding)

    def received(self, datagram: Datagram) -> None:
        """A node's datagram."""
        frame = parse(datagram.data)
        if not isinstance(frame, DraginoFrame):
            datagram.reject(frame)
            return
        facts = self._nodes.metadata(frame, datagram.received_ms)
        datagram.submit(frame.payload, facts, lambda item: self._nodes.encode(frame.identity, item))
