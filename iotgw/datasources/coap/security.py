"""What a verified identity means for a coap datasource: which sessions it admits, and who may send for which
device."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.model import Metadata, Output
from iotgw.core.ports.credentials import ITenantCredentials
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.datasources.coap.secure_port import CoapsPort, describe_session
from iotgw.datasources.coap.uplink import UplinkResource
from iotgw.dtls.certificate import load_anchors
from iotgw.dtls.identity import fingerprint
from iotgw.dtls.session import DtlsSession
from iotgw.dtls.settings import DtlsSettings
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message, error
from iotgw.wire.coap.timing import Policy

NOT_HERE = error(n.UNAUTHORIZED, "this datasource trusts other certificates")


class SecureUplinkResource(UplinkResource):
    """Uplinks of sessions. On a shared port, the handshake trusts the anchors of every datasource there:
    each admits only those of its own."""

    def __init__(
        self, context: DatasourceContext, dtls: DtlsSettings, policy: Policy, port: CoapsPort, confirm: bool
    ) -> None:
        super().__init__(context, policy, describe_session, port.sent, confirm)
        self._trusted = dtls.x509.trust_anchors if dtls.x509 is not None else []
        self._profiles = port.profiles
        self._generation = -1
        self._anchors: frozenset[str] = frozenset()

    def render(self, request: Message, exchange: Exchange) -> None:
        """See `UplinkResource.render`."""
        session = exchange.peer.remote
        assert isinstance(session, DtlsSession)
        if session.identity.anchor and not self._trusts(session.identity.anchor):
            self._intake.refuse(
                "identity", str(session.address[0]), "its certificate is trusted by another datasource"
            )
            exchange.reply(NOT_HERE)
            return
        super().render(request, exchange)

    def _trusts(self, anchor: str) -> bool:
        if self._generation != self._profiles.generation:
            self._generation = self._profiles.generation
            with suppress(
                SettingsError
            ):  # a file that has disappeared: as in the profiles, the old anchors stay
                self._anchors = frozenset(
                    fingerprint(each) for each in load_anchors(self._trusted, self._profiles.files)
                )
        return anchor in self._anchors


class _Proof(Struct):
    """Metadata keys that identify the sender of a message."""

    identity: str = ""
    identityType: str = "none"


_proof: Any = msgspec.json.Decoder(_Proof).decode


class IdentityGuard:
    """Checks whether a sender may be, or may send for, a device; says what is wrong.

    Only the holder of a device's credential can be that device, unless the credential allows plain CoAP. With
    ``must_agree``, a sender that has proved an identity may not send for any other device.
    """

    def __init__(self, must_agree: bool, credentials: ITenantCredentials) -> None:
        self._must_agree = must_agree
        self._credentials = credentials

    def objection(self, metadata: bytes, outputs: Sequence[Output]) -> str:
        """Why a message with this metadata may not have these outputs; empty if it may."""
        proof = _proof(metadata)
        proved = proof.identity if proof.identityType != "none" else ""
        for output in outputs:
            if text := self._object(proved, output.device_name):
                return text
        return ""

    def claim(self, metadata: Metadata) -> str:
        """Why a message may not claim the identity in its metadata, as it would get that device's downlinks;
        empty if it may."""
        name = metadata.get("identity", "")
        proved = name if metadata.get("identityType", "none") != "none" else ""
        return self._object(proved, name) if name else ""

    def taking(self, remote: Hashable, device: str) -> str:
        """Why a peer may not take a device's downlinks; empty if it may."""
        proved = remote.identity.device if isinstance(remote, DtlsSession) else ""
        return self._object(proved, device)

    def _object(self, proved: str, device: str) -> str:
        if proved and device == proved:
            return ""
        if self._credentials.must_be_secure(device):
            return f"device {device!r} has a credential, and must prove it over coaps"
        if self._must_agree and proved:
            return f"device {device!r} is not {proved!r}, which its sender proved to be"
        return ""
