"""Lobaro's legacy UDP (``lobaro-udp``, port 1064). Deprecated by Lobaro, and a reconstruction here.

Each datagram is a CBOR map ``{i, n, q, d}`` (else JSON, else raw bytes); see `iotgw.wire.lobaro` for what is
public about it. Nothing is answered, unless ``reply`` says so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta
from zope.interface import implementer

from iotgw.core import plain_json
from iotgw.core.model import Downlink
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IDatasourceType
from iotgw.datasources.socket.datagram import Datagram, DatagramListener, DatagramSettings
from iotgw.wire import lobaro


class LobaroUdpSettings(
    DatagramSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``lobaro-udp`` datasource."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port.")] = 1064
    duplicate_window: Annotated[
        float,
        Meta(
            ge=0,
            description="Seconds in which a message with the same `i` and `n` counts as repeated; 0 is never.",
        ),
    ] = 300.0
    reply: Annotated[
        Literal["none", "cbor"],
        Meta(description="`cbor` answers an uplink with a queued downlink in CBOR. Experimental."),
    ] = "none"


@implementer(IDatasourceType)
class LobaroUdpType:
    """The ``lobaro-udp`` datasources of a gateway."""

    name = "lobaro-udp"
    settings = LobaroUdpSettings

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def build(self, settings: LobaroUdpSettings, context: DatasourceContext) -> LobaroUdpDatasource:
        """See `IDatasourceType.build`."""
        return LobaroUdpDatasource(settings, context)


@implementer(IDatasource)
class LobaroUdpDatasource(DatagramListener):
    """A UDP port for legacy Lobaro devices."""

    def __init__(self, settings: LobaroUdpSettings, context: DatasourceContext) -> None:
        super().__init__(settings, context)
        self._seen = lobaro.DuplicateFilter(window_ms=int(settings.duplicate_window * 1000))

    def received(self, datagram: Datagram) -> None:
        """A device's datagram."""
        envelope = lobaro.parse(datagram.data)
        identity = envelope.identity
        if not self._seen.is_new(identity, envelope.counter, datagram.received_ms):
            self.counts["duplicates"] += 1
            return
        facts = lobaro.metadata(envelope, "udp") | {"receivedTime": datagram.received_ms}
        # without an identity no downlink is looked up, and so none is answered
        if identity and self.settings.reply == "cbor":
            facts["identity"] = identity
        elif identity:
            facts["device"] = identity
        datagram.submit(
            datagram.data,
            facts,
            downlink_cbor,
            lambda: self._seen.forget(identity, envelope.counter),
            listens=self.settings.reply == "cbor",
        )


def downlink_cbor(downlink: Downlink) -> bytes:
    """A downlink in CBOR; one that is JSON text is translated, anything else goes out as it is."""
    if downlink.payload[:1] == b"{":
        try:
            value = plain_json.decode(downlink.payload)
        except plain_json.NotJson:
            return downlink.payload
        return lobaro.downlink(value)
    return downlink.payload
