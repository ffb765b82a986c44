"""Settings of ``coap`` datasources, and of all types served on their ports."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from msgspec import Meta, Struct

from iotgw.datasources.coap.paths import parse_fixed
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap.lenient import QUIRKS, Quirk
from iotgw.wire.coap.timing import TIMINGS, Policy, Timing, TimingName

Seconds = Annotated[float, Meta(gt=0)]


class CoapSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Settings of a ``coap`` datasource. Times are seconds, sizes bytes."""

    port: Annotated[int, Meta(ge=0, le=65535, description="UDP port; datasources may share one.")] = 5683
    interface: Annotated[
        str, Meta(description="Address to listen on: `0.0.0.0` is all of IPv4, `::` all of IPv6.")
    ] = "0.0.0.0"
    path_prefixes: Annotated[
        list[str], Meta(description="Paths that may stand in front of `/i/{routingKey}`, as in `api/v2`.")
    ] = []
    paths: Annotated[
        list[str],
        Meta(
            description="Paths that are served without `/i/{routingKey}`, for devices whose firmware has them burnt in: `m`, "
            "`api/v1/*/telemetry` (`*` is any one segment), `data/**` (with all below it), `/` (requests without a path). "
            "The path is in the metadata."
        ),
    ] = []
    time_paths: Annotated[
        list[str],
        Meta(
            description="Paths that answer with the time, as four bytes of seconds since 1970 UTC (Efento's `t`). "
            "Nothing is stored."
        ),
    ] = []
    timing: Annotated[
        TimingName, Meta(description="Preset of the transmission parameters (RFC 7252 §4.8).")
    ] = "default"
    ack_timeout: Annotated[
        Seconds | None, Meta(description="Wait before the first retransmission; the preset's if not given.")
    ] = None
    ack_random_factor: Annotated[
        Annotated[float, Meta(ge=1, le=10)] | None,
        Meta(description="Spread of that wait.", extra_json_schema={"x-unit": "×"}),
    ] = None
    max_retransmit: Annotated[
        Annotated[int, Meta(ge=0, le=10)] | None, Meta(description="Retransmissions before giving up.")
    ] = None
    empty_ack_delay: Annotated[
        Seconds,
        Meta(description="A reply that takes longer is sent as a separate response after an empty ACK."),
    ] = 0.5
    block_timeout: Annotated[
        Seconds | None,
        Meta(
            description="A block-wise transfer that is silent for this long is dropped; MAX_TRANSMIT_WAIT of `timing` if not given "
            "(93 s with the default timing), so that a block may come as late as a device repeats it."
        ),
    ] = None
    block_size: Annotated[
        Literal[16, 32, 64, 128, 256, 512, 1024], Meta(description="Largest block that is sent.")
    ] = 1024
    max_body: Annotated[int, Meta(gt=0, description="Largest body, block-wise; beyond, 4.13.")] = 1 << 20
    deduplication: Annotated[
        Literal["strict", "strict+content"],
        Meta(
            description="What counts as a retransmission. `strict+content`: the same bytes from the same peer; a known "
            "Message ID with other bytes is a new message, as from a modem that counts from 1 again after a reboot. "
            "`strict`: the same Message ID, whatever it brings."
        ),
    ] = "strict+content"
    lenient: Annotated[
        list[Quirk | Literal["all"]],
        Meta(
            description="What is forgiven, for modules that don't keep to the RFC. Each is counted as `quirks` in the status."
        ),
    ] = []
    rate_limit: Annotated[
        float,
        Meta(
            ge=0,
            description="Requests per second and peer; beyond, 4.29. 0 is no limit.",
            extra_json_schema={"x-unit": "1/s"},
        ),
    ] = 0.0
    rate_burst: Annotated[
        float,
        Meta(
            ge=1,
            description="Requests at once before the limit counts.",
            extra_json_schema={"x-unit": "requests"},
        ),
    ] = 10.0
    discovery: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="`/.well-known/core`; `auto` answers on a loopback address only."),
    ] = "auto"
    echo: Annotated[
        bool,
        Meta(
            description="Before a reply of `resources` that is larger than its request, have the peer prove its address "
            "(RFC 9175). Without, such a reply is one block at most. `/.well-known/core` asks for that "
            "on any address but loopback."
        ),
    ] = False
    confirm_downlinks: Annotated[
        bool,
        Meta(
            description="Send a downlink as a message of its own that the device acknowledges. Without, it is "
            "part of the acknowledgement, counts as delivered with the device's next request, and is never pushed."
        ),
    ] = True
    downlink_path: Annotated[
        str, Meta(description="Where a listening device takes downlinks: the gateway POSTs them there.")
    ] = "downlink"
    response_timeout: Annotated[
        Seconds | None,
        Meta(
            description="Most seconds that a device may take to answer a pushed downlink that it has acknowledged; "
            "MAX_TRANSMIT_WAIT if not given (93 s with the default timing). After that the item waits again."
        ),
    ] = None
    longest_ttd: Annotated[
        float,
        Meta(
            ge=0,
            le=120,
            description="Most seconds that the response is held back for a downlink when a device says that it "
            "listens (`?ttd=`), for devices that take nothing but responses; 0 answers at once.",
        ),
    ] = 0.0
    security_mode: Annotated[
        Literal["NO_SECURE", "DTLS", "MIXED"],
        Meta(description="`coap` on `port`, `coaps` on `securePort`, or both."),
    ] = "NO_SECURE"
    secure_port: Annotated[int, Meta(ge=0, le=65535, description="UDP port of `coaps`.")] = 5684
    dtls: Annotated[DtlsSettings, Meta(description="How devices prove who they are.")] = DtlsSettings()
    require_identity: Annotated[
        bool,
        Meta(
            description="A message fails whose converter names another device than the one that its "
            "sender proved to be."
        ),
    ] = False
    resources: Annotated[
        str,
        Meta(
            description="`package.module:name` of a txthings.resource.CoAPResource, or of a function that "
            "makes one, to mount beside `/i` at the root. The operator names those that are allowed in `coap-trees`."
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Refuse settings for which no listener could be opened."""
        ipaddress.ip_address(self.interface)
        fixed = [parse_fixed(path) for path in self.paths]
        times = [parse_fixed(path) for path in self.time_paths]
        if any(path[-1:] == ("**",) for path in times):
            raise ValueError("timePaths: expected paths without '**'")
        if len({path[:-1] if path[-1:] == ("**",) else path for path in fixed + times}) < len(fixed + times):
            raise ValueError("paths, timePaths: expected each path once")
        Timing.__post_init__(self.transmission)

    @property
    def transmission(self) -> Timing:
        """The preset with the settings made by hand."""
        preset = TIMINGS[self.timing]
        return Timing(
            self.ack_timeout if self.ack_timeout is not None else preset.ack_timeout,
            self.ack_random_factor if self.ack_random_factor is not None else preset.ack_random_factor,
            self.max_retransmit if self.max_retransmit is not None else preset.max_retransmit,
        )

    @property
    def forgiven(self) -> frozenset[str]:
        """The quirks that are forgiven."""
        return frozenset(QUIRKS if "all" in self.lenient else self.lenient)

    @property
    def policy(self) -> Policy:
        """The policy of the resources."""
        return Policy(
            timing=self.transmission,
            empty_ack_delay=self.empty_ack_delay,
            max_body=self.max_body,
            block_timeout=self.block_timeout or self.transmission.max_transmit_wait,
            block_size=self.block_size,
            rate=self.rate_limit,
            burst=self.rate_burst,
            amplification=1.0 if self.echo else 0.0,
            lenient=self.forgiven,
            match_content=self.deduplication == "strict+content",
            response_timeout=self.response_timeout or 0.0,
        )
