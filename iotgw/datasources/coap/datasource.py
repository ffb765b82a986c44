"""CoAP devices: ``POST coap://host/i/{routingKey}``, as ThingsBoard's CoAP integration takes it.

The device gets 2.04 when its message is durable. If that takes more than half a second, it gets an empty ACK
first. Several datasources can share a port; the routing key tells them apart.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Hashable
from typing import Any

from msgspec import structs
from twisted.internet.defer import Deferred, gatherResults
from zope.interface import implementer

from iotgw.core.errors import SettingsError
from iotgw.core.model import Downlink, Metadata
from iotgw.core.needs import REST, CoapPath, Need, UdpPort
from iotgw.core.networks import NOT_ALLOWED
from iotgw.core.pem import Files
from iotgw.core.ports.datasources import (
    DatasourceContext,
    IChecksAddresses,
    IHasSessions,
    IListens,
    INeeds,
    IPushes,
)
from iotgw.core.ports.reactor import IReactor
from iotgw.core.urls import url
from iotgw.datasources.coap.clock import ClockResource
from iotgw.datasources.coap.downlink import SEGMENT, DownlinkResource, UplinkPathDownlinks, proved_by
from iotgw.datasources.coap.paths import parse_fixed
from iotgw.datasources.coap.port import CoapPort, address_of
from iotgw.datasources.coap.ports import CoapPorts, CoapShare
from iotgw.datasources.coap.push import push
from iotgw.datasources.coap.secure_port import RECORD_OVERHEAD, CoapsPort, fitting_block
from iotgw.datasources.coap.security import IdentityGuard, SecureUplinkResource
from iotgw.datasources.coap.settings import CoapSettings
from iotgw.datasources.coap.uplink import UplinkResource, message
from iotgw.datasources.openness import NO_PROOF, keyed, unproved
from iotgw.dtls.settings import DtlsSettings
from iotgw.envelopes.envelope import PLAIN, Envelope
from iotgw.wire.coap.site import ANY_SEGMENT, Path, Resource, parse_path
from iotgw.wire.coap.timing import Policy


@implementer(INeeds, IChecksAddresses, IListens)
class CoapType:
    """The ``coap`` datasources of a gateway."""

    name = "coap"
    settings = CoapSettings

    def __init__(self, reactor: IReactor) -> None:
        self._reactor = reactor

    def build(self, settings: CoapSettings, context: DatasourceContext) -> CoapDatasource:
        """See `IDatasourceType.build`."""
        has_path = settings.resources or settings.paths or "no-path" in settings.forgiven
        if not (context.routing_key or has_path):
            reason = "expected a path token, got nothing: it selects the datasource, where `paths` doesn't"
            raise SettingsError("routingKey", reason)
        return CoapDatasource(settings, context)

    def open_to_all(self, settings: CoapSettings, context: DatasourceContext) -> str:
        """See `IListens.open_to_all`."""
        if settings.security_mode == "DTLS" or not unproved(settings.interface):
            return ""
        has_open_paths = settings.paths or settings.resources or "no-path" in settings.forgiven
        return NO_PROOF if has_open_paths else keyed(context.routing_key)

    def needs(self, settings: CoapSettings, context: DatasourceContext) -> list[Need]:
        """See `INeeds.needs`."""
        found: list[Path] = [(REST,)] if settings.resources else []
        if context.routing_key:
            found += [
                (*parse_path(prefix), "i", context.routing_key, REST)
                for prefix in ["", *settings.path_prefixes]
            ]
        return [*ports_of(settings), *paths_of(settings, found)]


@implementer(IPushes, IHasSessions)
class CoapDatasource:
    """Uplinks under one routing key."""

    def __init__(
        self, settings: CoapSettings, context: DatasourceContext, envelope: Envelope | None = None
    ) -> None:
        self._envelope = envelope
        self.settings = settings
        self.context = context
        self._shares: list[CoapShare] = []
        self.can_push = settings.confirm_downlinks
        self._guard: IdentityGuard | None = None
        self._quirks: Counter[str] = Counter(dict.fromkeys(settings.forgiven, 0))
        if settings.security_mode != "NO_SECURE":
            context.intake.proves = True
            if settings.require_identity:
                self._guard = IdentityGuard()
                context.intake.guard = self._guard.objection

    def start(self) -> Deferred[None]:
        """See `IDatasource.start`."""
        is_secure = self.settings.security_mode != "NO_SECURE"
        reading = self.context.read_files(self.settings.dtls.files if is_secure else [])
        return reading.addCallback(self._open_all)

    def _open_all(self, files: Files) -> None:
        mode = self.settings.security_mode
        try:
            if mode != "DTLS":
                self._open(None, {})
            if mode != "NO_SECURE":
                self._open(self.settings.dtls, files)
        except Exception:
            self.stop()
            raise

    def stop(self) -> Deferred[Any]:
        """See `IDatasource.stop`."""
        shares, self._shares = self._shares, []
        return gatherResults([share.close() for share in shares], consumeErrors=True)

    @property
    def _discovery(self) -> Policy | None:
        """The policy of discovery; None if it is off."""
        mode, policy = self.settings.discovery, self.settings.policy
        if not ipaddress.ip_address(self.settings.interface).is_loopback:
            policy = structs.replace(policy, amplification=1.0)
        elif mode == "auto":
            mode = "on"
        if mode == "on":
            return policy
        return None

    def status(self) -> dict[str, Any]:
        """See `IDatasource.status`."""
        if not self._shares:
            return {"state": "stopped"}
        found: dict[str, Any] = {"state": "listening"}
        addresses, urls = [], []
        for share in self._shares:
            port = share.port
            scheme = "coaps" if isinstance(port, CoapsPort) else "coap"
            host, number = port.address[:2]
            paths = ", ".join("/" + "/".join(path) for path in share.resources if path[-1:] != (SEGMENT,))
            addresses.append(f"{scheme}: udp {host}:{number}, {paths}")
            served = [path for path in share.resources if {SEGMENT, ANY_SEGMENT}.isdisjoint(path)]
            served.sort(key=lambda path: path[:1] != ("i",))  # the one with the routing key first
            urls += [url(scheme, host, number, *path) for path in served]
            uplinks = {each for each in share.resources.values() if isinstance(each, UplinkResource)}
            own = sum(each.requests for each in uplinks)
            if share.is_alone:
                found[scheme] = {**port.statistics(), "uplinkRequests": own}
            else:  # most of what a port counts can't be said to be the one's or the other's
                found[scheme] = {"requests": own}
                found[f"{scheme}Port"] = port.statistics()
        if self._quirks:
            found["quirks"] = dict(sorted(self._quirks.items()))
        return {**found, "address": "; ".join(addresses), "urls": urls}

    def push(self, metadata: Metadata, downlinks: tuple[Downlink, ...]) -> None:
        """See `IPushes.push`: a confirmable POST from the endpoint that the device talks to."""
        secure = metadata.get("identityType", "none") != "none"
        for port in (share.port for share in self._shares):
            if isinstance(port, CoapsPort) is secure and (remote := port.peer_of(metadata)) is not None:
                for downlink in downlinks:
                    self._push(port, remote, downlink, str(metadata.get("identity", "")))
                return
        for downlink in downlinks:
            self.context.intake.downlink_lost(downlink, "the device's session has ended")

    def _push(self, port: CoapPort, remote: Hashable, downlink: Downlink, identity: str) -> None:
        try:
            command = (self._envelope or PLAIN).write(downlink, identity)
        except ValueError as reason:
            self.context.intake.downlink_lost(downlink, str(reason))
            return
        path = parse_path(command.path or self.settings.downlink_path)
        content = message(command, downlink)
        push(port, self.context.intake, self._policy(port), path, command.query, remote, downlink, content)

    def sessions(self) -> list[dict[str, Any]]:
        """The DTLS sessions of its port; see `CoapsPort.sessions`."""
        return [session for port in self._secure_ports() for session in port.sessions()]

    def end(self, session: str) -> bool:
        """End a DTLS session by its id; False when there is none."""
        return any(port.end(session) for port in self._secure_ports())

    def _secure_ports(self) -> list[CoapsPort]:
        return [share.port for share in self._shares if isinstance(share.port, CoapsPort)]

    def _open(self, dtls: DtlsSettings | None, files: Files) -> None:
        settings = self.settings
        number = settings.port if dtls is None else settings.secure_port
        share = self.context.shared(CoapPorts).open(self.context, settings.interface, number, dtls, files)
        self._shares.append(share)
        resources = self._make_resources(share.port)
        if self.context.allow:
            for resource in resources.values():
                resource.admits = self._admits
        share.serve(resources, settings.transmission, self._discovery)

    def _make_resources(self, port: CoapPort) -> dict[Path, Resource]:
        resources = self._make_fixed(port)
        trees = self.context.shared(CoapPorts).trees
        tree = load_tree(self.settings, self._policy(port), trees)
        if tree is not None:
            if () in resources:
                raise SettingsError(
                    "resources", "expected requests without a path to belong to one of them only"
                )
            resources[()] = tree
        if self.context.routing_key:
            uplink = self._uplink(port)
            key = ("i", self.context.routing_key)
            confirm = self.settings.confirm_downlinks
            given = self.context.intake, self._policy(port), port, confirm
            downlinks = DownlinkResource(*given)
            downlinks.quirks = self._quirks
            beside = UplinkPathDownlinks(*given, self.context.routing_key, uplink)
            uplink.let_observe(beside)
            downlinks.objection = beside.objection = self._may_not_take
            for prefix in ["", *self.settings.path_prefixes]:
                resources[parse_path(prefix) + key] = uplink
                resources[parse_path(prefix) + key + (SEGMENT,)] = downlinks
        return resources

    def _admits(self, remote: Hashable) -> bool:
        """Whether a peer's address is one that the datasource allows."""
        host = address_of(remote)
        if self.context.allow.has(host):
            return True
        self.context.intake.refuse("network", host, NOT_ALLOWED)
        return False

    def _may_not_take(self, remote: Hashable, device: str) -> str:
        """Why a peer may not take a device's downlinks; empty if it may."""
        objection = self.context.intake.objection(device, proved_by(remote))
        return objection or (self._guard.taking(remote, device) if self._guard is not None else "")

    def _make_fixed(self, port: CoapPort) -> dict[Path, Resource]:
        """The resources at paths without a routing key."""
        made: dict[Path, Resource] = {}
        for text in self.settings.paths:
            path = parse_fixed(text)
            uplink = self._uplink(port)
            uplink.is_fixed = True
            uplink.takes_rest = path[-1:] == (REST,)
            made[path[:-1] if uplink.takes_rest else path] = uplink
        if "no-path" in self.settings.forgiven and () not in made:
            uplink = self._uplink(port)
            uplink.is_fixed = uplink.is_without_path = True
            uplink.takes_rest = False
            made[()] = uplink
        for text in self.settings.time_paths:
            made[parse_fixed(text)] = ClockResource(self.context.date_ms, self._policy(port))
        return made

    def _policy(self, port: CoapPort) -> Policy:
        policy = self.settings.policy
        if not isinstance(port, CoapsPort):
            return policy
        room = self.settings.dtls.mtu - RECORD_OVERHEAD
        return structs.replace(policy, block_size=fitting_block(policy.block_size, room))

    def _uplink(self, port: CoapPort) -> UplinkResource:
        policy, confirm = self._policy(port), self.settings.confirm_downlinks
        if isinstance(port, CoapsPort):
            uplink: UplinkResource = SecureUplinkResource(
                self.context, self.settings.dtls, policy, port, confirm
            )
        else:
            is_mixed = self.settings.security_mode == "MIXED"
            describe = describe_unproved if is_mixed else describe_udp
            uplink = UplinkResource(self.context, policy, describe, port.sent, confirm)
        uplink.longest_ttd = self.settings.longest_ttd
        uplink.envelope = self._envelope
        uplink.quirks = self._quirks
        return uplink


def load_tree(settings: CoapSettings, policy: Policy, trees: Collection[str]) -> Resource | None:
    """The txThings tree named in the settings, if it is one of ``trees``: others would be any code of this process.
    txThings is imported only if there is one."""
    if not settings.resources:
        return None
    if settings.resources not in trees:
        raise SettingsError(
            "configuration.resources",
            f"expected a tree that the operator allows in the process setting coap-trees, got {settings.resources!r}",
        )
    from iotgw.datasources.coap import txthings_tree as coap_txthings  # noqa: PLC0415

    return coap_txthings.TxThingsTree(coap_txthings.load(settings.resources), policy)


def describe_udp(remote: Hashable) -> Metadata:
    """The metadata of a peer at a UDP address."""
    assert isinstance(remote, tuple)
    host, port = remote[:2]
    return {"remoteIp": host, "remotePort": port}


def describe_unproved(remote: Hashable) -> Metadata:
    """The same, where others prove what they are: nothing else may say that this one has."""
    return {**describe_udp(remote), "identityType": "none"}


def paths_of(settings: CoapSettings, others: list[Path]) -> list[Need]:
    """The paths that a datasource with these settings has on its ports: the fixed ones, and ``others``."""
    found = [*others, *map(parse_fixed, [*settings.paths, *settings.time_paths])]
    if "no-path" in settings.forgiven:
        found.append(())
    return [
        CoapPath(port.interface, port.port, port.protocol, path)
        for port in ports_of(settings)
        for path in found
    ]


def ports_of(settings: CoapSettings) -> list[UdpPort]:
    """The ports of a datasource with these settings; CoAP datasources share them."""
    mode, interface = settings.security_mode, settings.interface
    plain = [] if mode == "DTLS" else [UdpPort(interface, settings.port, "coap")]
    secure = [] if mode == "NO_SECURE" else [UdpPort(interface, settings.secure_port, "coaps")]
    return [*plain, *secure]
