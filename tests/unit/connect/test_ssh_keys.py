"""Private keys for SSH that were made to cost whoever reads them time."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from iotgw.connect.ssh_keys import MOST_SCRYPT, HostKeys, load_key
from iotgw.core.errors import SettingsError
from iotgw.core.pem import LARGEST_RSA
from tests.certificates import composite_rsa

HOST_KEY = (
    Ed25519PrivateKey.from_private_bytes(b"h" * 32)
    .public_key()
    .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    .decode()
)
KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))
SCRYPT = "06092b06010401da47040b"


def pem(bits, form):
    return composite_rsa(bits).private_bytes(Encoding.PEM, form, NoEncryption()).decode()


FORMS = [PrivateFormat.OpenSSH, PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL]


@pytest.mark.parametrize("form", FORMS)
def test_nobody_looks_whether_the_factors_of_a_key_are_prime(form):
    assert load_key(pem(2048, form), "").type() == "RSA"


@pytest.mark.parametrize("form", FORMS)
def test_a_key_that_takes_long_for_each_signature_is_refused(form):
    with pytest.raises(SettingsError, match=f"at most {LARGEST_RSA} bits, got {LARGEST_RSA + 2}"):
        load_key(pem(LARGEST_RSA + 2, form), "")


def der(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    return bytes((tag, size) if size < 128 else (tag, 0x81, size)) + content


def whole(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1))


def scrypted(n, r, p):
    """A PKCS#8 key whose passphrase ``x`` goes through scrypt (RFC 7914 §7): it is opened with N = 1024, r = 1, p = 1."""
    salt, iv = bytes(16), bytes(16)
    derived = der(0x30, bytes.fromhex(SCRYPT), der(0x30, der(4, salt), *map(whole, (n, r, p))))
    cipher = der(0x30, bytes.fromhex("060960864801650304012a"), der(4, iv))
    scheme = der(0x30, bytes.fromhex("06092a864886f70d01050d"), der(0x30, derived, cipher))
    padder = PKCS7(128).padder()
    plain = (
        padder.update(KEY.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
        + padder.finalize()
    )
    secret = hashlib.scrypt(b"x", salt=salt, n=1024, r=1, p=1, dklen=32)
    sealed = Cipher(algorithms.AES(secret), modes.CBC(iv)).encryptor().update(plain)
    body = base64.encodebytes(der(0x30, scheme, der(4, sealed))).decode()
    return f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n"


@pytest.mark.parametrize("parameters", [(16384, 8, 100), (16384, 1, 10**6), (MOST_SCRYPT, 8, 1)])
def test_a_key_whose_passphrase_would_go_through_scrypt_for_long_is_refused(parameters):
    with pytest.raises(SettingsError, match="too large parameters of scrypt"):
        load_key(scrypted(*parameters), "x")


def test_a_key_whose_passphrase_goes_through_some_scrypt_is_opened():
    found = load_key(scrypted(1024, 1, 1), "x")
    assert found.public().blob()[-32:] == KEY.public_key().public_bytes_raw()


@pytest.mark.parametrize("of", ["*", "other.example", "h"])
def test_a_host_key_that_known_hosts_revokes_is_not_trusted(of):
    blob = base64.b64decode(HOST_KEY.split()[1])
    assert HostKeys([], f"h {HOST_KEY}\n", "h", 22).has(blob)
    assert not HostKeys([], f"h {HOST_KEY}\n@revoked {of} {HOST_KEY} stolen\n", "h", 22).has(blob)


@pytest.mark.parametrize(
    "pin",
    [
        "",
        "{{ a }}",
        "ssh-ed25519",
        "ssh-ed25519 AAAA",
        "ssh-rsa AAAAB3NzaC1yc2E=",
        "(3:dsa)",
        "\0\0\0\x07ssh-rsa",
        "-----BEGIN RSA PRIVATE KEY-----",
        "a" * 70_000,
    ],
)
def test_what_is_no_host_key_is_refused_in_one_short_line(pin):
    with pytest.raises(SettingsError, match="expected 'ssh-ed25519 AAAA…' or 'SHA256:…'") as refused:
        HostKeys([pin], "", "h", 22)
    assert len(str(refused.value)) < 200


def test_known_hosts_may_hash_the_names_of_its_hosts():
    blob = base64.b64decode(HOST_KEY.split()[1])
    salt = b"s" * 20
    hashed, other = (
        base64.b64encode(hmac.digest(salt, name, "sha1")).decode() for name in (b"[h]:2222", b"other")
    )
    line = f"|1|{base64.b64encode(salt).decode()}|{hashed} {HOST_KEY}\n"
    wrong = f"|1|{base64.b64encode(salt).decode()}|{other} {HOST_KEY}\n|1|%|% x y\n|1|\n"
    assert HostKeys([], f"{wrong}{line}", "h", 2222).has(blob)
    with pytest.raises(SettingsError, match="expected a host key of"):
        HostKeys([], wrong, "h", 2222)
