"""Any device over plain UDP: ThingsBoard's UDP integration, with its handlers TEXT, BINARY, JSON and HEX.

A downlink goes back to the address of the uplink, one for each (see `iotgw.datasources.socket.datagram`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from iotgw.core.model import Metadata
from iotgw.datasources.socket.datagram import DatagramSettings, DatagramType
from iotgw.datasources.socket.handlers import Handler, TextHandler
from iotgw.envelopes.envelope import Envelope, Malformed, Reading
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


class UdpType(DatagramType):
    """The ``udp`` datasources of a gateway."""

    name = "udp"
    settings = UdpSettings

    def envelope(self, settings: UdpSettings) -> Envelope:
        """See `DatagramType.envelope`."""
        return HandledDatagrams(settings.handler, settings.identity == "address")


class HandledDatagrams(Envelope):
    """Reads datagrams by a handler. With ``by_address``, the peer's address is the device's identity."""

    def __init__(self, handler: Handler, by_address: bool) -> None:
        self._handler = handler
        self._by_address = by_address

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading | Malformed]:
        """See `Envelope.read`."""
        found: Metadata = {"contentType": self._handler.content_type, "receivedTime": now_ms}
        identity = facts["remoteIp"] if self._by_address else ""
        return [
            Malformed(event.data, event.reason)
            if isinstance(event, Fault)
            else Reading(event.data, found, identity)
            for event in self._handler.datagram(data)
        ]
