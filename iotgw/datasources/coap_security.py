"""What a proved identity means for a coap datasource: whom it lets in, and whom it lets speak for whom."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.credentials import TenantCredentials
from iotgw.datasources.coap_uplink import UplinkResource
from iotgw.datasources.coaps_port import describe_session
from iotgw.dtls.certificate import load_anchors
from iotgw.dtls.identity import fingerprint
from iotgw.dtls.session import Session
from iotgw.dtls.settings import DtlsSettings
from iotgw.extension import DatasourceContext
from iotgw.model import Output
from iotgw.wire.coap import numbers as n
from iotgw.wire.coap.exchange import Exchange
from iotgw.wire.coap.message import Message
from iotgw.wire.coap.site import error
from iotgw.wire.coap.timing import Policy

_RECORD = 65
"""Bytes that DTLS adds at most (CBC with SHA-256)."""
_HEAD = 80
"""Bytes in front of a block: header, token and the options of a response."""

NOT_HERE = error(n.UNAUTHORIZED, "this datasource trusts other certificates")


class SecureUplinkResource(UplinkResource):
    """Uplinks of sessions. On a shared port, the handshake trusts the anchors of every datasource there:
    each admits only those of its own."""

    def __init__(
        self,
        context: DatasourceContext,
        dtls: DtlsSettings,
        policy: Policy,
        sent: Callable[[], None],
        confirm: bool,
    ) -> None:
        super().__init__(context, policy, describe_session, sent, confirm)
        files = dtls.x509.trust_anchors if dtls.x509 is not None else ()
        self._anchors = frozenset(fingerprint(anchor) for anchor in load_anchors(files))

    def render(self, request: Message, exchange: Exchange) -> None:
        """See `UplinkResource.render`."""
        session = exchange.peer.remote
        assert isinstance(session, Session)
        if session.identity.anchor and session.identity.anchor not in self._anchors:
            exchange.reply(NOT_HERE)
            return
        super().render(request, exchange)


def fitting_block(wanted: int, mtu: int) -> int:
    """The largest block of at most ``wanted`` bytes whose message fits one datagram of ``mtu`` bytes."""
    size = wanted
    while size > 16 and size + _RECORD + _HEAD > mtu:
        size //= 2
    return size


class _Proof(Struct):
    """The metadata that says who sent a message."""

    identity: str = ""
    identityType: str = "none"


_proof: Any = msgspec.json.Decoder(_Proof).decode


class IdentityGuard:
    """Says what is wrong with the devices that a converter names for a message.

    A device with a credential doesn't come without, unless that allows it. With ``must_agree``, a message is
    only ever about the device that sent it.
    """

    def __init__(self, must_agree: bool, credentials: TenantCredentials) -> None:
        self._must_agree = must_agree
        self._credentials = credentials

    def objection(self, metadata: bytes, outputs: Sequence[Output]) -> str:
        """Why these outputs may not come of a message with this metadata; empty if they may."""
        proof = _proof(metadata)
        for output in outputs:
            name = output.device_name
            if proof.identityType == "none":
                if self._credentials.must_be_secure(name):
                    return f"device {name!r} has a credential and must use coaps"
            elif self._must_agree and name != proof.identity:
                return f"device {name!r} is not {proof.identity!r}, which its sender proved to be"
        return ""
