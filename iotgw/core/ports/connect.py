"""Outgoing connections: the only maker of endpoints."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from zope.interface import Attribute, Interface


class ITlsSettings(Protocol):
    """TLS towards a server, as a settings Struct has it; `iotgw.connect.tls.ClientTls` is one.

    ``ca`` and ``certificate`` and ``key`` are PEM text; empty is the system's trust, and no certificate of ours.
    An empty ``server_name`` is the host's name.
    """

    @property
    def ca(self) -> str:
        """Certificates to trust."""

    @property
    def certificate(self) -> str:
        """Our certificate with its chain."""

    @property
    def key(self) -> str:
        """Its private key."""

    @property
    def server_name(self) -> str:
        """The name to expect in the server's certificate."""


T = TypeVar("T")


class IAsyncioThread(Interface):
    """A thread with an asyncio loop, for libraries that need one. What is forbidden to connect to is forbidden in it, too."""

    def run(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
        """Run a coroutine in the loop; fires in the reactor's thread with its result. Cancelling the Deferred cancels the
        coroutine, which may take longer to end."""

    def call(function: Callable[..., object], *args: object) -> None:
        """Call a function in the loop soon, if anything runs there. It must not raise."""


class IConnector(Interface):
    """Makes the endpoints of all outgoing connections, so that name resolution never blocks the reactor,
    certificates are verified, and forbidden networks are blocked everywhere."""

    forbid: Sequence[str] = Attribute("networks that are forbidden, such as ``169.254.0.0/16``")

    def endpoint(
        host: str,
        port: int,
        timeout: float,
        tls: ITlsSettings | None = None,
        place: str = "configuration.tls",
        proxy: str = "",
    ) -> IStreamClientEndpoint:
        """A Twisted endpoint for TCP, with ``tls`` for TLS; ``timeout`` in seconds covers name and connection.

        ``place`` is the path of the TLS settings. ``proxy`` is a URL such as ``http://proxy:3128`` or ``socks5://proxy``, ``none`` for
        directly, and empty for the operator's. Raises SettingsError when these can't be used. Connecting
        fails with `iotgw.connect.forbidden.Forbidden` when the name leads to forbidden addresses only.
        """

    def asyncio() -> IAsyncioThread:
        """The thread for libraries that need asyncio, shared by all of a gateway. It lives while something runs in it."""
