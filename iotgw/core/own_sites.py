"""Whether an HTTP request may come from a web page of another site.

A browser lets any page send requests to this machine and its network. It says where the page is from in ``Origin``, and a page
that had its own name lead here (DNS rebinding) shows in ``Host``.
"""

from __future__ import annotations

import ipaddress
import platform
import re
from collections.abc import Sequence

from twisted.web.server import Request

from iotgw.core.errors import SettingsError
from iotgw.core.numbers import shown
from iotgw.core.trusted_proxies import NO_PROXIES, TrustedProxies

_SCHEME = re.compile(r"https?://", re.IGNORECASE)


class OwnSites:
    """The names of this gateway.

    ``hosts`` are names, with or without a port, beside ``localhost``, the machine's own and addresses; ``proxies`` may say what
    name a request was for. Raises SettingsError.
    """

    def __init__(
        self, hosts: Sequence[str] = (), proxies: TrustedProxies = NO_PROXIES, machine: str | None = None
    ) -> None:
        for place, host in enumerate(hosts):
            if not host or re.search(r"[/\s@*]", host):
                raise SettingsError(
                    f"hosts[{place}]", f"expected a name such as gateway.example, got {shown(host)}"
                )
        self._hosts = frozenset(host.lower() for host in hosts)
        self._machine = (platform.node() if machine is None else machine).lower()
        self._proxies = proxies

    def objection(self, request: Request) -> str:
        """Why a request is refused; empty if it isn't.

        ``Host`` must name this gateway where the request came over loopback: elsewhere, a page finds other ways to get
        here. ``Origin`` must always be ours: the site that the request was for, or one of ``hosts``; and an HTTPS site where the request came
        over HTTPS, since anybody on a page's way can make one up of the same name without it.
        """
        host = self._host(request)
        local = getattr(request.getHost(), "host", "")
        if host and _is_loopback(local) and not self._is_own(host):
            return f"expected this gateway's name in Host, got {shown(host)}: the setting `hosts` says which are its own"
        origin = _header(request, b"origin")
        if not origin:
            return ""
        site = _SCHEME.sub("", origin.lower(), count=1) if _SCHEME.match(origin) else ""
        if site and (site == host or self._is_named(site)):
            if origin.lower().startswith("https://") or not self._proxies.is_secure(
                request, peer_of(request)
            ):
                return ""
            return f"expected a page that came over https, as this request did, got one of {shown(origin)}"
        return (
            f"expected no request of another site's page, got one of {shown(origin)}: see the setting `hosts`"
        )

    def _host(self, request: Request) -> str:
        """What the request was sent to, as its sender named it."""
        if self._proxies and (told := self._proxies.host(request, peer_of(request))):
            return told.lower()
        return _header(request, b"host").lower()

    def _is_named(self, site: str) -> bool:
        return site in self._hosts or _name(site) in self._hosts

    def _is_own(self, host: str) -> bool:
        name = _name(host)
        is_here = name == "localhost" or name.endswith(".localhost") or name == self._machine
        return is_here or self._is_named(host) or _address(name.strip("[]")) is not None


def peer_of(request: Request) -> str:
    """The address that a request's connection came from, whomever it speaks for; empty where there is none."""
    return str(getattr(request.channel.getPeer(), "host", "")) if request.channel is not None else ""


def _header(request: Request, name: bytes) -> str:
    """A header's value; of several, the last. Another than ASCII is in no name of ours."""
    value: bytes | None = request.getHeader(name)
    return (value or b"").decode("ascii", "replace").strip()


def _name(host: str) -> str:
    """A host without its port."""
    return re.sub(r":\d*$", "", host)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def _is_loopback(text: str) -> bool:
    address = _address(text)
    return address is not None and address.is_loopback
