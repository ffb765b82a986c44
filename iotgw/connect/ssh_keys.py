"""SSH keys: ours, and those of hosts, which are never trusted blindly."""

from __future__ import annotations

import base64
import hashlib

from twisted.conch.client.knownhosts import HashedEntry, PlainEntry
from twisted.conch.error import InvalidEntry
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key

from iotgw.core.errors import SettingsError


def load_key(text: str, passphrase: str) -> Key | None:
    """Parse a private key; raises SettingsError."""
    if not text.strip():
        return None
    try:
        key: Key = Key.fromString(text.strip().encode() + b"\n", passphrase=passphrase.encode() or None)
        return key
    except EncryptedKeyError:
        raise SettingsError("configuration.passphrase", "the key is encrypted; expected its passphrase")
    except (BadKeyError, ValueError, TypeError, KeyError, IndexError) as error:
        raise SettingsError(
            "configuration.privateKey", f"expected an OpenSSH or PEM private key that opens ({error})"
        )


class HostKeys:
    """The host keys that are accepted. ``pins`` are ``type base64`` or ``SHA256:…`` texts, ``known_hosts`` is
    the contents of a known_hosts file."""

    def __init__(self, pins: list[str], known_hosts: str, host: str, port: int) -> None:
        self._fingerprints: set[str] = set()
        self._blobs: set[bytes] = set()
        self.types: list[bytes] = []
        for pin in pins:
            words = pin.split()
            if len(words) == 1 and pin.startswith("SHA256:"):
                self._fingerprints.add(pin.removeprefix("SHA256:").rstrip("="))
                continue
            try:
                key = Key.fromString(" ".join(words[:2]).encode())
            except (BadKeyError, ValueError, IndexError, TypeError):
                raise SettingsError(
                    "configuration.hostKeys", f"expected 'ssh-ed25519 AAAA…' or 'SHA256:…', got {pin!r}"
                )
            self._add(key)
        name = host if port == 22 else f"[{host}]:{port}"
        for line in known_hosts.splitlines():
            stripped = line.strip()
            if not stripped or stripped[0] in "#@":
                continue
            kind = HashedEntry if stripped.startswith("|1|") else PlainEntry
            try:
                entry = kind.fromString(stripped.encode())
            except (InvalidEntry, BadKeyError, ValueError, TypeError):
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
        return blob in self._blobs or digest in self._fingerprints
