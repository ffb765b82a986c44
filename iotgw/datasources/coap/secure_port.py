"""A CoAP endpoint behind DTLS, shared by the datasources of one tenant that name the same port.

The session is the endpoint's ``remote``, so CoAP's state of a peer belongs to the identity that it proved, and
ends with the session.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Hashable
from typing import Any

from msgspec import structs
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from iotgw.core.errors import SettingsError
from iotgw.core.model import Metadata
from iotgw.core.pem import Files
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.coap.port import CoapPort
from iotgw.datasources.socket.udp_socket import Address
from iotgw.dtls.identity import Identity
from iotgw.dtls.layer import DtlsLayer
from iotgw.dtls.profiles import ListenerProfiles
from iotgw.dtls.session import DtlsSession
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap.message_layer import Send
from iotgw.wire.coap.peers import LARGEST_BLOCK

RECORD_OVERHEAD = 65
"""Bytes that DTLS adds at most (CBC with SHA-256)."""
_HEAD = 80
"""Bytes in front of a block: header, token and the options of a response."""
TICK = 1.0
"""Seconds between checks of retransmissions and time-outs."""
LOOK = 5.0
"""Seconds between looks whether a certificate's file has changed."""


class CoapsPort(CoapPort):
    """As `CoapPort`, with sessions. Raises SettingsError, Unavailable or CannotListenError.

    ``context`` is that of the datasource that opens it; ``files`` are the contents of those that the settings name.
    """

    scheme = "coaps"

    def __init__(
        self,
        reactor: IReactor,
        port: int,
        interface: str,
        settings: DtlsSettings,
        context: DatasourceContext,
        files: Files,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.tenant = context.tenant
        self._credentials = context.credentials
        self._event = event = context.intake.event
        self._read_files = context.read_files
        self.profiles = ListenerProfiles(settings, self._credentials.of(self.tenant), files)
        self.layer = DtlsLayer(
            settings,
            self.profiles,
            self._transmit,
            secrets.token_bytes(32),
            event,
            lambda session, reason: self.endpoint.forget(session),
        )
        super().__init__(reactor, port, interface, clock)
        self.endpoint.peers.block_size_of = block_size_of
        self.endpoint.peers.verified = float("inf")  # the handshake proves the address
        self._unwatch = self._credentials.watch(self._end_revoked)
        self._ticking = LoopingCall(self._tick)
        self._ticking.clock = reactor
        self._ticking.start(TICK, now=False)
        self._looking = LoopingCall(self._look)
        self._looking.clock = reactor
        self._looking.start(LOOK, now=False)

    def check(self, settings: DtlsSettings, tenant: str) -> None:
        """Raise SettingsError when a further datasource can't share this port."""
        if tenant != self.tenant:
            raise SettingsError("securePort", "expected a port of its own: this one is another tenant's")
        if _but_anchors(settings) != _but_anchors(self.settings):
            raise SettingsError(
                "dtls", "expected the settings of the datasource that has the port already (but trustAnchors)"
            )

    def trust(self, settings: list[DtlsSettings], files: Files) -> None:
        """Trust the anchors of all datasources; each then checks against its own."""
        anchors: dict[str, None] = {}
        for one in settings:
            if one.x509 is not None:
                anchors.update(dict.fromkeys(one.x509.trust_anchors))
        self.profiles.trust(list(anchors), files)

    def close(self) -> Deferred[None]:
        """See `CoapPort.close`."""
        self._unwatch()
        self._ticking.stop()
        self._looking.stop()
        self.layer.close()
        return super().close()

    def statistics(self) -> dict[str, Any]:
        """See `CoapPort.statistics`."""
        sessions = sum(1 for _ in self.layer.sessions())
        counted = {f"dtls{name[0].upper()}{name[1:]}": count for name, count in self.layer.counters.items()}
        return {
            **super().statistics(),
            **counted,
            "dtlsSessions": sessions,
            "dtlsHalfOpen": self.layer.half_open,
        }

    def sessions(self) -> list[dict[str, Any]]:
        """The sessions for the API: identity, address, age in seconds, traffic in bytes."""
        now = self._clock()
        return [described(session, now) for session in self.layer.sessions()]

    def peer_of(self, metadata: Metadata) -> DtlsSession | None:
        """See `CoapPort.peer_of`: the session of the device that sent a message with this metadata, wherever it is now.

        It is found by identity, since the address may belong to another device by now.
        """
        device = metadata.get("identity", "")
        host, number = metadata.get("remoteIp", ""), metadata.get("remotePort", 0)
        there = self.layer.session_at((host, number, 0, 0) if ":" in host else (host, number))
        if there is not None and device and there.identity.device == device:
            return there
        found = [session for session in self.layer.sessions() if session.identity.device == device]
        return found[-1] if device and found else None

    def end(self, id: str) -> bool:
        """End a session; False when there is none."""
        return self.layer.end(id)

    # --- datagrams ---

    def _sender(self) -> Send:
        return self._send

    def _send(self, data: bytes, remote: Hashable) -> None:
        assert isinstance(remote, DtlsSession)
        try:
            self.layer.send(remote, data, self._clock())
        except ValueError as error:
            self.socket.unsent += 1
            self._notice("oversized", remote.address, str(error))

    def _transmit(self, datagram: bytes, address: Address) -> None:
        self.socket.send(datagram, address)

    def _received(self, data: bytes, address: Address) -> None:
        if self.admits is not None and not self.admits(address[0]):
            return
        now = self._clock()
        for session, plaintext in self.layer.datagram_in(data, address, now):
            self.endpoint.datagram(plaintext, session, now)

    def _tick(self) -> None:
        self.layer.tick(self._clock())

    def _look(self) -> Deferred[None] | None:
        names = self.profiles.file_names
        return self._read_files(names).addCallback(self._reread, names) if names else None

    def _reread(self, files: Files, names: list[str]) -> None:
        if names == self.profiles.file_names:  # no datasource came or went meanwhile
            self.profiles.reread(files, self._event)

    def _end_revoked(self) -> None:
        of_tenant = self._credentials.of(self.tenant)

        def is_over(identity: Identity) -> bool:
            if identity.grant is not None:
                return not self._credentials.is_good(identity.grant, identity.name)
            if identity.type != "x509":
                return False
            since = of_tenant.x509(identity.name, identity.fingerprint)
            return since is not None  # its certificate alone may belong to another credential now

        ended = self.layer.end_identities(is_over, "its credential was changed or revoked")
        if ended:
            self._event("dtls.revoked", f"{ended} sessions ended: their credential was changed or revoked")


def described(session: DtlsSession, now: float) -> dict[str, Any]:
    """A session as the API shows it."""
    host, port = session.address[:2]
    return {
        "id": session.id,
        "remoteIp": host,
        "remotePort": port,
        "identity": session.identity.name,
        "identityType": session.identity.type,
        "device": session.identity.device,
        "cipher": session.cipher,
        "mtu": session.mtu,
        "age": round(now - session.since, 1),
        "idle": round(now - session.used, 1),
        "received": session.received,
        "sent": session.sent,
    }


def block_size_of(remote: Hashable) -> int:
    """The largest block whose message fits one datagram of a session."""
    assert isinstance(remote, DtlsSession)
    return fitting_block(LARGEST_BLOCK, remote.mtu)


def fitting_block(wanted: int, room: int) -> int:
    """The largest block of at most ``wanted`` bytes whose message has at most ``room`` bytes; at least 16."""
    size = wanted
    while size > 16 and size + _HEAD > room:
        size //= 2
    return size


def describe_session(remote: Hashable) -> Metadata:
    """The metadata of a peer behind DTLS. ``identity`` is the device, ``dtlsIdentity`` what it proved."""
    assert isinstance(remote, DtlsSession)
    facts = remote.data
    if facts is None:
        identity = remote.identity
        facts = remote.data = {"protocol": "coaps", "identityType": identity.type, "cipher": remote.cipher}
        if identity.type != "none":
            facts["identity"] = identity.device
        if identity.name != identity.device:
            facts["dtlsIdentity"] = identity.name
        if identity.fingerprint:
            facts["fingerprint"] = identity.fingerprint
    host, port = remote.address[:2]
    return {**facts, "remoteIp": host, "remotePort": port}


def _but_anchors(settings: DtlsSettings) -> DtlsSettings:
    if settings.x509 is None:
        return settings
    return structs.replace(settings, x509=structs.replace(settings.x509, trust_anchors=["*"]))
