"""The reverse proxies that an operator trusts, and whom they speak for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.web.server import Request

from iotgw.core import forwarded
from iotgw.core.errors import SettingsError
from iotgw.core.networks import Networks
from iotgw.core.numbers import shown

Says = Literal["x-forwarded", "forwarded", "proxy-protocol"]
"""How proxies say it: by the headers ``X-Forwarded-For``, ``X-Forwarded-Host`` and ``X-Forwarded-Proto``, by ``Forwarded``, or in front of each
connection. A proxy passes on what it doesn't write itself, so of two headers one would be the client's own."""


class TrustedProxies:
    """Addresses and ``networks`` of reverse proxies, and how they say (``says``) whom they speak for. Raises SettingsError."""

    def __init__(self, networks: Sequence[str] = (), says: Says = "x-forwarded") -> None:
        self.says = says
        for place, text in enumerate(networks):
            try:
                Networks([text])
            except ValueError as error:
                raise SettingsError(
                    f"trusted-proxies[{place}]",
                    f"expected an address or a network such as 127.0.0.1, got {shown(text)}",
                ) from error
        self._networks = Networks(networks)

    def __bool__(self) -> bool:
        """Whether any is trusted."""
        return bool(self._networks)

    def has(self, address: str) -> bool:
        """Whether an address is a trusted proxy's."""
        return bool(self._networks) and self._networks.has(address)

    def begin_connections(self) -> bool:
        """Whether they say it in front of each connection, by the PROXY protocol."""
        return bool(self._networks) and self.says == "proxy-protocol"

    def client(self, request: Request, peer: str) -> str:
        """The address of whoever sent a request that came from ``peer``: the last one that a trusted proxy names and that is
        no trusted proxy's itself. Where an entry is no address, it is the proxy that wrote it."""
        if self.says == "proxy-protocol" or not self.has(peer):
            return peer
        if self.says == "forwarded":
            hops = forwarded.hops_of_forwarded(_all(request, b"forwarded"))
        else:
            hops = forwarded.hops_of_x_forwarded_for(_all(request, b"x-forwarded-for"))
        client = peer
        for hop in hops:
            if not hop:
                break
            client = hop
            if not self.has(hop):
                break
        return client

    def host(self, request: Request, peer: str) -> str:
        """What name a request was for, as a trusted proxy says it; empty if none says."""
        if not self.has(peer):
            return ""
        if self.says == "forwarded":
            return forwarded.parameter(next(forwarded.entries(_all(request, b"forwarded"))), "host")
        if self.says == "x-forwarded":
            return _all(request, b"x-forwarded-host").rpartition(",")[2].strip()
        return ""

    def is_secure(self, request: Request, peer: str) -> bool:
        """Whether a client's request is known to have come over HTTPS: as a trusted proxy says, or as its connection shows."""
        if not self.has(peer):
            return bool(request.isSecure())
        if self.says == "forwarded":
            told = forwarded.parameter(next(forwarded.entries(_all(request, b"forwarded"))), "proto")
        else:
            told = (
                _all(request, b"x-forwarded-proto").rpartition(",")[2].strip()
                if self.says == "x-forwarded"
                else ""
            )
        return told.lower() == "https"


NO_PROXIES = TrustedProxies()


def tcp_address(host: str, port: int) -> IPv4Address | IPv6Address:
    """A client's address, as Twisted has it."""
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)


def _all(request: Request, name: bytes) -> str:
    """All of a header's lines as one (RFC 9110 §5.3)."""
    values = request.requestHeaders.getRawHeaders(name) or ()
    return b",".join(values).decode("latin-1")
