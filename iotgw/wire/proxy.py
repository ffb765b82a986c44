"""The PROXY protocol, versions 1 and 2, by which a load balancer passes on a TCP connection's source address.

Source: HAProxy's "The PROXY protocol", §2.1 (text) and §2.2 (binary).
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from iotgw.core.numbers import whole

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_LONGEST_V1 = 107
_V1 = re.compile(rb"PROXY (TCP[46]) (\S+) (\S+) (\d{1,5}) (\d{1,5})\r\n|PROXY UNKNOWN[^\r\n]*\r\n")
_ADDRESS_SIZE = {1: 4, 2: 16}


class ProxyHeader(Struct, frozen=True):
    """A whole header of ``size`` bytes. ``host`` is empty when the balancer speaks for itself."""

    size: int
    host: str = ""
    port: int = 0


def may_begin(data: bytes | bytearray) -> bool:
    """Whether the bytes at the start of a connection are a header's, or may become one's."""
    return any(data.startswith(start) or start.startswith(data) for start in (_SIGNATURE, b"PROXY "))


def parse(data: bytes | bytearray) -> ProxyHeader | str | None:
    """Parse the header at the start of a connection; returns None while it is incomplete, a reason when it is
    invalid."""
    if data.startswith(_SIGNATURE):
        return _binary(data)
    if data.startswith(b"PROXY "):
        return _text(data)
    if may_begin(data):
        return None
    return f"expected a PROXY header, got {bytes(data[:16])!r}"


def _text(data: bytes | bytearray) -> ProxyHeader | str | None:
    end = data.find(b"\r\n", 0, _LONGEST_V1)
    if end < 0:
        return None if len(data) < _LONGEST_V1 else "expected a PROXY line of at most 107 bytes"
    match = _V1.fullmatch(data[: end + 2])
    if match is None:
        return f"expected PROXY TCP4|TCP6|UNKNOWN, got {bytes(data[:end])!r}"
    if match[1] is None:
        return ProxyHeader(end + 2)
    try:
        host = ipaddress.ip_address(match[2].decode("ascii"))
    except ValueError:
        return f"expected an IP address in the PROXY line, got {match[2][:50]!r}"
    port = whole(match[4], 0, 65535)
    if port is None:
        return f"expected a port in the PROXY line, got {match[4]!r}"
    return ProxyHeader(end + 2, str(host), port)


def _binary(data: bytes | bytearray) -> ProxyHeader | str | None:
    if len(data) < 16:
        return None
    version, command, family = data[12] >> 4, data[12] & 0x0F, data[13] >> 4
    size = 16 + int.from_bytes(data[14:16], "big")
    if version != 2 or command > 1:
        return f"expected PROXY version 2 with command 0 or 1, got 0x{data[12]:02x}"
    if size > 4096:
        return f"expected a PROXY header of at most 4096 bytes, got {size}"
    if len(data) < size:
        return None
    width = _ADDRESS_SIZE.get(family, 0)
    # command 0 is a health check of the balancer itself; other families carry no address that helps
    if command == 0 or not width or size < 16 + 2 * width + 4:
        return ProxyHeader(size)
    host = ipaddress.ip_address(bytes(data[16 : 16 + width]))
    port = int.from_bytes(data[16 + 2 * width : 18 + 2 * width], "big")
    return ProxyHeader(size, str(host), port)
