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


ANY_SEGMENT = "*"
REST = "**"


class CoapPath(Struct, frozen=True):
    """A path on a shared CoAP port, as its segments. `ANY_SEGMENT` stands for any one segment; `REST` at the end for all
    below, and is part of what has routing keys as well."""

    interface: str
    port: int
    protocol: str
    path: tuple[str, ...]

    def __str__(self) -> str:
        path = f"/{'/'.join(self.path)}" if self.path else "requests without a path"
        return f"{path} on UDP port {self.port} on {self.interface}"

    @property
    def place(self) -> tuple[str, ...]:
        """The path without `REST`."""
        return self.path[:-1] if self.path[-1:] == (REST,) else self.path

    @property
    def is_pattern(self) -> bool:
        """Whether some segment may be any."""
        return ANY_SEGMENT in self.path

    def takes(self, path: tuple[str, ...]) -> bool:
        """Whether a request for ``path`` belongs here."""
        place = self.place
        is_long_enough = len(path) == len(place) or (len(path) > len(place) and len(place) < len(self.path))
        return is_long_enough and _fits(place, path[: len(place)])


Need = UdpPort | TcpPort | HttpMount | CoapPath


def collide(one: Need, other: Need) -> bool:
    """Whether two datasources can't have these needs at the same time."""
    if isinstance(one, HttpMount):
        return isinstance(other, HttpMount) and _is_within(one.path, other.path)
    if isinstance(one, CoapPath):
        return isinstance(other, CoapPath) and _is_ambiguous(one, other)
    if (
        isinstance(other, HttpMount | CoapPath)
        or type(one) is not type(other)
        or one.port != other.port
        or not one.port
    ):
        return False
    if isinstance(one, UdpPort) and isinstance(other, UdpPort) and one.protocol and one == other:
        return False
    return _overlap(one.interface, other.interface)


def _is_within(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _is_ambiguous(one: CoapPath, other: CoapPath) -> bool:
    """Whether a request could belong to both of two paths, and neither says more exactly which it means."""
    if (one.interface, one.port, one.protocol) != (
        other.interface,
        other.port,
        other.protocol,
    ) or not one.port:
        return False
    if not one.is_pattern and not other.is_pattern:
        return one.place == other.place
    if one.path[-1:] != (REST,) and other.path[-1:] != (REST,):
        return len(one.path) == len(other.path) and _cross(one.path, other.path)
    below, pattern = (one, other) if one.path[-1:] == (REST,) else (other, one)
    length = len(below.place)
    return 0 < length <= len(pattern.path) and _fits(pattern.path[:length], below.place)


def _fits(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return all(ANY_SEGMENT in pair or pair[0] == pair[1] for pair in zip(pattern, path, strict=True))


def _cross(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether two patterns have a path in common, and none of them is the more exact one throughout."""
    if not _fits(one, other):
        return False
    looser = [mine == ANY_SEGMENT for mine, theirs in zip(one, other, strict=True) if mine != theirs]
    return not looser or (any(looser) and not all(looser))


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
