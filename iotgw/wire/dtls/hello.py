"""ClientHello and HelloVerifyRequest (RFC 6347 §4.2.1 and §4.3.2).

A server that keeps no state for unverified addresses must read the hello itself: its first fields go into the
cookie, its cipher suites select the context, and its extensions say how large a record the client takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct as Layout

from msgspec import Struct

from iotgw.core.errors import ProtocolError
from iotgw.wire.dtls.record import DTLS_1_0, HANDSHAKE, HEADER, HEADER_SIZE

CLIENT_HELLO, HELLO_VERIFY_REQUEST = 1, 3
LARGEST_RECORD = 16384
"""Bytes of plaintext that a record has at most (RFC 5246 §6.2.1)."""
SMALLEST_LIMIT = 64
"""The least record_size_limit that a client may state (RFC 8449 §4)."""
_FRAGMENT = Layout("!BBHHBHBH")  # type, length (8 + 16), message sequence, offset (8 + 16), length (8 + 16)
BODY = HEADER_SIZE + _FRAGMENT.size
_RANDOM_END = 2 + 32
_MAX_FRAGMENT_LENGTH, _RECORD_SIZE_LIMIT = 1, 28
_FRAGMENT_LENGTHS = {1: 512, 2: 1024, 3: 2048, 4: 4096}  # RFC 6066 §4


class HelloHead(Struct, frozen=True, gc=False):
    """The fields that stand in a ClientHello's first fragment, however short it is.

    ``fixed`` are the bytes that must be the same in the hello that returns the cookie: version, random and session
    id. ``sequence`` is the record's sequence number, which the HelloVerifyRequest repeats.
    """

    version: int
    random: bytes
    cookie: bytes
    fixed: bytes
    sequence: int


class ClientHello(HelloHead, frozen=True, gc=False):
    """What a whole ClientHello says. ``limit`` is the most plaintext bytes of a protected record that the client
    takes, by its max_fragment_length (RFC 6066 §4) and its record_size_limit (RFC 8449)."""

    suites: frozenset[int]
    limit: int


class HelloFragment(Struct, frozen=True, gc=False):
    """A part of a ClientHello of ``length`` bytes, which begins at ``offset`` and came in a record with ``version`` and
    ``sequence`` number; ``message`` is the number of the handshake message."""

    version: int
    sequence: int
    message: int
    length: int
    offset: int
    data: bytes

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the hello."""
        return len(self.data) == self.length


def is_client_hello(datagram: bytes) -> bool:
    """Whether a datagram that starts with an epoch 0 handshake record starts with (a part of) a ClientHello."""
    return len(datagram) > HEADER_SIZE and datagram[HEADER_SIZE] == CLIENT_HELLO


def behind_hellos(datagram: bytes) -> bytes:
    """What follows the ClientHellos, or parts of them, that a datagram starts with."""
    at = 0
    while datagram[at : at + 1] == bytes((HANDSHAKE,)) and is_client_hello(datagram[at : at + BODY]):
        at += HEADER_SIZE + int.from_bytes(datagram[at + 11 : at + HEADER_SIZE], "big")
    return datagram[at:]


def hello_fragments(datagram: bytes) -> Iterator[HelloFragment]:
    """The parts of ClientHellos that a datagram starts with, one per record. Raises ProtocolError."""
    at = 0
    while at < len(datagram):
        if len(datagram) < at + BODY:
            raise ProtocolError(f"a ClientHello needs {BODY} bytes of headers, got {len(datagram) - at}")
        kind, version, epoch, high, low, record_length = HEADER.unpack_from(datagram, at)
        message, top, length, number, offset_top, offset, fragment_top, fragment = _FRAGMENT.unpack_from(
            datagram, at + HEADER_SIZE
        )
        if kind != HANDSHAKE or epoch or message != CLIENT_HELLO:
            raise ProtocolError(
                f"expected a ClientHello in epoch 0, got type {kind}, {message}, epoch {epoch}"
            )
        length, offset, fragment = (
            length | top << 16,
            offset | offset_top << 16,
            fragment | fragment_top << 16,
        )
        begin = at + BODY
        if offset + fragment > length:
            raise ProtocolError(f"a part of a ClientHello ends at {offset + fragment} of {length} bytes")
        if record_length < _FRAGMENT.size + fragment or begin + fragment > len(datagram):
            raise ProtocolError(f"{fragment} bytes of a ClientHello in a record of {record_length}")
        yield HelloFragment(
            version, high << 32 | low, number, length, offset, datagram[begin : begin + fragment]
        )
        at += HEADER_SIZE + record_length


def parse_client_hello(datagram: bytes) -> ClientHello:
    """Read the whole ClientHello that a datagram starts with. Raises ProtocolError."""
    fragment = next(hello_fragments(datagram), None)
    if fragment is None or not fragment.is_whole:
        raise ProtocolError("expected a whole ClientHello, got a part of one")
    return parse_body(fragment)


def parse_body(hello: HelloFragment) -> ClientHello:
    """Read a whole ClientHello. Raises ProtocolError."""
    head = parse_head(hello)
    body, length = hello.data, hello.length
    at = len(head.fixed) + 1 + len(head.cookie) + 2
    try:
        suites_end = at + (body[at - 2] << 8 | body[at - 1])
        compression_end = suites_end + 1 + body[suites_end]
    except IndexError:
        raise ProtocolError(f"a ClientHello of {length} bytes ends within its fields") from None
    if compression_end > length or (suites_end - at) % 2 or suites_end == at:
        raise ProtocolError(f"the cipher suites of a ClientHello end at {suites_end} of {length}")
    return ClientHello(
        version=head.version,
        random=head.random,
        cookie=head.cookie,
        fixed=head.fixed,
        sequence=head.sequence,
        suites=frozenset(body[each] << 8 | body[each + 1] for each in range(at, suites_end, 2)),
        limit=_limit(body[compression_end + 2 :]),
    )


def parse_head(first: HelloFragment) -> HelloHead:
    """Read the first fields of a ClientHello, of which ``first`` is all or the first part. Raises ProtocolError."""
    body = first.data
    if first.offset or len(body) < _RANDOM_END + 2:
        raise ProtocolError(
            f"expected the first part of a ClientHello, got {len(body)} bytes at {first.offset}"
        )
    session_end = _RANDOM_END + 1 + body[_RANDOM_END]
    if session_end >= len(body) or session_end + 1 + body[session_end] > len(body):
        raise ProtocolError("the first part of a ClientHello ends before its cookie does")
    return HelloHead(
        version=body[0] << 8 | body[1],
        random=body[2:_RANDOM_END],
        cookie=body[session_end + 1 : session_end + 1 + body[session_end]],
        fixed=body[:session_end],
        sequence=first.sequence,
    )


def _limit(extensions: bytes) -> int:
    """What a hello's extensions say of the client's records. What is malformed is left to the TLS library to refuse."""
    limit, at = LARGEST_RECORD, 0
    while at + 4 <= len(extensions):
        kind, size = (
            int.from_bytes(extensions[at : at + 2], "big"),
            int.from_bytes(extensions[at + 2 : at + 4], "big"),
        )
        value = extensions[at + 4 : at + 4 + size]
        if kind == _MAX_FRAGMENT_LENGTH and size == len(value) == 1:
            limit = min(limit, _FRAGMENT_LENGTHS.get(value[0], LARGEST_RECORD))
        elif kind == _RECORD_SIZE_LIMIT and size == len(value) == 2:
            limit = min(limit, int.from_bytes(value, "big"))
        at += 4 + size
    return limit


def whole_hello(fragment: HelloFragment) -> bytes:
    """The datagram of a whole ClientHello, as if it had come in one record (RFC 6347 §4.2.6 hashes it as such)."""
    size = fragment.length
    high, low = fragment.sequence >> 32, fragment.sequence & 0xFFFFFFFF
    top, rest = size >> 16, size & 0xFFFF
    return (
        HEADER.pack(HANDSHAKE, fragment.version, 0, high, low, _FRAGMENT.size + size)
        + _FRAGMENT.pack(CLIENT_HELLO, top, rest, fragment.message, 0, 0, top, rest)
        + fragment.data
    )


def hello_verify_request(hello: HelloHead, cookie: bytes) -> bytes:
    """The datagram that asks for ``cookie``.

    It repeats the hello's record sequence number and names DTLS 1.0 whatever will be negotiated
    (RFC 6347 §4.2.1). It is never longer than the hello, so it amplifies nothing.
    """
    body = DTLS_1_0.to_bytes(2, "big") + bytes((len(cookie),)) + cookie
    size = len(body)
    high, low = hello.sequence >> 32, hello.sequence & 0xFFFFFFFF
    return (
        HEADER.pack(HANDSHAKE, DTLS_1_0, 0, high, low, _FRAGMENT.size + size)
        + _FRAGMENT.pack(HELLO_VERIFY_REQUEST, 0, size, 0, 0, 0, 0, size)
        + body
    )
