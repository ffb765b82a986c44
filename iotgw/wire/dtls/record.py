"""DTLS records (RFC 6347 §4.1): look at a header, cut a byte string at record borders, fill datagrams.

Nothing here decrypts. A record stays the bytes that it came as.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct

from iotgw.core.errors import ProtocolError

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
DTLS_1_0, DTLS_1_2 = 0xFEFF, 0xFEFD

HEADER = Struct("!BHHHIH")  # type, version, epoch, sequence number (16 + 32 bits), length
HEADER_SIZE = HEADER.size
FATAL = 2


def first_record(datagram: bytes) -> tuple[int, int]:
    """Content type and epoch of a datagram's first record; raises ProtocolError when it isn't DTLS."""
    if len(datagram) < HEADER_SIZE:
        raise ProtocolError(f"a DTLS record has {HEADER_SIZE} bytes of header, got {len(datagram)} bytes")
    kind, version, epoch, _, _, length = HEADER.unpack_from(datagram)
    if version >> 8 != 0xFE:
        raise ProtocolError(f"expected a DTLS version at offset 1, got {version:#06x}")
    if HEADER_SIZE + length > len(datagram):
        raise ProtocolError(f"a record of {length} bytes doesn't fit a datagram of {len(datagram)} bytes")
    return kind, epoch


def is_one_record(datagram: bytes) -> bool:
    """Whether the first record (as checked by `first_record`) is all there is."""
    return HEADER_SIZE + (datagram[11] << 8 | datagram[12]) == len(datagram)


def epochs(datagram: bytes) -> Iterator[int]:
    """The epoch of each whole record; stops at the first bytes that are no record."""
    at = 0
    while at + HEADER_SIZE <= len(datagram):
        _, _, epoch, _, _, length = HEADER.unpack_from(datagram, at)
        at += HEADER_SIZE + length
        if at > len(datagram):
            return
        yield epoch


def split(stream: bytes) -> list[bytes]:
    """Cut a byte stream, as it comes out of a memory BIO, at record borders."""
    records = []
    at = 0
    while at < len(stream):
        if at + HEADER_SIZE > len(stream):
            raise ProtocolError(f"{len(stream) - at} stray bytes at offset {at}, expected a record")
        end = at + HEADER_SIZE + (stream[at + 11] << 8 | stream[at + 12])
        if end > len(stream):
            raise ProtocolError(f"the record at offset {at} ends at {end}, there are {len(stream)} bytes")
        records.append(stream[at:end])
        at = end
    return records


def fill(records: Iterable[bytes], mtu: int) -> list[bytes]:
    """Put records into as few datagrams of at most ``mtu`` bytes as their order allows.

    Several records may share a datagram, one may not span two (RFC 6347 §4.1.1): a record larger than
    ``mtu`` gets a datagram of its own.
    """
    datagrams: list[bytes] = []
    datagram = b""
    for record in records:
        if datagram and len(datagram) + len(record) > mtu:
            datagrams.append(datagram)
            datagram = b""
        datagram += record
    if datagram:
        datagrams.append(datagram)
    return datagrams


def sequence_number(record: bytes) -> int:
    """The sequence number of a datagram's first record."""
    return int.from_bytes(record[5:11], "big")


def renumber(stream: bytes, by: int) -> bytes:
    """Raise the sequence numbers of a stream's records in the clear; the others' are authenticated."""
    return b"".join(
        record if any(record[3:5]) else _numbered(record, (sequence_number(record) + by) % 2**48)
        for record in split(stream)
    )


def _numbered(record: bytes, number: int) -> bytes:
    return record[:5] + number.to_bytes(6, "big") + record[11:]


def alert(description: int, sequence: int) -> bytes:
    """A fatal alert in the clear (RFC 5246 §7.2), for a peer that has no session.

    ``sequence`` is the record's number; the peer drops one that it has seen.
    """
    high, low = sequence >> 32, sequence & 0xFFFFFFFF
    return HEADER.pack(ALERT, DTLS_1_2, 0, high, low, 2) + bytes((FATAL, description))
