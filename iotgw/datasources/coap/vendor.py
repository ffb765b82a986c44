"""Vendors' devices over CoAP: ``dragino-coap`` and ``lobaro-coap``, on the ports of the ``coap`` datasources.

They are not told apart by a routing key but served at a path, by default at any that nobody else has.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta
from zope.interface import implementer

from iotgw.core.model import Downlink, Metadata
from iotgw.core.ports.datasources import DatasourceContext, IDatasourceType
from iotgw.datasources.coap.datasource import CoapDatasource, CoapSettings, CoapType
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.coap.uplink import Reading, UplinkResource
from iotgw.datasources.socket.dragino import DraginoDevices, DraginoEncoding, Nodes
from iotgw.datasources.socket.lobaro import downlink_cbor
from iotgw.wire import lobaro
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.message import Message, options
from iotgw.wire.coap.site import Path, Resource, parse_path
from iotgw.wire.dragino import DraginoFrame, parse

ServedPath = Annotated[
    str,
    Meta(description="Path that is served, with all below it; empty is any that no other datasource has."),
]


class DraginoCoapSettings(
    CoapSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``dragino-coap`` datasource: those of ``coap``, and those of ``dragino-udp``."""

    path: ServedPath = ""
    empty_ack_delay: Annotated[
        float,
        Meta(
            gt=0, description="Long: the nodes' modem takes nothing but a reply within the acknowledgement."
        ),
    ] = 10.0
    confirm_downlinks: Annotated[bool, Meta(description="Not with these nodes, for the same reason.")] = False
    model: Annotated[str, Meta(description="Model of all nodes whose frames don't tell it.")] = ""
    encoding: DraginoEncoding = "asciihex"
    devices: DraginoDevices = {}


class LobaroCoapSettings(CoapSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``lobaro-coap`` datasource: those of ``coap``, with Lobaro's own timing."""

    path: ServedPath = ""
    timing: Annotated[
        Literal["default", "nb-iot", "lobaro"],
        Meta(description="Preset of the transmission parameters (RFC 7252 §4.8)."),
    ] = "lobaro"


class VendorDatasource(CoapDatasource):
    """A path instead of a routing key, and a vendor's reading of what comes in."""

    def __init__(self, type_: CoapType, settings: Any, context: DatasourceContext, reading: Reading) -> None:
        super().__init__(type_, settings, context)
        self.reading = reading

    def _make_resources(self, port: CoapPort) -> dict[Path, Resource]:
        return {parse_path(self.settings.path): self._uplink(port)}  # type: ignore[attr-defined]

    def _uplink(self, port: CoapPort) -> UplinkResource:
        uplink = super()._uplink(port)
        uplink.reading = self.reading
        return uplink


class DraginoReading(Reading):
    """A node's frame, mostly as hexadecimal text; downlinks in the same form."""

    def __init__(self, settings: DraginoCoapSettings) -> None:
        self._nodes = Nodes(settings.devices, settings.model, settings.encoding)

    def uplink(self, payload: bytes, metadata: Metadata, received_ms: int) -> bytes:
        """See `Reading.uplink`."""
        frame = parse(payload)
        if not isinstance(frame, DraginoFrame):
            raise ValueError(frame)
        proved = {key: metadata[key] for key in ("identity",) if key in metadata}
        metadata |= self._nodes.metadata(frame, received_ms) | proved
        return frame.payload

    def downlink(self, item: Downlink, identity: str) -> Message:
        """See `Reading.downlink`."""
        return Message(n.CHANGED, self._nodes.encode(identity or item.device, item))


class LobaroReading(Reading):
    """Lobaro's envelope; downlinks in CBOR."""

    def uplink(self, payload: bytes, metadata: Metadata, received_ms: int) -> bytes:
        """See `Reading.uplink`. Who it is from: the certificate, else ``i``, else the query, else the path."""
        envelope = lobaro.parse(payload)
        query = metadata.get("query", {})
        facts = lobaro.metadata(envelope, query.get("q", "data")) | {"receivedTime": received_ms}
        if "identity" not in metadata:
            path = metadata.get("path", "").rpartition("/")[2]
            identity = envelope.identity or query.get("i") or query.get("address") or path
            if identity:
                facts["identity"] = identity
        if "q" in query and "input" in facts:
            facts["messageName"] = facts["input"]["q"] = query["q"]
        metadata |= facts
        return payload

    def downlink(self, item: Downlink, identity: str) -> Message:
        """See `Reading.downlink`."""
        return Message(n.CHANGED, downlink_cbor(item), options((n.CONTENT_FORMAT, n.CBOR)))


@implementer(IDatasourceType)
class DraginoCoapType(CoapType):
    """The ``dragino-coap`` datasources of a gateway. ``coap`` is whose ports they share."""

    name = "dragino-coap"
    settings = DraginoCoapSettings

    def __init__(self, reactor: Any, coap: CoapType | None = None) -> None:
        super().__init__(reactor)
        self._coap = coap or self

    def build(self, settings: Any, context: DatasourceContext) -> VendorDatasource:
        """See `IDatasourceType.build`."""
        return VendorDatasource(self._coap, settings, context, DraginoReading(settings))


@implementer(IDatasourceType)
class LobaroCoapType(CoapType):
    """The ``lobaro-coap`` datasources of a gateway. ``coap`` is whose ports they share."""

    name = "lobaro-coap"
    settings = LobaroCoapSettings

    def __init__(self, reactor: Any, coap: CoapType | None = None) -> None:
        super().__init__(reactor)
        self._coap = coap or self

    def build(self, settings: Any, context: DatasourceContext) -> VendorDatasource:
        """See `IDatasourceType.build`."""
        return VendorDatasource(self._coap, settings, context, LobaroReading())
