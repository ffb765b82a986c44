"""``lobaro-udp`` and ``lobaro-coap``: Lobaro's devices."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from iotgw.datasources.coap.served import ServedCoapSettings, ServedCoapType
from iotgw.datasources.coap.settings import Seconds
from iotgw.datasources.socket.datagram import DatagramSettings, DatagramType
from iotgw.envelopes.envelope import Envelope
from iotgw.envelopes.lobaro import LobaroDatagrams, LobaroRequests
from iotgw.wire.coap.timing import TimingName


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


class LobaroUdpType(DatagramType):
    """The ``lobaro-udp`` datasources of a gateway."""

    name = "lobaro-udp"
    settings = LobaroUdpSettings

    def envelope(self, settings: LobaroUdpSettings) -> Envelope:
        """See `DatagramType.envelope`."""
        window_ms = int(settings.duplicate_window * 1000)
        return LobaroDatagrams(window_ms, settings.reply == "cbor", self._reactor.seconds)


class LobaroCoapSettings(
    ServedCoapSettings, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True
):
    """Settings of a ``lobaro-coap`` datasource: those of ``coap``, with Lobaro's own timing."""

    timing: Annotated[
        TimingName, Meta(description="Preset of the transmission parameters (RFC 7252 §4.8).")
    ] = "lobaro"
    block_timeout: Annotated[
        Seconds,
        Meta(
            description="A block-wise transfer that is silent for this long is dropped. 30 s is Lobaro's; "
            "a device that repeats after 20 s needs 65 s to survive two losses."
        ),
    ] = 30.0


class LobaroCoapType(ServedCoapType):
    """The ``lobaro-coap`` datasources of a gateway."""

    name = "lobaro-coap"
    settings = LobaroCoapSettings

    def envelope(self, settings: LobaroCoapSettings) -> Envelope:
        """See `ServedCoapType.envelope`."""
        return LobaroRequests()
