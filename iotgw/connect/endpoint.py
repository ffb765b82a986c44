"""Outgoing connections: a `Connector` makes every endpoint by which a part of the gateway connects.

Names are resolved off the reactor, certificates are verified, and the networks that the operator forbids are
blocked everywhere. No other room opens connections; a test enforces that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from OpenSSL import SSL
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.connect.asyncio_thread import AsyncioThread
from iotgw.connect.forbidden import GuardedEndpoint, effective
from iotgw.connect.tls import connection_creator
from iotgw.core.ports.connect import IConnector, ITlsSettings
from iotgw.core.ports.reactor import IReactor


@implementer(IConnector)
class Connector:
    """Makes endpoints. A gateway has one, made from its settings.

    ``forbid`` are names and networks as in `iotgw.connect.forbidden.networks`, beside those that always are, and
    ``allow`` are exceptions from both. Raises SettingsError.
    """

    def __init__(self, reactor: IReactor, forbid: Iterable[str] = (), allow: Iterable[str] = ()) -> None:
        self._reactor = reactor
        self._forbidden = effective(forbid, allow)
        self.forbid = tuple(map(str, self._forbidden))
        self._asyncio = AsyncioThread(reactor, self._forbidden)

    def endpoint(
        self,
        host: str,
        port: int,
        timeout: float,
        tls: ITlsSettings | None = None,
        place: str = "configuration.tls",
        alpn: Sequence[str] = (),
    ) -> IStreamClientEndpoint:
        """See `iotgw.core.ports.connect.IConnector.endpoint`."""
        plain = GuardedEndpoint(self._reactor, host, port, timeout, self._forbidden)
        if tls is None:
            return plain
        wrapped: IStreamClientEndpoint = wrapClientTLS(connection_creator(tls, host, place, alpn), plain)
        return wrapped

    def asyncio(self) -> AsyncioThread:
        """See `iotgw.core.ports.connect.IConnector.asyncio`."""
        return self._asyncio


def in_words(failure: Failure) -> str:
    """Why a connection failed, in one readable line."""
    error = failure.value
    if isinstance(error, SSL.Error):
        reasons = [
            item[-1] for item in (error.args[0] if error.args and isinstance(error.args[0], list) else [])
        ]
        return f"TLS: {', '.join(filter(None, reasons)) or 'the connection broke'}"
    return failure.getErrorMessage() or type(error).__name__
