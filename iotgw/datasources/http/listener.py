"""The text by which an ``http`` datasource names a listener of its own: ``tcp:8443``, ``tcp:8443:interface=127.0.0.1`` or
``ssl:8443:privateKey=key.pem:certKey=cert.pem``.

It looks like a Twisted endpoint, and is none: those open sockets, files and descriptors of the host, which are not for
whoever may edit a datasource.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from msgspec import Meta, Struct

from iotgw.core.numbers import whole

_PIECE = re.compile(r"(?:\\.|[^\\:])*", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_TCP = ("port", "interface")
_SSL = (*_TCP, "privateKey", "certKey")
EXPECTED = (
    "expected tcp:PORT or tcp:PORT:interface=ADDRESS, with `tls` for HTTPS, or "
    "ssl:PORT:privateKey=NAME:certKey=NAME"
)


MaxBody = Annotated[
    int,
    Meta(
        gt=0,
        description="Largest body in bytes; beyond, 413. Without an `endpoint` it is 4 MiB at most, as the API's is.",
    ),
]


class Listener(Struct, frozen=True):
    """A TCP port. ``certificate`` and ``key`` are those of ``ssl:``, as they stand in the text."""

    port: int
    interface: str = "0.0.0.0"
    certificate: str = ""
    key: str = ""

    def __str__(self) -> str:
        host = f"[{self.interface}]" if ":" in self.interface else self.interface
        return f"tcp {host}:{self.port}"


def parse(text: str) -> Listener:
    """A listener from its text; raises ValueError."""
    kind, *arguments = _pieces(text)
    known = {"tcp": _TCP, "ssl": _SSL}.get(kind)
    if known is None:
        raise ValueError(f"{EXPECTED}; got {kind!r}")
    given: dict[str, str] = {}
    for index, argument in enumerate(arguments):
        name, sign, value = _name_and_value(argument)
        if not sign and index == 0:
            name, value = "port", _plain(argument)
        if name not in known or name in given:
            raise ValueError(f"{EXPECTED}; got {name!r}")
        given[name] = value
    port = whole(given.get("port", ""), 0, 65535)
    if port is None:
        raise ValueError(f"{EXPECTED}; got no port of 0 to 65535")
    interface = given.get("interface") or "0.0.0.0"
    try:
        ipaddress.ip_address(interface)
    except ValueError as error:
        raise ValueError(f"interface: expected an address such as 127.0.0.1, got {interface!r}") from error
    if kind == "tcp":
        return Listener(port, interface)
    key = given.get("privateKey", "")
    certificate = given.get("certKey", key)
    if not key:
        raise ValueError(f"{EXPECTED}; got no privateKey")
    return Listener(port, interface, certificate, key)


def _pieces(text: str) -> list[str]:
    """What stands between colons; a backslash takes the next character's meaning from it."""
    found, at = [], 0
    while True:
        piece = _PIECE.match(text, at)
        assert piece is not None
        found.append(piece[0])
        at = piece.end()
        if at == len(text):
            return found
        if text[at] != ":":
            raise ValueError(f"{EXPECTED}; got a backslash at the end")
        at += 1


def _name_and_value(argument: str) -> tuple[str, str, str]:
    name, sign, value = argument.partition("=")
    return name, sign, _plain(value)


def _plain(text: str) -> str:
    return _ESCAPED.sub(r"\1", text)
