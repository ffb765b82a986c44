"""SSH keys: ours, and those of hosts, which are never trusted blindly."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import math
import re
import struct
import textwrap
from collections.abc import Iterator
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    SSHCertificate,
    SSHCertificateType,
    load_pem_private_key,
    load_ssh_private_key,
    load_ssh_public_identity,
)
from msgspec import Struct
from twisted.conch.client.knownhosts import HashedEntry, PlainEntry
from twisted.conch.error import InvalidEntry
from twisted.conch.ssh.common import getNS
from twisted.conch.ssh.keys import BadKeyError, Key

from iotgw.connect.ssh_ppk import BEGIN, Unopened, load_ppk
from iotgw.core.errors import SettingsError
from iotgw.core.pem import LARGEST_RSA

PRIVATE, PASSPHRASE, CERTIFICATE = (
    f"configuration.{name}" for name in ("privateKey", "passphrase", "certificate")
)
PUBLIC = re.compile(r"(ssh-|ecdsa-sha2-|sk-)[\w@.-]+\s+AAAA|-{4,5} ?BEGIN (SSH2 |RSA )?PUBLIC KEY")
"""How public keys begin, of OpenSSH, of PuTTY, and in PEM."""
ONE_LINE = re.compile(r"(-----BEGIN [A-Z0-9 ]+-----)([A-Za-z0-9+/=\s]+)(-----END [A-Z0-9 ]+-----)\s*")
MOST_ROUNDS = 100
"""Rounds of OpenSSH's key derivation, each some milliseconds; ssh-keygen takes 16 or 24, and people 100."""
MOST_ITERATIONS = 2_000_000
"""Iterations of PKCS#8's key derivation."""
MOST_SCRYPT = 1 << 20
"""Blocks of 128 bytes that its scrypt may go through (RFC 7914 §2: N times r times p); OpenSSL takes an eighth."""
SCRYPT = bytes.fromhex("2b06010401da47040b")
"""Its object identifier (RFC 7914 §7)."""


class Certificate(Struct, frozen=True):
    """An OpenSSH certificate of our key (OpenSSH's PROTOCOL.certkeys)."""

    type: bytes
    blob: bytes


def load_key(text: str, passphrase: str) -> Key | None:
    """Parse a private key of OpenSSH, PEM, PKCS#8 or PuTTY; raises SettingsError, which doesn't repeat it."""
    text = text.strip()
    if not text:
        return None
    if "\n" not in text and "\\n" in text:
        text = text.replace("\\r", "").replace("\\n", "\n")  # as it stands in JSON
    if PUBLIC.match(text):
        raise SettingsError(
            PRIVATE, "this is a public key; expected the private one, the file without .pub", True
        )
    on_one_line = ONE_LINE.fullmatch(text)
    if on_one_line and "\n" not in text:
        begin, body, end = on_one_line.groups()
        text = "\n".join((begin, *textwrap.wrap("".join(body.split()), 64), end))
    try:
        opened = _opened(text, passphrase)
        if isinstance(opened, RSAPrivateKey) and opened.key_size > LARGEST_RSA:
            raise ValueError(f"expected at most {LARGEST_RSA} bits, got {opened.key_size}")
        key = Key(opened)
        key.sshType(), key.public().blob()
        return key
    except Unopened as error:
        raise SettingsError(PASSPHRASE, f"{error}; expected its passphrase", True) from None
    except Exception as error:  # a malformed key fails in many ways
        said = str(error)[:200] if isinstance(error, ValueError | UnsupportedAlgorithm) else ""
        raise SettingsError(
            PRIVATE,
            "expected a private key of OpenSSH, PEM, PKCS#8 or PuTTY; Ed25519, ECDSA or RSA"
            + (f" ({said})" if said and text[:60] not in said else ""),
            True,
        ) from None


def _opened(text: str, passphrase: str) -> Any:
    # Whether the factors of an RSA key are prime isn't asked: that takes seconds.
    if text.startswith(BEGIN):
        return load_ppk(text, passphrase)
    data, secret, is_encrypted = text.encode() + b"\n", passphrase.encode() or None, False
    try:
        if "BEGIN OPENSSH PRIVATE KEY" in text:
            is_encrypted = _check_rounds(text)
            return load_ssh_private_key(
                data, secret if is_encrypted else None, unsafe_skip_rsa_key_validation=True
            )
        is_encrypted = "ENCRYPTED" in text
        if "BEGIN ENCRYPTED PRIVATE KEY" in text:
            _check_iterations(text)
        return load_pem_private_key(
            data, secret if is_encrypted else None, unsafe_skip_rsa_key_validation=True
        )
    except TypeError:
        raise Unopened("the key is encrypted") from None
    except ValueError as error:
        if (
            secret
            and is_encrypted
            and re.search("(?i)decrypt|password|passphrase|corrupt|checksum", str(error))
        ):
            raise Unopened("the passphrase is wrong") from None
        raise


def _body(text: str) -> bytes:
    return base64.b64decode("".join(line for line in text.splitlines() if not line.startswith("-")))


def _check_rounds(text: str) -> bool:
    """Whether an OpenSSH key is encrypted (PROTOCOL.key). Refuses one that would take too long to open."""
    data = _body(text).removeprefix(b"openssh-key-v1\0")
    _, kdf, options, _ = getNS(data, 3)
    if kdf == b"bcrypt":
        _, rounds = getNS(options)
        if int.from_bytes(rounds, "big") > MOST_ROUNDS:
            raise ValueError(f"it was saved with more than {MOST_ROUNDS} rounds; save it again with less")
    return bool(kdf != b"none")


def _check_iterations(text: str) -> None:
    """Refuse a PKCS#8 key that would take too long to open: one with a large number in how its key is derived (RFC 8018, RFC 7914)."""
    data = _body(text)

    def numbers(start: int, end: int, depth: int) -> list[int]:
        """The numbers of a sequence."""
        found, is_scrypt = [], False
        while start + 2 <= end and depth < 12:
            tag, size, start = data[start], data[start + 1], start + 2
            if size & 0x80:
                more = size & 0x7F
                size, start = int.from_bytes(data[start : start + more], "big"), start + more
            if tag == 0x30:
                inner = numbers(start, min(start + size, end), depth + 1)
                if is_scrypt and math.prod(inner[:3]) > MOST_SCRYPT:
                    raise ValueError("it was saved with too large parameters of scrypt")
            elif tag == 2:
                found.append(int.from_bytes(data[start : start + size], "big"))
                if found[-1] > MOST_ITERATIONS:
                    raise ValueError(f"it was saved with more than {MOST_ITERATIONS} iterations")
            elif tag == 6:
                is_scrypt = data[start : start + size] == SCRYPT
            start += size
        return found

    numbers(0, len(data), 0)


def load_certificate(text: str, key: Key | None) -> Certificate | None:
    """Parse a certificate of this key: the text of ``id_ed25519-cert.pub``; raises SettingsError."""
    if not text.strip():
        return None
    if key is None:
        raise SettingsError(CERTIFICATE, "expected its private key in privateKey")
    words = text.split()
    try:
        found = load_ssh_public_identity(" ".join(words[:2]).encode())
    except Exception:
        found = None
    if not isinstance(found, SSHCertificate) or found.type is not SSHCertificateType.USER:
        raise SettingsError(
            CERTIFICATE,
            "expected a user's certificate of OpenSSH, the text of a file like id_ed25519-cert.pub",
        )
    if Key(found.public_key()).blob() != key.public().blob():
        raise SettingsError(CERTIFICATE, "it belongs to another key than privateKey")
    return Certificate(words[0].encode(), base64.b64decode(words[1]))


class HostKeys:
    """The host keys that are accepted. ``pins`` are ``type base64`` or ``SHA256:…`` texts, ``known_hosts`` is
    the contents of a known_hosts file."""

    def __init__(self, pins: list[str], known_hosts: str, host: str, port: int) -> None:
        self._fingerprints: set[str] = set()
        self._blobs: set[bytes] = set()
        self._revoked: set[bytes] = set()
        self.types: list[bytes] = []
        for pin in pins:
            words = pin.split()
            if len(words) == 1 and pin.startswith("SHA256:"):
                self._fingerprints.add(pin.removeprefix("SHA256:").rstrip("="))
                continue
            try:
                key = Key.fromString(" ".join(words[:2]).encode(), type="public_openssh")
            except (BadKeyError, ValueError, IndexError, TypeError, struct.error):
                raise SettingsError(
                    "configuration.hostKeys", f"expected 'ssh-ed25519 AAAA…' or 'SHA256:…', got {pin[:80]!r}"
                ) from None
            self._add(key)
        name = host if port == 22 else f"[{host}]:{port}"
        for line in known_hosts.splitlines():
            stripped = line.strip()
            if stripped.startswith("@revoked"):
                self._revoked |= set(_blobs_in(stripped))
            if not stripped or stripped[0] in "#@" or not _may_be_of(stripped, name):
                continue
            kind = HashedEntry if stripped.startswith("|1|") else PlainEntry
            try:
                entry = kind.fromString(stripped.encode())
            except (InvalidEntry, BadKeyError, ValueError, IndexError, TypeError, struct.error):
                continue  # a key type that conch doesn't know
            if entry.matchesHost(name.encode()):
                self._add(entry.publicKey)
        if not self._fingerprints and not self._blobs:
            raise SettingsError(
                "configuration.hostKeys", f"expected a host key of {name}, here or in knownHosts"
            )

    def _add(self, key: Key) -> None:
        self._blobs.add(key.blob())
        self.types.append(key.sshType())

    def has(self, blob: bytes) -> bool:
        """Whether this key is accepted for a host."""
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        return blob not in self._revoked and (blob in self._blobs or digest in self._fingerprints)


def _may_be_of(line: str, name: str) -> bool:
    """Whether a line of known_hosts names a host, also by its hash: reading one takes much longer."""
    hosts = line.split(maxsplit=1)[0]
    if not hosts.startswith("|1|"):
        return name in hosts.split(",")
    salt, _, hashed = hosts[3:].partition("|")
    try:
        return hmac.digest(base64.b64decode(salt), name.encode(), "sha1") == base64.b64decode(hashed)
    except ValueError:
        return False


def _blobs_in(line: str) -> Iterator[bytes]:
    """The key of a line of known_hosts, whatever hosts it is of."""
    for word in line.split():
        if word.startswith("AAAA"):
            with contextlib.suppress(ValueError):
                yield base64.b64decode(word)
