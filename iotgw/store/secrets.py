"""Secrets at rest: encrypted with a key in a file beside the database, readable by its owner only.

Whoever can read the key file can read the secrets. A copy of the database alone reveals none.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from iotgw.core import private
from iotgw.core.errors import IotgwError

_PREFIX = "sealed:1:"
_KEY_BYTES = 32
_NONCE_BYTES = 12  # NIST SP 800-38D §8.2.2: a random nonce has 96 bits


class CannotUnseal(IotgwError):
    """A sealed text was made with another key, or was changed."""


class Sealer:
    """Seals texts with AES-256-GCM."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    @classmethod
    def of_file(cls, path: Path) -> Sealer:
        """Use the key in this file, which is made with mode 0600 if it is missing. Raises CannotUnseal if it holds no
        key."""
        try:
            key = path.read_bytes()
        except FileNotFoundError:
            key = AESGCM.generate_key(_KEY_BYTES * 8)
            _write_new(path, key)
        if len(key) != _KEY_BYTES:
            raise CannotUnseal(f"{path}: expected a key of {_KEY_BYTES} bytes, got {len(key)}")
        return cls(key)

    def seal(self, secret: str) -> str:
        """Encrypt a text. The result differs each time."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret.encode(), None)
        return _PREFIX + urlsafe_b64encode(sealed).decode("ascii")

    def unseal(self, sealed: str) -> str:
        """Decrypt what `seal` returned. Raises CannotUnseal."""
        if not sealed.startswith(_PREFIX):
            raise CannotUnseal(f"expected a sealed secret ({_PREFIX}…), got something else")
        try:
            raw = urlsafe_b64decode(sealed[len(_PREFIX) :])
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None).decode()
        except (InvalidTag, ValueError) as error:
            raise CannotUnseal("a sealed secret can't be decrypted: was secret.key replaced?") from error


def _write_new(path: Path, content: bytes) -> None:
    """Make a file of mode 0600. Afterwards it is either complete and on disk, or does not exist."""
    private.make_directory(path.parent)
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, content)
        os.fsync(file)
    finally:
        os.close(file)
    temporary.rename(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
