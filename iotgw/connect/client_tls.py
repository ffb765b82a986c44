"""TLS where the gateway is the client of a datasource: what to trust, and who we are."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from OpenSSL import SSL
from twisted.internet import ssl
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS

from iotgw.core.errors import SettingsError
from iotgw.core.secrets import Secret

_END = "-----END CERTIFICATE-----"


class ClientTls(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """TLS towards a server. The texts are PEM."""

    ca: Annotated[str, Meta(description="Certificates to trust instead of the system's.")] = ""
    certificate: Annotated[
        str, Meta(description="Our certificate with its chain, where the server asks for one.")
    ] = ""
    key: Annotated[Secret, Meta(description="Private key of `certificate`.")] = ""
    server_name: Annotated[
        str, Meta(description="Name to expect in the server's certificate; else `host`.")
    ] = ""


def client_endpoint(reactor: Any, host: str, port: int, tls: ClientTls | None, timeout: float) -> Any:
    """A Twisted endpoint that never blocks the reactor. Raises SettingsError; certificates are verified always."""
    endpoint = HostnameEndpoint(reactor, host, port, timeout=timeout)
    if tls is None:
        return endpoint
    try:
        trust: Any = ssl.platformTrust()
        if tls.ca:
            blocks = [
                f"{block}{_END}\n".encode() for block in tls.ca.split(_END) if "BEGIN CERTIFICATE" in block
            ]
            if not blocks:
                raise SettingsError("configuration.tls.ca", "expected PEM certificates, found none")
            trust = ssl.trustRootFromCertificates([ssl.Certificate.loadPEM(block) for block in blocks])
        own = ssl.PrivateCertificate.loadPEM(f"{tls.certificate}\n{tls.key}") if tls.certificate else None
        options = ssl.optionsForClientTLS(tls.server_name or host, trustRoot=trust, clientCertificate=own)
    except (SSL.Error, ValueError) as error:
        raise SettingsError("configuration.tls", f"expected PEM certificates and key: {error}") from error
    return wrapClientTLS(options, endpoint)
