"""Handshake messages in the clear (RFC 6347 §4.2.2), and the key derivation of TLS 1.2 (RFC 5246 §5, §6.3).

Reads what a server must know to tell which of several pre-shared keys a client used, before it answers.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from hashlib import new

from msgspec import Struct

from iotgw.core.errors import ProtocolError
from iotgw.wire.dtls.record import HANDSHAKE, HEADER_SIZE, split

SERVER_HELLO, CLIENT_KEY_EXCHANGE = 2, 16
MESSAGE_HEADER = 12
_EXTENDED_MASTER_SECRET = 23  # RFC 7627


class ServerHello(Struct, frozen=True, gc=False):
    """What a ServerHello decides."""

    random: bytes
    suite: int
    extended_master_secret: bool


def messages(stream: bytes) -> Iterator[bytes]:
    """The unfragmented handshake messages of a stream's records in epoch 0, each with its 12-byte header.

    Raises ProtocolError for bytes that are no records.
    """
    for record in split(stream):
        if record[0] != HANDSHAKE or record[3:5] != b"\0\0":
            continue
        at = HEADER_SIZE
        while at + MESSAGE_HEADER <= len(record):
            length = int.from_bytes(record[at + 1 : at + 4], "big")
            end = at + MESSAGE_HEADER + int.from_bytes(record[at + 9 : at + 12], "big")
            if end - at - MESSAGE_HEADER != length or end > len(record):
                break
            yield record[at:end]
            at = end


def psk_identity(key_exchange: bytes) -> bytes:
    """The identity of a plain PSK ClientKeyExchange message (RFC 4279 §2)."""
    end = MESSAGE_HEADER + 2 + int.from_bytes(key_exchange[MESSAGE_HEADER : MESSAGE_HEADER + 2], "big")
    if end > len(key_exchange):
        raise ProtocolError(f"a PSK identity ends at {end} of {len(key_exchange)} bytes")
    return key_exchange[MESSAGE_HEADER + 2 : end]


def parse_server_hello(message: bytes) -> ServerHello:
    """Read a ServerHello message. It is our own server's, so its fields are sound."""
    body = message[MESSAGE_HEADER:]
    at = 35 + body[34]
    suite = int.from_bytes(body[at : at + 2], "big")
    at += 5  # suite, compression, length of the extensions
    extended = False
    while at + 4 <= len(body):
        extended |= int.from_bytes(body[at : at + 2], "big") == _EXTENDED_MASTER_SECRET
        at += 4 + int.from_bytes(body[at + 2 : at + 4], "big")
    return ServerHello(body[2:34], suite, extended)


def prf(secret: bytes, label: bytes, seed: bytes, size: int, digest: str) -> bytes:
    """TLS 1.2's pseudo-random function (RFC 5246 §5)."""
    seed = label + seed
    block, out = seed, b""
    while len(out) < size:
        block = hmac.digest(secret, block, digest)
        out += hmac.digest(secret, block + seed, digest)
    return out[:size]


def psk_master_secret(
    secret: bytes, server: ServerHello, client_random: bytes, transcript: bytes, digest: str
) -> bytes:
    """The master secret of a plain PSK key exchange (RFC 4279 §2).

    ``transcript`` is every message from the ClientHello to the ClientKeyExchange (RFC 7627 §3).
    """
    size = len(secret).to_bytes(2, "big")
    premaster = size + bytes(len(secret)) + size + secret
    if server.extended_master_secret:
        return prf(premaster, b"extended master secret", new(digest, transcript).digest(), 48, digest)
    return prf(premaster, b"master secret", client_random + server.random, 48, digest)
