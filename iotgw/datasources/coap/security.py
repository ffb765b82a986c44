"""What a verified identity means for a coap datasource: which sessions it admits, and what its senders have proved."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress

from iotgw.core.errors import SettingsError
from iotgw.core.model import Output
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.proof import Proved, proved
from iotgw.datasources.coap.downlink import proved_by
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
UNTRUSTED = "its certificate is trusted by another datasource"


class Anchors:
    """Whether a session's certificate is one that a datasource trusts: on a shared port, the handshake trusts the anchors of
    every datasource there, and each admits only those of its own."""

    def __init__(self, dtls: DtlsSettings, port: CoapsPort) -> None:
        self._trusted = dtls.x509.trust_anchors if dtls.x509 is not None else []
        self._profiles = port.profiles
        self._generation = -1
        self._anchors: frozenset[str] = frozenset()

    def trust(self, session: DtlsSession) -> bool:
        """Whether it may be taken; one with a key always."""
        anchor = session.identity.anchor
        if not anchor:
            return True
        if self._generation != self._profiles.generation:
            self._generation = self._profiles.generation
            with suppress(
                SettingsError
            ):  # a file that has disappeared: as in the profiles, the old anchors stay
                self._anchors = frozenset(
                    fingerprint(each) for each in load_anchors(self._trusted, self._profiles.files)
                )
        return anchor in self._anchors


class SecureUplinkResource(UplinkResource):
    """Uplinks of sessions whose certificates the datasource trusts."""

    is_of_address = False

    def __init__(
        self, context: DatasourceContext, dtls: DtlsSettings, policy: Policy, port: CoapsPort, confirm: bool
    ) -> None:
        super().__init__(context, policy, describe_session, port.sent, confirm)
        self._anchors = Anchors(dtls, port)

    def render(self, request: Message, exchange: Exchange) -> None:
        """See `UplinkResource.render`."""
        session = exchange.peer.remote
        assert isinstance(session, DtlsSession)
        if not self._anchors.trust(session):
            self._intake.refuse("identity", str(session.address[0]), UNTRUSTED)
            exchange.reply(NOT_HERE)
            return
        super().render(request, exchange)


class IdentityGuard:
    """Checks that senders of a datasource speak for nobody but themselves (``requireIdentity``): one that has proved what
    it is may not send for any other device."""

    def objection(self, metadata: bytes, outputs: Sequence[Output]) -> str:
        """Why a message with this metadata may not have these outputs; empty if it may."""
        has_proved = proved(metadata)
        return next((text for each in outputs if (text := self._object(has_proved, each.device_name))), "")

    def taking(self, remote: Hashable, device: str) -> str:
        """Why a peer may not take a device's downlinks; empty if it may."""
        return self._object(proved_by(remote), device)

    def _object(self, has_proved: Proved, device: str) -> str:
        if has_proved in ("", device):
            return ""
        return f"device {device!r} is not {has_proved!r}, which its sender proved to be"
