"""ClientHello and HelloVerifyRequest (RFC 6347 §4.2.1 and §4.3.2).

A server that keeps no state for unverified addresses must parse the hello itself: its parameters go into the
cookie, and its cipher suites select the context.
"""

from __future__ import annotations

from struct import Struct as Layout

from msgspec import Struct

from iotgw.core.errors import ProtocolError
from iotgw.wire.dtls.record import DTLS_1_0, HANDSHAKE, HEADER, HEADER_SIZE

CLIENT_HELLO, HELLO_VERIFY_REQUEST = 1, 3
_FRAGMENT = Layout("!BBHHBHBH")  # type, length (8 + 16), message sequence, offset (8 + 16), length (8 + 16)
BODY = HEADER_SIZE + _FRAGMENT.size
_RANDOM_END = 2 + 32


class ClientHello(Struct, frozen=True, gc=False):
    """What a ClientHello says.

    ``parameters`` is its body without the cookie, which must be the same in the hello that returns the
    cookie. ``sequence`` is the record's sequence number, which the HelloVerifyRequest repeats.
    """

    version: int
    random: bytes
    cookie: bytes
    suites: frozenset[int]
    parameters: bytes
    sequence: int


def is_client_hello(datagram: bytes) -> bool:
    """Whether a datagram that starts with an epoch 0 handshake record starts with a ClientHello."""
    return len(datagram) > HEADER_SIZE and datagram[HEADER_SIZE] == CLIENT_HELLO


def parse_client_hello(datagram: bytes) -> ClientHello:
    """Read the ClientHello that a datagram starts with.

    Raises ProtocolError. A fragmented one is refused: reassembly would need state for a peer whose address is
    not verified (RFC 6347 §4.2.1).
    """
    if len(datagram) < BODY + _RANDOM_END + 1:
        raise ProtocolError(f"a ClientHello has at least {BODY + _RANDOM_END + 1} bytes, got {len(datagram)}")
    kind, _, epoch, high, sequence, record_length = HEADER.unpack_from(datagram)
    message, top, length, _, offset_top, offset, fragment_top, fragment = _FRAGMENT.unpack_from(
        datagram, HEADER_SIZE
    )
    if kind != HANDSHAKE or epoch or message != CLIENT_HELLO:
        raise ProtocolError(f"expected a ClientHello in epoch 0, got type {kind}, {message}, epoch {epoch}")
    length |= top << 16
    if offset or offset_top or (fragment | fragment_top << 16) != length:
        raise ProtocolError("a ClientHello in fragments can't be answered without state")
    if record_length < _FRAGMENT.size + length or BODY + length > len(datagram):
        raise ProtocolError(f"a ClientHello of {length} bytes in a record of {record_length}")
    body = datagram[BODY : BODY + length]
    try:
        session_end = _RANDOM_END + 1 + body[_RANDOM_END]
        cookie_end = session_end + 1 + body[session_end]
        suites_at = cookie_end + 2
        suites_end = suites_at + (body[cookie_end] << 8 | body[cookie_end + 1])
        compression_end = suites_end + 1 + body[suites_end]
    except IndexError:
        raise ProtocolError(f"a ClientHello of {length} bytes ends within its fields") from None
    if compression_end > length or (suites_end - suites_at) % 2 or suites_end == suites_at:
        raise ProtocolError(f"the cipher suites of a ClientHello end at {suites_end} of {length}")
    return ClientHello(
        version=body[0] << 8 | body[1],
        random=body[2:_RANDOM_END],
        cookie=body[session_end + 1 : cookie_end],
        suites=frozenset(body[at] << 8 | body[at + 1] for at in range(suites_at, suites_end, 2)),
        parameters=body[:session_end] + body[cookie_end:],
        sequence=high << 32 | sequence,
    )


def hello_verify_request(hello: ClientHello, cookie: bytes) -> bytes:
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
