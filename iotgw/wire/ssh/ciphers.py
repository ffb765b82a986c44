"""SSH's binary packets, sealed and opened (RFC 4253 §6): one object for each direction.

``seal(sequence, payload)`` makes a packet. ``open(sequence, data)`` takes one from the front of what has arrived, and returns
its payload and its size, or None if more has to come; it raises ProtocolError. ``sequence`` is the packet's number.
"""

from __future__ import annotations

import hmac
import os
from typing import Any, Protocol

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.poly1305 import Poly1305

from iotgw.core.errors import ProtocolError

LARGEST = 256 << 10
"""Bytes of a packet; every side may be sent 35,000 (RFC 4253 §6.1)."""
TAG = 16
LEAST_PADDING = 4


class Sealing(Protocol):
    """One direction of a connection."""

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """See the module."""

    def open(self, sequence: int, data: bytes) -> tuple[bytes, int] | None:
        """See the module."""


def _padded(payload: bytes, block: int, counted: int) -> bytes:
    """The length of the padding, the payload, and random padding: a multiple of the block, with ``counted`` bytes before."""
    padding = block - (counted + 1 + len(payload)) % block
    if padding < LEAST_PADDING:
        padding += block
    return bytes((padding,)) + payload + os.urandom(padding)


def _unpadded(body: bytes) -> bytes:
    padding = body[0]
    if not LEAST_PADDING <= padding < len(body) - 1:
        raise ProtocolError(f"bad padding of {padding} bytes in a packet of {len(body)}")
    return body[1 : len(body) - padding]


def _size(length: bytes, block: int, counted: int) -> int:
    """A packet's length, checked before it is waited for."""
    size = int.from_bytes(length, "big")
    if not 1 + LEAST_PADDING < size <= LARGEST:
        raise ProtocolError(f"bad packet length {size}")
    if (size + counted) % block:
        raise ProtocolError(f"bad packet length {size}, expected a multiple of {block} less {counted}")
    return size


class Plain:
    """Before keys are agreed on."""

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """See the module."""
        body = _padded(payload, 8, 4)
        return len(body).to_bytes(4, "big") + body

    def open(self, sequence: int, data: bytes) -> tuple[bytes, int] | None:
        """See the module."""
        if len(data) < 4:
            return None
        size = _size(data[:4], 8, 4)
        if len(data) < 4 + size:
            return None
        return _unpadded(data[4 : 4 + size]), 4 + size


class Gcm:
    """AES-GCM (RFC 5647 §7, by OpenSSH's names): the length is in the clear, and authenticated."""

    def __init__(self, key: bytes, iv: bytes) -> None:
        self._gcm = AESGCM(key)
        self._fixed = iv[:4]
        self._counter = int.from_bytes(iv[4:12], "big")

    def _nonce(self) -> bytes:
        nonce = self._fixed + self._counter.to_bytes(8, "big")
        self._counter = (self._counter + 1) & 0xFFFFFFFFFFFFFFFF
        return nonce

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """See the module."""
        body = _padded(payload, 16, 0)
        length = len(body).to_bytes(4, "big")
        return length + self._gcm.encrypt(self._nonce(), body, length)

    def open(self, sequence: int, data: bytes) -> tuple[bytes, int] | None:
        """See the module."""
        if len(data) < 4:
            return None
        length = data[:4]
        whole = 4 + _size(length, 16, 0) + TAG
        if len(data) < whole:
            return None
        try:
            body = self._gcm.decrypt(self._nonce(), data[4:whole], length)
        except InvalidTag:
            raise ProtocolError("bad MAC") from None
        return _unpadded(body), whole


class ChaChaPoly:
    """chacha20-poly1305@openssh.com (OpenSSH's PROTOCOL.chacha20poly1305): the length has a key of its own."""

    def __init__(self, key: bytes) -> None:
        self._main, self._header = key[:32], key[32:64]

    @staticmethod
    def _stream(key: bytes, sequence: int, block: int) -> Any:
        nonce = block.to_bytes(8, "little") + sequence.to_bytes(8, "big")
        return Cipher(algorithms.ChaCha20(key, nonce), mode=None).encryptor()

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """See the module."""
        body = _padded(payload, 8, 0)
        length = self._stream(self._header, sequence, 0).update(len(body).to_bytes(4, "big"))
        sealed: bytes = length + self._stream(self._main, sequence, 1).update(body)
        return sealed + Poly1305.generate_tag(self._mac_key(sequence), sealed)

    def open(self, sequence: int, data: bytes) -> tuple[bytes, int] | None:
        """See the module."""
        if len(data) < 4:
            return None
        size = _size(self._stream(self._header, sequence, 0).update(data[:4]), 8, 0)
        if len(data) < 4 + size + TAG:
            return None
        sealed, tag = data[: 4 + size], data[4 + size : 4 + size + TAG]
        try:
            Poly1305.verify_tag(self._mac_key(sequence), sealed, tag)
        except InvalidSignature:
            raise ProtocolError("bad MAC") from None
        return _unpadded(self._stream(self._main, sequence, 1).update(sealed[4:])), 4 + size + TAG

    def _mac_key(self, sequence: int) -> bytes:
        key: bytes = self._stream(self._main, sequence, 0).update(bytes(32))
        return key


class EncryptThenMac:
    """A stream or block cipher whose packets are authenticated as they go (OpenSSH's PROTOCOL file, §1.5)."""

    def __init__(self, cipher: Any, mac_key: bytes, digest: str, size: int) -> None:
        self._cipher = cipher
        self._key, self._digest, self._tag = mac_key, digest, size

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """See the module."""
        body = _padded(payload, 16, 0)
        sealed: bytes = len(body).to_bytes(4, "big") + self._cipher.update(body)
        return sealed + hmac.digest(self._key, sequence.to_bytes(4, "big") + sealed, self._digest)

    def open(self, sequence: int, data: bytes) -> tuple[bytes, int] | None:
        """See the module."""
        if len(data) < 4:
            return None
        end = 4 + _size(data[:4], 16, 0)
        if len(data) < end + self._tag:
            return None
        expected = hmac.digest(self._key, sequence.to_bytes(4, "big") + data[:end], self._digest)
        if not hmac.compare_digest(expected, data[end : end + self._tag]):
            raise ProtocolError("bad MAC")
        return _unpadded(self._cipher.update(data[4:end])), end + self._tag


class EncryptAndMac:
    """A cipher beside a MAC of the plain packet (RFC 4253 §6.4). The length is encrypted too, so the first block is decrypted
    before the rest is there."""

    def __init__(self, cipher: Any, mac_key: bytes, digest: str, size: int) -> None:
        self._cipher = cipher
        self._key, self._digest, self._tag = mac_key, digest, size
        self._first = b""

    def seal(self, sequence: int, payload: bytes) -> bytes:
        """See the module."""
        body = _padded(payload, 16, 4)
        plain = len(body).to_bytes(4, "big") + body
        sealed: bytes = self._cipher.update(plain)
        return sealed + hmac.digest(self._key, sequence.to_bytes(4, "big") + plain, self._digest)

    def open(self, sequence: int, data: bytes) -> tuple[bytes, int] | None:
        """See the module."""
        if not self._first:
            if len(data) < 16:
                return None
            self._first = self._cipher.update(data[:16])
        end = 4 + _size(self._first[:4], 16, 4)
        if len(data) < end + self._tag:
            return None
        plain = self._first + self._cipher.update(data[16:end])
        self._first = b""
        expected = hmac.digest(self._key, sequence.to_bytes(4, "big") + plain, self._digest)
        if not hmac.compare_digest(expected, data[end : end + self._tag]):
            raise ProtocolError("bad MAC")
        return _unpadded(plain[4:]), end + self._tag


DIGESTS = {b"hmac-sha2-256": ("sha256", 32), b"hmac-sha2-512": ("sha512", 64), b"hmac-sha1": ("sha1", 20)}


def sealing(names: tuple[bytes, bytes], key: bytes, iv: bytes, mac_key: bytes, is_out: bool) -> Sealing:
    """One direction. ``names`` are its cipher and its MAC, as in `iotgw.wire.ssh.agreement`; the keys may be longer than
    needed."""
    cipher, mac = names
    if cipher.startswith(b"chacha20"):
        return ChaChaPoly(key)
    size = int(cipher[3:6]) // 8
    if b"-gcm" in cipher:
        return Gcm(key[:size], iv)
    mode = modes.CTR(iv[:16]) if cipher.endswith(b"-ctr") else modes.CBC(iv[:16])
    made = Cipher(algorithms.AES(key[:size]), mode)
    running = made.encryptor() if is_out else made.decryptor()
    digest, length = DIGESTS[mac.removesuffix(b"-etm@openssh.com")]
    kind = EncryptThenMac if mac.endswith(b"-etm@openssh.com") else EncryptAndMac
    return kind(running, mac_key[:length], digest, length)
