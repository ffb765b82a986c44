"""Certificates for devices that have none yet, signed by an authority of the operator's."""

from __future__ import annotations

import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

EARLIER = datetime.timedelta(days=1)
"""How long before now a certificate begins: devices' clocks are wrong."""
LONGEST_NAME = 64
"""Characters of a common name (RFC 5280, ub-common-name)."""


class Issuer:
    """Signs certificates by an authority's certificate and key, in PEM. Raises ValueError for what is none."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self._certificate = x509.load_pem_x509_certificate(certificate)
        try:  # whether the factors of another kind of key are prime isn't asked: that takes seconds
            found = load_pem_private_key(key, None, unsafe_skip_rsa_key_validation=True)
        except (TypeError, UnsupportedAlgorithm) as error:
            raise ValueError("expected a private key that isn't encrypted") from error
        if not isinstance(found, ec.EllipticCurvePrivateKey):
            raise ValueError("expected the key of an elliptic curve")
        self._key = found

    def issue(self, name: str, days: int, now: datetime.datetime) -> tuple[bytes, bytes]:
        """A certificate of a new key (P-256) for a device of this name: both as DER, the key as PKCS #8."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if len(name) <= LONGEST_NAME else []
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(subject))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - EARLIER)
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        if not subject:
            uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(name)])
            builder = builder.add_extension(uri, critical=True)
        made = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return made.public_bytes(Encoding.DER), private


def der_of(certificate: bytes) -> bytes:
    """A certificate in PEM as DER; raises ValueError."""
    return x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
