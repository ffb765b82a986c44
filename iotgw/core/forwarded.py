"""What reverse proxies say of whom they speak for: ``Forwarded`` (RFC 7239) and ``X-Forwarded-For``.

Each proxy adds an entry at the end, so only the last ones are those of proxies that one knows; what stands before may come from
anybody. Both are therefore read from the end, where nothing that a client has sent can change how an entry is split off.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from itertools import islice

MOST_HOPS = 32
"""Entries of a header that are looked at, from its end."""
LONGEST = 1000
"""Characters of an entry; a longer one says nothing."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(?::(?:\d{1,5}|_[\w.-]+))?", re.ASCII)


def hops_of_forwarded(header: str) -> Iterator[str]:
    """The addresses of a ``Forwarded`` header, from the nearest on; empty for an entry that names none, such as
    ``for=unknown``."""
    for entry in entries(header):
        yield address_of(parameter(entry, "for"))


def hops_of_x_forwarded_for(header: str) -> Iterator[str]:
    """The addresses of an ``X-Forwarded-For`` header, from the nearest on; empty for an entry that is none."""
    for entry in islice(reversed(header.split(",")), MOST_HOPS):
        yield address_of(entry.strip())


def entries(header: str) -> Iterator[str]:
    """The elements of a ``Forwarded`` header (RFC 7239 §4), from the last on."""
    return islice(_elements(header), MOST_HOPS)


def _elements(header: str) -> Iterator[str]:
    end, is_quoted = len(header), False
    for place in range(len(header) - 1, -1, -1):
        character = header[place]
        if character == '"' and not _is_escaped(header, place):
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            yield header[place + 1 : end].strip()
            end = place
    yield header[:end].strip()


def _is_escaped(text: str, place: int) -> bool:
    """Whether an odd number of backslashes stands before a place."""
    before = place
    while before and text[before - 1] == "\\":
        before -= 1
    return (place - before) % 2 == 1


_PAIR = re.compile(r'\s*([\w!#$%&\'*+.^`|~-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))\s*(?:;|$)', re.ASCII)


def parameter(entry: str, name: str) -> str:
    """The value of one pair of an element; empty if there is none, or if the element is malformed before it."""
    if len(entry) > LONGEST:
        return ""
    at = 0
    while found := _PAIR.match(entry, at):
        if found[1].lower() == name:
            return found[3] if found[2] is None else _ESCAPED.sub(r"\1", found[2])
        at = found.end()
    return ""


def address_of(node: str) -> str:
    """The IP address of a node such as ``192.0.2.7:4711`` or ``[2001:db8::7]:4711``, without its port; empty if it is none
    (``unknown``, ``_hidden``). An IPv4 address that IPv6 maps is that address."""
    if len(node) > 64:
        return ""
    try:
        address = ipaddress.ip_address(node)
    except ValueError:
        found = _PORT.fullmatch(node)
        if found is None:
            return ""
        try:
            address = ipaddress.ip_address(found[1].strip("[]"))
        except ValueError:
            return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return ""
        return str(address.ipv4_mapped or address)
    return str(address)
