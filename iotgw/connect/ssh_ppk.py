"""PuTTY's private keys, versions 2 and 3 (PuTTY's manual, appendix C)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf import argon2

BEGIN = "PuTTY-User-Key-File-"
LARGEST_MEMORY = 64 << 10
"""KiB that deriving a key may take; PuTTY takes 8 MiB."""
MOST_WORK = 1 << 19
"""KiB times passes; PuTTY takes what needs a tenth of a second, some hundred MiB."""
MOST_LINES = 200
KINDS = {"Argon2id": "Argon2id", "Argon2i": "Argon2i", "Argon2d": "Argon2d"}
CURVES: dict[bytes, ec.EllipticCurve] = {
    b"nistp256": ec.SECP256R1(), b"nistp384": ec.SECP384R1(), b"nistp521": ec.SECP521R1(),
}  # fmt: skip


class Unopened(ValueError):
    """The passphrase is missing or wrong."""


class _Reader:
    """SSH's strings, one after another (RFC 4251 §5)."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def string(self) -> bytes:
        size = int.from_bytes(self._data[:4], "big")
        if size > len(self._data) - 4:
            raise ValueError("it is cut short")
        found, self._data = self._data[4 : 4 + size], self._data[4 + size :]
        return found

    def number(self) -> int:
        return int.from_bytes(self.string(), "big")


def load_ppk(text: str, passphrase: str) -> Any:
    """A private key of `cryptography`; raises Unopened, and ValueError for what isn't such a key."""
    head, public, private = _parts(text)
    version, algorithm = head["version"], head["algorithm"]
    encryption = head.get("Encryption", "none")
    if encryption not in ("none", "aes256-cbc"):
        raise ValueError(f"its encryption is {encryption[:40]!r}, which PuTTY doesn't have")
    is_encrypted = encryption != "none"
    if is_encrypted and not passphrase:
        raise Unopened("the key is encrypted")
    if version == "3":
        key, iv, mac_key = _derived(head, passphrase) if is_encrypted else (b"", b"", b"")
        digest = "sha256"
    else:
        secret = passphrase.encode() if is_encrypted else b""
        key = b"".join(hashlib.sha1(bytes((0, 0, 0, n)) + secret).digest() for n in (0, 1))[:32]
        iv, digest = bytes(16), "sha1"
        mac_key = hashlib.sha1(b"putty-private-key-file-mac-key" + secret).digest()
    if is_encrypted:
        opened = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
        private = opened.update(private)
    signed = [algorithm.encode(), encryption.encode(), head.get("Comment", "").encode(), public, private]
    made = hmac.digest(mac_key, b"".join(len(each).to_bytes(4, "big") + each for each in signed), digest)
    if not hmac.compare_digest(made.hex().encode(), head.get("Private-MAC", "").lower().encode()):
        if is_encrypted:
            raise Unopened("the passphrase is wrong")
        raise ValueError("its checksum is wrong")
    return _key(_Reader(public), _Reader(private))


def _parts(text: str) -> tuple[dict[str, str], bytes, bytes]:
    """The header's fields, and what is in the two blocks of lines."""
    head: dict[str, str] = {}
    blocks: dict[str, bytes] = {}
    lines = iter(text.strip().splitlines())
    first, _, algorithm = next(lines, "").partition(":")
    head["version"], head["algorithm"] = first.removeprefix(BEGIN).strip(), algorithm.strip()
    if head["version"] not in ("2", "3"):
        raise ValueError("it is of another version than 2 and 3")
    for line in lines:
        name, _, value = line.partition(":")
        if name in ("Public-Lines", "Private-Lines"):
            if not value.strip().isdigit() or int(value) > MOST_LINES:
                raise ValueError(f"{name} is wrong")
            try:
                blocks[name] = base64.b64decode("".join(next(lines, "") for _ in range(int(value))))
            except binascii.Error:
                raise ValueError(f"{name} are no base64") from None
        else:
            head[name] = value.strip()
    return head, blocks.get("Public-Lines", b""), blocks.get("Private-Lines", b"")


def _derived(head: dict[str, str], passphrase: str) -> tuple[bytes, bytes, bytes]:
    kind: Any = getattr(argon2, KINDS.get(head.get("Key-Derivation", ""), ""), None)
    if kind is None:
        raise ValueError(f"{head.get('Key-Derivation', '')[:40]!r} is not supported here")
    memory, passes, lanes = (
        int(head.get(f"Argon2-{name}", "0")[:10]) for name in ("Memory", "Passes", "Parallelism")
    )
    if memory > LARGEST_MEMORY or memory * passes > MOST_WORK or not 1 <= lanes <= 16:
        raise ValueError(
            f"deriving its key would take {memory} KiB and {passes} passes, which is too much; save it again with less"
        )
    salt = bytes.fromhex(head.get("Argon2-Salt", ""))
    made = kind(salt=salt, length=80, iterations=passes, lanes=lanes, memory_cost=memory).derive(
        passphrase.encode()
    )
    return made[:32], made[32:48], made[48:]


def _key(public: _Reader, private: _Reader) -> Any:
    algorithm = public.string()
    if algorithm == b"ssh-ed25519":
        return ed25519.Ed25519PrivateKey.from_private_bytes(private.string())
    if algorithm == b"ssh-rsa":
        e, n = public.number(), public.number()
        d, p, q, inverse = (private.number() for _ in range(4))
        numbers = rsa.RSAPrivateNumbers(
            p, q, d, d % (p - 1), d % (q - 1), inverse, rsa.RSAPublicNumbers(e, n)
        )
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)
    if algorithm.startswith(b"ecdsa-sha2-"):
        curve = CURVES[public.string()]
        return ec.derive_private_key(private.number(), curve)
    raise ValueError("it is neither Ed25519, ECDSA nor RSA")
