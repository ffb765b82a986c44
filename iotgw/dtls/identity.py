"""Who a peer is: the identity that a handshake proved, and how a certificate names a device."""

from __future__ import annotations

import re
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from msgspec import Struct

from iotgw.core.credential import Grant

Naming = Literal["sanUri", "cn", "fingerprint"]

_URNS = (
    re.compile(r"urn:dev:mac:([0-9a-f]{12,16})(?:[_;].*)?", re.I),  # RFC 9039 §4.1
    re.compile(r"urn:(?:gsma:)?imei:([0-9][0-9-]{13,17})(?:[?;].*)?", re.I),  # RFC 7254
    re.compile(r"urn:dev:imei:([0-9]{14,16})", re.I),
)


class Identity(Struct, frozen=True):
    """What a peer proved. ``name`` is empty for an anonymous one (a certificate was not required).

    ``name`` is the PSK identity or what the certificate says. ``fingerprint`` is the certificate's SHA-256
    and ``anchor`` that of the trust anchor of its chain, in hexadecimal. ``grant`` is what its credential
    gives it, if it has one.
    """

    type: Literal["psk", "x509", "none"]
    name: str = ""
    fingerprint: str = ""
    anchor: str = ""
    grant: Grant | None = None

    @property
    def device(self) -> str:
        """The device that this peer is."""
        return self.grant.device if self.grant is not None else self.name


ANONYMOUS = Identity("none")


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of a certificate, in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def plain(name: str) -> str:
    """A device's identifier without its URN: ``urn:dev:mac:70B3…`` → ``70b3…``, ``urn:imei:35…`` → ``35…``.

    Any other name stays as it is.
    """
    for urn in _URNS:
        if found := urn.fullmatch(name):
            return found[1].replace("-", "").lower()
    return name


def device_name(certificate: x509.Certificate, naming: tuple[Naming, ...]) -> str:
    """The device that a certificate names, by the first way of ``naming`` that gives one; else empty."""
    for way in naming:
        if name := _WAYS[way](certificate):
            return plain(name)
    return ""


def _san_uri(certificate: x509.Certificate) -> str:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        return ""
    # A URN that names hardware is preferred to whatever else is there.
    return next((uri for uri in uris if plain(uri) != uri), uris[0] if uris else "")


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


_WAYS = {"sanUri": _san_uri, "cn": _common_name, "fingerprint": fingerprint}


def weakness(certificate: x509.Certificate) -> str:
    """What is too weak about a certificate, or an empty text.

    OpenSSL checks this too, except at the security level that eight-byte tags need.
    """
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        return f"an RSA key of {key.key_size} bits, expected at least 2048"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.key_size < 224:
        return f"an EC key of {key.curve.key_size} bits, expected at least 224"
    digest = certificate.signature_hash_algorithm
    if isinstance(digest, hashes.MD5 | hashes.SHA1) and certificate.issuer != certificate.subject:
        return f"a signature with {digest.name}"
    return ""
