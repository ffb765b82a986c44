"""Which of several pre-shared keys does a client use? A trial on its Finished, before OpenSSL is asked.

While a device's key is rotated, two secrets are good for one identity, but OpenSSL takes a single one, and
takes it for good. So the client's last flight is held until its Finished is there, each secret's keys are
derived as both sides will, and the secret under which the Finished opens is the one.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from msgspec import Struct

from iotgw.core.errors import ProtocolError
from iotgw.wire.dtls import handshake as wire
from iotgw.wire.dtls.record import ALERT, CHANGE_CIPHER_SPEC, HANDSHAKE, HEADER_SIZE, split

_HELD = 16  # datagrams; a last flight is at most three, and comes again where some of it was lost
_HELD_BYTES = 4096
_FINISHED = b"\x14\x00\x00\x0c"  # type and length
_TRIED = 8


class _Suite(Struct, frozen=True):
    """How a suite derives keys and opens a record; sizes in bytes, ``tag`` 0 for CBC."""

    mode: str
    mac: int
    key: int
    iv: int
    tag: int
    digest: str = "sha256"


_SUITES = {  # those with a plain PSK exchange: an ephemeral one can't be foreseen
    0x00A8: _Suite("gcm", 0, 16, 4, 16),
    0x00A9: _Suite("gcm", 0, 32, 4, 16, "sha384"),
    0xC0A4: _Suite("ccm", 0, 16, 4, 16),
    0xC0A5: _Suite("ccm", 0, 32, 4, 16),
    0xC0A8: _Suite("ccm", 0, 16, 4, 8),
    0xC0A9: _Suite("ccm", 0, 32, 4, 8),
    0xCCAB: _Suite("chacha", 0, 32, 12, 16),
    0x00AE: _Suite("cbc", 32, 16, 0, 0),
    0x008C: _Suite("cbc", 20, 16, 0, 0),
}


class KeyTrial:
    """Holds a client's last flight as long as its key is in doubt. ``secret`` is the one found, or None.

    ``secrets_of(identity)`` gives the candidates, as in `iotgw.dtls.profile`.
    """

    __slots__ = ("_flight", "_held", "_hello", "_open", "_secrets_of", "secret")

    def __init__(self, hello: bytes, secrets_of: Callable[[bytes], tuple[bytes, ...]]) -> None:
        self._hello = hello
        self._secrets_of = secrets_of
        self._flight = b""
        self._held: list[bytes] = []
        self._open = True
        self.secret: bytes | None = None

    def sent(self, stream: bytes) -> None:
        """Note what the server sends; its first flight counts."""
        if not self._flight:
            self._flight = stream
            # A resumed session has no key exchange: our flight ends in a Finished.
            self._open = all(record[0] != CHANGE_CIPHER_SPEC for record in split(stream))

    def take(self, datagram: bytes) -> list[bytes]:
        """The datagrams that OpenSSL may have now: none while this one is held."""
        if not self._open or datagram[0] == ALERT:
            return [datagram]
        self._held.append(datagram)
        try:
            decided = self._decide(b"".join(self._held))
        except ProtocolError:
            decided = True
        if not decided and len(self._held) < _HELD and sum(map(len, self._held)) < _HELD_BYTES:
            return []
        self._open = False
        held, self._held = self._held, []
        return held

    def _decide(self, stream: bytes) -> bool:
        exchange = next((m for m in wire.messages(stream) if m[0] == wire.CLIENT_KEY_EXCHANGE), None)
        if exchange is None:
            return False
        secrets = self._secrets_of(wire.psk_identity(exchange))
        if len(secrets) < 2:
            return True
        finished = next((r for r in split(stream) if r[0] == HANDSHAKE and r[3:5] == b"\0\1"), None)
        if finished is None:
            return False
        ours = list(wire.messages(self._flight))
        if not ours or ours[0][0] != wire.SERVER_HELLO:
            return True
        server = wire.parse_server_hello(ours[0])
        suite = _SUITES.get(server.suite)
        if suite is None:
            return True
        client_random = self._hello[HEADER_SIZE + wire.MESSAGE_HEADER + 2 :][:32]
        transcript = b"".join([self._hello[HEADER_SIZE:], *ours, exchange])
        for secret in islice(secrets, _TRIED):
            master = wire.psk_master_secret(secret, server, client_random, transcript, suite.digest)
            size = 2 * (suite.mac + suite.key + suite.iv)
            block = wire.prf(master, b"key expansion", server.random + client_random, size, suite.digest)
            if _opens(finished, suite, block):
                self.secret = secret
                return True
        return True


def _opens(record: bytes, suite: _Suite, block: bytes) -> bool:
    """Whether a client's Finished opens under a key block (RFC 5246 §6.3)."""
    key_at = 2 * suite.mac
    iv_at = key_at + 2 * suite.key
    key, iv = block[key_at : key_at + suite.key], block[iv_at : iv_at + suite.iv]
    number, body = record[3:11], record[HEADER_SIZE:]
    try:
        if suite.mode == "cbc":
            decryptor = Cipher(algorithms.AES(key), modes.CBC(body[:16])).decryptor()
            return decryptor.update(body[16:32]).startswith(_FINISHED)
        if suite.mode == "chacha":  # RFC 7905 §2
            nonce = bytes(a ^ b for a, b in zip(iv, bytes(4) + number, strict=True))
        else:
            nonce, body = iv + body[:8], body[8:]
        covered = number + record[:3] + (len(body) - suite.tag).to_bytes(2, "big")
        cipher: AESGCM | AESCCM | ChaCha20Poly1305
        if suite.mode == "gcm":
            cipher = AESGCM(key)
        elif suite.mode == "ccm":
            cipher = AESCCM(key, tag_length=suite.tag)
        else:
            cipher = ChaCha20Poly1305(key)
        return cipher.decrypt(nonce, body, covered).startswith(_FINISHED)
    except (InvalidTag, ValueError, OverflowError):  # the last two: a record too short for its suite
        return False
