"""Why an OPC UA server can't be had, in words that help, in the asyncio thread. What a server says of security is a number at most, so it is asked
what it offers: that needs no security (OPC 10000-4 §5.4.4)."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence

from asyncua import ua

from iotgw.connect.opcua_limits import BoundedClient
from iotgw.connect.opcua_plan import OpcuaPlan

USAGES = "digitalSignature, nonRepudiation, keyEncipherment and dataEncipherment"
HINTS = {
    "BadCertificateUseNotAllowed": f"security.certificate needs the key usages {USAGES}",
    "BadCertificateUntrusted": "an operator has to have the server trust security.certificate",
    "BadSecurityChecksFailed": "an operator may have to have the server trust security.certificate",
    "BadCertificateUriInvalid": "security.certificate has to name the application's URI",
    "BadTcpEndpointUrlInvalid": "the server has nothing at this path of url",
    "BadNodeIdUnknown": "the server has no such node",
}
PASSWORD = ("BadUserAccessDenied", "BadIdentityTokenRejected", "BadIdentityTokenInvalid")
"""What servers say of a user whom they don't know, and where they want one."""
_MODES = {ua.MessageSecurityMode.Sign: "sign", ua.MessageSecurityMode.SignAndEncrypt: "signAndEncrypt"}
MOST_TOLD = 8
"""Ways into a server that are told."""


class CannotConnect(Exception):
    """A server that can't be had, and why."""


async def why(plan: OpcuaPlan, error: Exception) -> str:
    """Why a session could not be begun: asks the server where it said something, or broke off."""
    said = in_words(error)
    name = said.partition(":")[0]
    if name in PASSWORD:
        return f"{said} The server refuses username and password, or wants some"
    if isinstance(error, ua.UaError | TimeoutError | ConnectionResetError):
        try:
            offered = await BoundedClient(plan.url, plan.timeout).connect_and_get_server_endpoints()
        except (ua.UaError, OSError):
            offered = []
        said = unfit(plan, offered[:MOST_TOLD]) or said
    return f"{said} {HINTS[name]}" if said.startswith(name) and name in HINTS else said


def unfit(plan: OpcuaPlan, offered: Sequence[ua.EndpointDescription]) -> str:
    """What of the settings isn't the server's; empty if that isn't it."""
    ways = [(_policy(each), _MODES.get(each.SecurityMode, "")) for each in offered]
    if not ways:
        return ""
    wanted = (plan.policy, "" if plan.policy == "none" else plan.mode)
    if wanted not in ways:
        there = ", ".join(sorted({" ".join(way).strip() for way in ways}))
        return f"expected a security that the server offers, which is {there}; got {' '.join(wanted).strip()}"
    if plan.policy != "none":
        ours = hashlib.sha256(ssl.PEM_cert_to_DER_cert(plan.server_certificate.strip())).hexdigest()
        theirs = {hashlib.sha256(_first(each.ServerCertificate or b"")).hexdigest() for each in offered}
        if ours not in theirs:
            return (
                f"expected the certificate that the server has, of SHA-256 {', '.join(sorted(theirs))}; "
                f"that of security.serverCertificate is {ours}"
            )
    return ""


def _policy(endpoint: ua.EndpointDescription) -> str:
    name = (endpoint.SecurityPolicyUri or "").rpartition("#")[2]
    return "none" if name == "None" else "".join(filter(str.isalnum, name))[:40]


def _first(chain: bytes) -> bytes:
    """The server's own certificate, after which those of its issuers may come (OPC 10000-6 §6.2.3): DER tells how long it is."""
    return chain[: 4 + int.from_bytes(chain[2:4])] if chain[:2] == b"\x30\x82" else chain


def in_words(error: BaseException) -> str:
    """Why something failed, in one line."""
    if isinstance(error, ua.UaStatusCodeError):
        code = ua.StatusCode(error.code)
        return f"{code.name}: {code.doc}"
    if isinstance(error, TimeoutError):
        return "the server did not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return " ".join((str(error) or type(error).__name__).split())[:300]
