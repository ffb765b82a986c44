"""CoAP devices: ``POST coap://host/i/{routingKey}``, as ThingsBoard's CoAP integration takes it.

The device gets 2.04 when its message is durable; an empty ACK first when that takes more than half a second.
Several datasources can share a port; the routing key tells them apart.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Hashable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, structs
from twisted.internet.defer import Deferred, gatherResults, succeed
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink
from iotgw.core.ports.datasources import DatasourceContext, IDatasourceType, IHasSessions, IPushes
from iotgw.datasources.coap.downlink import SEGMENT, DownlinkResource, push, remote_of
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.coap.secure_port import CoapsPort
from iotgw.datasources.coap.security import IdentityGuard, SecureUplinkResource, fitting_block
from iotgw.datasources.coap.uplink import AS_IT_IS, Reading, UplinkResource
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap import timing
from iotgw.wire.coap.site import Path, Resource, parse_path
from iotgw.wire.coap.timing import Policy, Timing

PRESETS = {"default": timing.DEFAULT, "nb-iot": timing.NB_IOT, "lobaro": timing.LOBARO}

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
    timing: Annotated[
        Literal["default", "nb-iot", "lobaro"],
        Meta(description="Preset of the transmission parameters (RFC 7252 §4.8)."),
    ] = "default"
    ack_timeout: Annotated[
        Seconds | None, Meta(description="Wait before the first retransmission; the preset's if not given.")
    ] = None
    ack_random_factor: Annotated[
        Annotated[float, Meta(ge=1, le=10)] | None, Meta(description="Spread of that wait.")
    ] = None
    max_retransmit: Annotated[
        Annotated[int, Meta(ge=0, le=10)] | None, Meta(description="Retransmissions before giving up.")
    ] = None
    empty_ack_delay: Annotated[
        Seconds,
        Meta(description="A reply that takes longer becomes a message of its own behind an empty ACK."),
    ] = 0.5
    block_timeout: Annotated[
        Seconds,
        Meta(
            description="A block-wise transfer that is silent for this long is dropped. 30 s is Lobaro's; "
            "a device that repeats after 20 s needs 65 s to survive two losses."
        ),
    ] = 30.0
    block_size: Annotated[
        Literal[16, 32, 64, 128, 256, 512, 1024], Meta(description="Largest block that is sent.")
    ] = 1024
    max_body: Annotated[int, Meta(gt=0, description="Largest body, block-wise; beyond, 4.13.")] = 1 << 20
    deduplication: Annotated[
        Literal["strict", "strict+content"],
        Meta(
            description="`strict` goes by Message ID as the RFC says; `strict+content` takes one with other "
            "content for a new message, for modems that count from 1 again after a reboot."
        ),
    ] = "strict"
    rate_limit: Annotated[
        float, Meta(ge=0, description="Requests per second and peer; beyond, 4.29. 0 is no limit.")
    ] = 0.0
    rate_burst: Annotated[float, Meta(ge=1, description="Requests at once before the limit counts.")] = 10.0
    discovery: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="`/.well-known/core`; `auto` answers on a loopback address only."),
    ] = "auto"
    echo: Annotated[
        bool,
        Meta(
            description="Before a reply of more than three times the request (discovery and resources), have "
            "the peer prove its address (RFC 9175). Without, such a reply is one block at most."
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
            "makes one, to mount beside `/i` at the root."
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Refuse what no listener could be made of."""
        ipaddress.ip_address(self.interface)
        Timing.__post_init__(self.transmission)

    @property
    def transmission(self) -> Timing:
        """The preset with what was set by hand."""
        preset = PRESETS[self.timing]
        return Timing(
            self.ack_timeout if self.ack_timeout is not None else preset.ack_timeout,
            self.ack_random_factor if self.ack_random_factor is not None else preset.ack_random_factor,
            self.max_retransmit if self.max_retransmit is not None else preset.max_retransmit,
        )

    @property
    def policy(self) -> Policy:
        """What the resources allow."""
        return Policy(
            timing=self.transmission,
            empty_ack_delay=self.empty_ack_delay,
            max_body=self.max_body,
            block_timeout=self.block_timeout,
            block_size=self.block_size,
            rate=self.rate_limit,
            burst=self.rate_burst,
            amplification=3.0 if self.echo else 0.0,
            match_content=self.deduplication == "strict+content",
        )


@implementer(IDatasourceType)
class CoapType:
    """The ``coap`` datasources of a gateway, and the ports that they share."""

    name = "coap"
    settings = CoapSettings

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._ports: dict[tuple[str, int, bool], tuple[CoapPort, list[CoapDatasource]]] = {}

    def build(self, settings: CoapSettings, context: DatasourceContext) -> CoapDatasource:
        """See `IDatasourceType.build`."""
        if not context.routing_key and not settings.resources:
            raise SettingsError("routingKey", "expected a path token, got nothing: it selects the datasource")
        return CoapDatasource(self, settings, context)

    def open(self, datasource: CoapDatasource, secure: bool) -> CoapPort:
        """A port of a datasource, opened if it is the first there.

        Raises CannotListenError, SettingsError or Unavailable.
        """
        settings = datasource.settings
        key = settings.interface, settings.secure_port if secure else settings.port, secure
        if key not in self._ports:
            self._ports[key] = self._new_port(datasource, secure), []
        port, users = self._ports[key]
        if isinstance(port, CoapsPort):
            port.check(settings.dtls, datasource.context.tenant)
            port.trust([user.settings.dtls for user in [*users, datasource]])
        users.append(datasource)
        return port

    def _new_port(self, datasource: CoapDatasource, secure: bool) -> CoapPort:
        settings, context = datasource.settings, datasource.context
        if not secure:
            return CoapPort(self._reactor, settings.port, settings.interface)
        return CoapsPort(
            self._reactor,
            settings.secure_port,
            settings.interface,
            settings.dtls,
            context.tenant,
            context.credentials,
            context.intake.event,
        )

    def close(self, datasource: CoapDatasource, port: CoapPort) -> Deferred[None]:
        """A datasource needs a port no more."""
        key, users = next((key, users) for key, (one, users) in self._ports.items() if one is port)
        users.remove(datasource)
        if users:
            if isinstance(port, CoapsPort):
                port.trust([user.settings.dtls for user in users])
            return succeed(None)
        del self._ports[key]
        return port.close()


@implementer(IPushes, IHasSessions)
class CoapDatasource:
    """Uplinks under one routing key."""

    reading: Reading = AS_IT_IS

    def __init__(self, type_: CoapType, settings: CoapSettings, context: DatasourceContext) -> None:
        self.settings = settings
        self.context = context
        self._type = type_
        self._ports: list[tuple[CoapPort, dict[Path, Resource]]] = []
        self.can_push = settings.confirm_downlinks
        self._guard: IdentityGuard | None = None
        if settings.security_mode != "NO_SECURE":
            credentials = context.credentials.of(context.tenant)
            self._guard = IdentityGuard(settings.require_identity, credentials)
            context.intake.guard = self._guard.objection

    def start(self) -> Deferred[None]:
        """See `IDatasource.start`."""
        mode = self.settings.security_mode
        try:
            if mode != "DTLS":
                self._open(secure=False)
            if mode != "NO_SECURE":
                self._open(secure=True)
        except Exception:
            self.stop()
            raise
        return succeed(None)

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        ports, self._ports = self._ports, []
        for port, resources in ports:
            port.remove(resources, self.settings.transmission, self._discovery)
        return gatherResults([self._type.close(self, port) for port, _ in ports])

    @property
    def _discovery(self) -> Policy | None:
        """How discovery answers, None if it does not."""
        mode = self.settings.discovery
        if mode == "on" or (mode == "auto" and ipaddress.ip_address(self.settings.interface).is_loopback):
            return self.settings.policy
        return None

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        if not self._ports:
            return {"state": "stopped"}
        found: dict[str, Any] = {"state": "listening"}
        addresses = []
        for port, resources in self._ports:
            scheme = "coaps" if isinstance(port, CoapsPort) else "coap"
            host, number = port.address[:2]
            paths = ", ".join("/" + "/".join(path) for path in resources if path[-1:] != (SEGMENT,))
            addresses.append(f"{scheme}: udp {host}:{number}, {paths}")
            found[scheme] = port.statistics()
        return {**found, "address": "; ".join(addresses)}

    def push(self, metadata: dict[str, Any], downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`: a confirmable POST from the endpoint that the device talks to."""
        secure = metadata.get("identityType", "none") != "none"
        for port, _ in self._ports:
            if isinstance(port, CoapsPort) is secure and (remote := remote_of(port, metadata)) is not None:
                path, identity = parse_path(self.settings.downlink_path), str(metadata.get("identity", ""))
                for downlink in downlinks:
                    content = self.reading.downlink(downlink, identity)
                    push(port, self.context.intake, self._policy(port), path, remote, downlink, content)
                return
        for downlink in downlinks:
            self.context.intake.downlink_lost(downlink, "the device's session has ended")

    def sessions(self) -> list[dict[str, Any]]:
        """The DTLS sessions of its port; see `CoapsPort.sessions`."""
        return [session for port in self._secure_ports() for session in port.sessions()]

    def end(self, session: str) -> bool:
        """End a DTLS session by its id; False when there is none."""
        return any(port.end(session) for port in self._secure_ports())

    def _secure_ports(self) -> list[CoapsPort]:
        return [port for port, _ in self._ports if isinstance(port, CoapsPort)]

    def _open(self, secure: bool) -> None:
        port = self._type.open(self, secure)
        resources = self._make_resources(port)
        try:
            port.add(resources, self.settings.transmission, self._discovery)
        except KeyError as error:
            self._type.close(self, port)
            raise SettingsError("routingKey", f"{error.args[0]} is taken by another datasource") from error
        self._ports.append((port, resources))

    def _make_resources(self, port: CoapPort) -> dict[Path, Resource]:
        resources: dict[Path, Resource] = {}
        tree = load_tree(self.settings, self._policy(port))
        if tree is not None:
            resources[()] = tree
        if self.context.routing_key:
            uplink = self._uplink(port)
            key = ("i", self.context.routing_key)
            confirm = self.settings.confirm_downlinks
            downlinks = DownlinkResource(self.context.intake, self._policy(port), port, confirm)
            if self._guard is not None:
                downlinks.objection = self._guard.taking
            for prefix in ["", *self.settings.path_prefixes]:
                resources[parse_path(prefix) + key] = uplink
                resources[parse_path(prefix) + key + (SEGMENT,)] = downlinks
        return resources

    def _policy(self, port: CoapPort) -> Policy:
        policy = self.settings.policy
        if not isinstance(port, CoapsPort):
            return policy
        return structs.replace(policy, block_size=fitting_block(policy.block_size, self.settings.dtls.mtu))

    def _uplink(self, port: CoapPort) -> UplinkResource:
        policy, confirm = self._policy(port), self.settings.confirm_downlinks
        if isinstance(port, CoapsPort):
            uplink: UplinkResource = SecureUplinkResource(
                self.context, self.settings.dtls, policy, port, confirm
            )
        else:
            uplink = UplinkResource(self.context, policy, describe_udp, port.sent, confirm)
            if self._guard is not None:
                uplink.objection = self._guard.claim
        uplink.longest_ttd = self.settings.longest_ttd
        return uplink


def load_tree(settings: CoapSettings, policy: Policy) -> Resource | None:
    """The txThings tree that the settings name. txThings is imported only when one is."""
    if not settings.resources:
        return None
    from iotgw.datasources.coap import txthings_tree as coap_txthings  # noqa: PLC0415

    return coap_txthings.TxThingsTree(coap_txthings.load(settings.resources), policy)


def describe_udp(remote: Hashable) -> dict[str, Any]:
    """The metadata of a peer at a UDP address."""
    host, port = remote[:2]  # type: ignore[index]
    return {"remoteIp": host, "remotePort": port}
