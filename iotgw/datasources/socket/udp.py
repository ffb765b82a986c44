"""Any device over plain UDP: ThingsBoard's UDP integration, with its handlers TEXT, BINARY, JSON and HEX.

A downlink goes back to the address of the uplink, one for each (see `iotgw.datasources.socket.datagram`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta
from zope.interface import implementer

from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IDatasourceType
from iotgw.datasources.socket.datagram import Datagram, DatagramListener, DatagramSettings
from iotgw.datasources.socket.handlers import Handler, TextHandler
from iotgw.wire.framing import Fault


class UdpSettings(DatagramSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``udp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port.")] = 11560
    handler: Annotated[
        Handler,
        Meta(
            description="What a datagram is: `type` TEXT, BINARY, JSON or HEX. Only TEXT's `charset` and JSON's `maxFrameLength` matter here."
        ),
    ] = TextHandler()
    identity: Annotated[
        Literal["none", "address"],
        Meta(description="`address`: the peer's IP address names the device for downlinks."),
    ] = "none"


@implementer(IDatasourceType)
class UdpType:
    """The ``udp`` datasources of a gateway."""

    name = "udp"
    settings = UdpSettings

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def build(self, settings: UdpSettings, context: DatasourceContext) -> UdpDatasource:
        """See `IDatasourceType.build`."""
        return UdpDatasource(settings, context)


@implementer(IDatasource)
class UdpDatasource(DatagramListener):
    """A UDP port for any device."""

    def received(self, datagram: Datagram) -> None:
        """A device's datagram."""
        handler = self.settings.handler
        for event in handler.datagram(datagram.data):
            if isinstance(event, Fault):
                datagram.reject(event.reason, event.data)
                continue
            facts: Metadata = {"contentType": handler.content_type, "receivedTime": datagram.received_ms}
            if self.settings.identity == "address":
                facts["identity"] = datagram.metadata["remoteIp"]
            datagram.submit(event.data, facts, _payload)


def _payload(downlink: Downlink) -> bytes:
    return downlink.payload
