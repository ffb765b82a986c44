"""Certificates and keys for tests, made when they run: nothing of them is in the repository."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


def new_key(kind="ec"):
    if kind == "ec":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 1024 if kind == "rsa1024" else 2048)


def composite_rsa(bits):
    """An RSA key whose factors nobody looked for: odd numbers, which makes one of any length at once."""
    random = Random(1)
    while True:
        p, q = (random.getrandbits(bits // 2) | 1 | 3 << bits // 2 - 2 for _ in range(2))
        try:
            d, inverse = pow(65537, -1, (p - 1) * (q - 1)), pow(q, -1, p)
        except ValueError:  # a factor in common
            continue
        public = rsa.RSAPublicNumbers(65537, p * q)
        numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), inverse, public)
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)


class Issued:
    """A certificate with its key."""

    def __init__(self, certificate, key, issuer=None):
        self.certificate, self.key, self.issuer = certificate, key, issuer

    def pem(self):
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, password=""):
        encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)

    def write(self, folder: Path, name: str, password=""):
        """Write ``name.pem`` (with the issuers below the root) and ``name.key``; their paths as texts."""
        chain, above = self.pem(), self.issuer
        while above is not None and above.issuer is not None:
            chain, above = chain + above.pem(), above.issuer
        certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
        certificate.write_bytes(chain)
        key.write_bytes(self.key_pem(password))
        return str(certificate), str(key)

    def pkcs12(self, password, alias):
        encryption = BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            alias.encode(), self.key, self.certificate, None, encryption
        )


class Authority(Issued):
    """A certificate authority that issues for tests."""

    def __init__(self, name="Test CA", issuer=None):
        key = new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, issuer.certificate.subject if issuer else subject, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        signer = issuer.key if issuer else key
        super().__init__(builder.sign(signer, hashes.SHA256()), key, issuer)

    def issue(self, name="", uris=(), kind="ec", start=NOW - DAY, end=NOW + 30 * DAY, hosts=()):
        key = new_key(kind)
        attributes = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
        builder = _builder(x509.Name(attributes), self.certificate.subject, key, start, end)
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [_host(host) for host in hosts]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(builder.sign(self.key, hashes.SHA256()), key, self)


def _host(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(subject, issuer, key, start=NOW - DAY, end=NOW + 30 * DAY):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
