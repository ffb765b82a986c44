"""Outgoing connections: a `Connector` makes every endpoint by which a part of the gateway connects.

Names are resolved off the reactor, certificates are verified, the networks that the operator forbids are blocked
everywhere, and proxies are gone by. No other room opens connections; a test enforces that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

from OpenSSL import SSL
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.asyncio_thread import AsyncioThread
from iotgw.connect.forbidden import GuardedEndpoint, addresses, effective, expect_allowed
from iotgw.connect.no_proxy import NoProxy
from iotgw.connect.proxy import ProxiedEndpoint, parse, spelled_out
from iotgw.connect.tls import ClientTls, connection_creator
from iotgw.core.ports.connect import IConnector, ITlsSettings
from iotgw.core.ports.reactor import IReactor

LONGEST_WORDS = 500
"""Characters of why a connection failed: some libraries repeat what the other side sent."""


@implementer(IConnector)
class Connector:
    """Makes endpoints. A gateway has one, made from its settings.

    ``forbid`` are names and networks as in `iotgw.connect.forbidden.networks`, beside those that always are, and
    ``allow`` are exceptions from both. Raises SettingsError.

    ``proxy`` is the URL of a proxy (`iotgw.connect.proxy`), by which everything is connected to that doesn't say otherwise and isn't
    in ``no_proxy`` (`iotgw.connect.no_proxy`). ``names`` says who resolves the names of hosts where a proxy could: only here
    can their addresses be judged.
    """

    def __init__(
        self,
        reactor: IReactor,
        forbid: Iterable[str] = (),
        allow: Iterable[str] = (),
        proxy: str = "",
        no_proxy: Iterable[str] = (),
        names: Literal["proxy", "here"] = "proxy",
    ) -> None:
        self._reactor = reactor
        self._forbidden = effective(forbid, allow)
        self.forbid = tuple(map(str, self._forbidden))
        self._asyncio = AsyncioThread(reactor, self._forbidden)
        self._proxy = parse(proxy, "integrations.proxy")
        self._direct = NoProxy(no_proxy, "integrations.no-proxy")
        self._resolves_here = names == "here"

    def endpoint(
        self,
        host: str,
        port: int,
        timeout: float,
        tls: ITlsSettings | None = None,
        place: str = "configuration.tls",
        proxy: str = "",
        alpn: Sequence[str] = (),
    ) -> IStreamClientEndpoint:
        """See `iotgw.core.ports.connect.IConnector.endpoint`."""
        plain = self._plain(host, port, timeout, proxy)
        if tls is None:
            return plain
        wrapped: IStreamClientEndpoint = wrapClientTLS(connection_creator(tls, host, place, alpn), plain)
        return wrapped

    def asyncio(self) -> AsyncioThread:
        """See `iotgw.core.ports.connect.IConnector.asyncio`."""
        return self._asyncio

    def _plain(self, host: str, port: int, timeout: float, proxy: str) -> IStreamClientEndpoint:
        forbidden = self._forbidden
        if proxy:
            by, judged = parse(proxy, "configuration.proxy"), forbidden
        else:  # the operator may have a proxy where nobody else may go
            by, judged = None if self._direct.has(host, port) else self._proxy, ()
        if by is None:
            return GuardedEndpoint(self._reactor, host, port, timeout, forbidden)
        way: IStreamClientEndpoint = GuardedEndpoint(self._reactor, by.host, by.port, timeout, judged)
        if by.scheme == "https":
            way = wrapClientTLS(connection_creator(ClientTls(), by.host, "configuration.proxy"), way)
        is_local = self._resolves_here or not by.resolves
        return ProxiedEndpoint(
            self._reactor, way, by, host, port, timeout, partial(self._to_tell, host, port, is_local)
        )

    async def _to_tell(self, host: str, port: int, is_local: bool) -> list[str]:
        """What a proxy is told of a host, one after the other: its name, or its addresses. Raises `Forbidden`."""
        spelled = spelled_out(host)
        expect_allowed(host, spelled, self._forbidden)
        if len(spelled) == 1:
            return spelled
        return await addresses(self._reactor, host, port, self._forbidden) if is_local else [host]


def in_words(failure: Failure) -> str:
    """Why a connection failed, in one readable line."""
    error = failure.value
    if isinstance(error, SSL.Error):
        reasons = [
            item[-1] for item in (error.args[0] if error.args and isinstance(error.args[0], list) else [])
        ]
        return f"TLS: {', '.join(filter(None, reasons)) or 'the connection broke'}"
    causes = getattr(error, "reasons", None)  # Twisted's agent has a list
    if isinstance(causes, list) and causes and isinstance(causes[0], Failure):
        return in_words(causes[0])
    return (failure.getErrorMessage() or type(error).__name__)[:LONGEST_WORDS]
