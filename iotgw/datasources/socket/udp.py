"""Any device over plain UDP: ThingsBoard's UDP integration, with its handlers TEXT, BINARY, JSON, HEX and RAW.

A downlink goes back to the address of the uplink, one for each (see `iotgw.datasources.socket.datagram`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from iotgw.core.model import Metadata
from iotgw.datasources.socket.datagram import DatagramSettings, DatagramType
from iotgw.datasources.socket.handlers import Handler, Registration, TextHandler
from iotgw.envelopes.envelope import Envelope, Malformed, Reading
from iotgw.wire.framing import Fault
from iotgw.wire.registration import as_name, split


class UdpSettings(DatagramSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``udp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port.")] = 11560
    handler: Annotated[
        Handler,
        Meta(
            description="What a datagram is: `type` TEXT, BINARY, JSON, HEX or RAW. Only TEXT's `charset`, `delimiter` and `stripDelimiter` and JSON's `maxFrameLength` matter here."
        ),
    ] = TextHandler()
    registration: Annotated[
        Registration | None,
        Meta(description="Bytes at the start of each datagram that name the device."),
    ] = None
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
        length = settings.registration.length if settings.registration is not None else 0
        return HandledDatagrams(settings.handler, settings.identity == "address", length)


class HandledDatagrams(Envelope):
    """Reads datagrams by a handler. With ``by_address``, the peer's address is the device's identity; or else the first
    ``registration`` bytes are."""

    def __init__(self, handler: Handler, by_address: bool, registration: int = 0) -> None:
        self._handler = handler
        self._by_address = by_address
        self._registration = registration

    def read(self, data: bytes, facts: Metadata, now_ms: int) -> Sequence[Reading | Malformed]:
        """See `Envelope.read`."""
        found: Metadata = {"contentType": self._handler.content_type, "receivedTime": now_ms}
        identity = facts["remoteIp"] if self._by_address else ""
        if self._registration:
            registered = split(data, self._registration)
            if isinstance(registered, Fault):
                return [Malformed(data, registered.reason)]
            data, identity = registered.data, identity or as_name(registered.prefix)
        return [
            Malformed(event.data, event.reason)
            if isinstance(event, Fault)
            else Reading(event.data, found, identity)
            for event in self._handler.datagram(data)
        ]
