"""The ports and paths that a datasource needs, as values that can be compared before anything is opened."""

from __future__ import annotations

import ipaddress

from msgspec import Struct


class UdpPort(Struct, frozen=True):
    """A UDP port. Datasources that name the same ``protocol`` (``coap``, ``coaps``) and interface share it; with an
    empty one it is exclusive. ``port`` 0 is any that is free."""

    interface: str
    port: int
    protocol: str = ""

    def __str__(self) -> str:
        return f"UDP port {self.port} on {self.interface}"


class TcpPort(Struct, frozen=True):
    """A TCP port, always exclusive. ``port`` 0 is any that is free."""

    interface: str
    port: int

    def __str__(self) -> str:
        return f"TCP port {self.port} on {self.interface}"


class HttpMount(Struct, frozen=True):
    """A path of the API's listener with all below it, as its segments: ``("i", "key")``."""

    path: tuple[str, ...]

    def __str__(self) -> str:
        return f"/{'/'.join(self.path)} on the API's listener"


Need = UdpPort | TcpPort | HttpMount


def collide(one: Need, other: Need) -> bool:
    """Whether two datasources can't have these needs at the same time."""
    if isinstance(one, HttpMount):
        return isinstance(other, HttpMount) and _is_within(one.path, other.path)
    if isinstance(other, HttpMount) or type(one) is not type(other) or one.port != other.port or not one.port:
        return False
    if isinstance(one, UdpPort) and isinstance(other, UdpPort) and one.protocol and one == other:
        return False
    return _overlap(one.interface, other.interface)


def _is_within(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _overlap(one: str, other: str) -> bool:
    """Whether two sockets can't both be bound there: the same address, or all addresses of one family and one of it."""
    if one == other:
        return True
    try:
        first, second = (ipaddress.ip_address(text.partition("%")[0] or "0.0.0.0") for text in (one, other))
    except ValueError:
        return False
    return first.version == second.version and (
        first == second or first.is_unspecified or second.is_unspecified
    )
