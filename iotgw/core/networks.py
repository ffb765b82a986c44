"""Networks that peers may come from: addresses and networks of IPv4 and IPv6, as users write them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from iotgw.core.numbers import shown

NOT_ALLOWED = "its address is none that the datasource allows"
LONGEST = 100
"""Characters of an address or a network; the longest has 49, and a zone."""
REMEMBERED = 4096
"""Addresses whose answer is remembered."""


class Networks:
    """A set of networks; one without any has all addresses. Raises ValueError for what is none."""

    def __init__(self, texts: Iterable[str] = ()) -> None:
        self._networks = [_network(place, text) for place, text in enumerate(texts)]
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        """Whether it leaves anybody out."""
        return bool(self._networks)

    def has(self, host: str) -> bool:
        """Whether an address belongs to it. An IPv4 address that IPv6 maps (``::ffff:192.0.2.1``) is that address; what
        is no address belongs to nothing."""
        if not self._networks:
            return True
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[host] = self._look(host)
        return known

    def _look(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)


EVERYWHERE = Networks()


def _network(place: int, text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        if len(text) > LONGEST:
            raise ValueError
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"allow[{place}]: expected an address or a network such as 10.0.0.0/8 or 2001:db8::/32, got {shown(text)}"
        ) from None
