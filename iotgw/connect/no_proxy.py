"""``NO_PROXY``: the hosts that are reached directly, though there is a proxy for the others."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from msgspec import Struct
from twisted.logger import Logger

from iotgw.core.errors import SettingsError
from iotgw.core.numbers import shown, whole

_log = Logger()
_WITH_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\s]+)(?::([0-9]+))?")
_NAME = re.compile(r"\*|(?:\*?\.)?[a-z0-9_.-]+")


class _Rule(Struct, frozen=True):
    """A name, or a network; on one port if not None."""

    name: str
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None
    port: int | None

    def means(
        self, name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int
    ) -> bool:
        if self.port not in (None, port):
            return False
        if self.network is not None:
            return address is not None and address in self.network
        return self.name in ("*", name) or name.endswith(f".{self.name}")


class NoProxy:
    """Rules as in ``NO_PROXY``: a name, which stands for all names below it too (``example.com``, ``.example.com``), an
    address, a network, each perhaps with a port, or ``*``. ``localhost`` and loopback addresses are always among them.

    ``setting`` is their place in errors. Raises SettingsError.
    """

    def __init__(self, rules: Iterable[str] = (), setting: str = "no-proxy") -> None:
        self._rules = [_rule(text, f"{setting}[{index}]") for index, text in enumerate(rules)]

    def has(self, host: str, port: int) -> bool:
        """Whether a host, by name or address, is reached directly."""
        name = host.lower().rstrip(".")
        address = _address(name)
        if (
            name == "localhost"
            or name.endswith(".localhost")
            or (address is not None and address.is_loopback)
        ):
            return True
        return any(rule.means(name, address, port) for rule in self._rules)


def readable(rules: Iterable[str]) -> list[str]:
    """Those of the environment's rules that can be read. Other programs read others, such as ``<local>``: they are logged, and passed over."""
    found = []
    for text in rules:
        try:
            _rule(text, "NO_PROXY")
        except SettingsError as error:
            _log.warn("{error}; it is passed over", error=error)
        else:
            found.append(text)
    return found


def _rule(text: str, place: str) -> _Rule:
    host, port = text.strip().lower(), None
    if (found := _WITH_PORT.fullmatch(host)) and found[2]:
        host, port = found[1], whole(found[2], 1, 65535)
        if port is None:
            raise SettingsError(place, f"expected a port of 1 to 65535 behind the colon, got {shown(text)}")
    try:
        return _Rule("", ipaddress.ip_network(host.strip("[]"), strict=False), port)
    except ValueError:
        if not _NAME.fullmatch(host):
            raise SettingsError(
                place, f"expected a name, an address or a network, got {shown(text)}"
            ) from None
        return _Rule(host if host == "*" else host.removeprefix("*").strip("."), None, port)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
