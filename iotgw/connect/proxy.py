"""Connections by way of a proxy: the settings that name one, and the endpoint that asks it for a connection."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from msgspec import Meta, Struct
from twisted.internet.address import HostnameAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.errors import ProtocolError, SettingsError
from iotgw.core.secrets import SecretUrl
from iotgw.wire.tunnel import HttpConnect, Socks5, Tunnel, place

DIRECT = "none"
ENVIRONMENT = "environment"
SCHEMES = {"http": 3128, "https": 443, "socks5": 1080, "socks5h": 1080}
"""Kinds of proxies and their usual ports."""
MOST_TRIED = 4
"""Addresses of a host that a proxy is asked for, one after the other."""
EXPECTED = (
    "expected a URL such as http://user:password@proxy.example:3128, socks5://… or socks5h://…, or none"
)

ProxyUrl = Annotated[
    SecretUrl,
    Meta(
        description="The way there: `http://proxy:3128` (CONNECT), `https://…`, `socks5://…` or `socks5h://…` (the proxy resolves the "
        "name), with `user:password@` where needed; `none` is directly, empty as the operator says "
        "([proxies](../operations.md#proxies)). Stored encrypted; the password is shown as `***`."
    ),
]
"""The setting of a target or a subscription."""

_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}|[0-9A-Fa-f:.]{2,45}")


class Proxy(Struct, frozen=True):
    """A proxy. ``resolves`` is whether it is told names rather than addresses."""

    scheme: str
    host: str
    port: int
    username: str
    password: str

    def __str__(self) -> str:
        return f"the proxy {place(self.host, self.port)}"

    @property
    def resolves(self) -> bool:
        """Whether names are its business. That of ``socks5`` is told addresses, as in curl."""
        return self.scheme != "socks5"

    def tunnel(self, host: str, port: int) -> Tunnel:
        """How it is asked for a connection; raises ValueError."""
        way = Socks5 if self.scheme.startswith("socks") else HttpConnect
        return way(host, port, self.username, self.password)


class ProxyFailed(ConnectError):
    """There is no connection by the proxy, and why."""

    def __init__(self, proxy: Proxy, reason: str) -> None:
        super().__init__()
        self._said = f"{proxy}: {reason}"

    def __str__(self) -> str:
        return self._said


def parse(url: str, setting: str) -> Proxy | None:
    """The proxy of a URL; None for ``none`` and an empty text. Raises SettingsError, which doesn't repeat the URL."""
    if url in ("", DIRECT):
        return None
    try:
        split = urlsplit(url)
        port = split.port
    except ValueError:
        raise SettingsError(setting, EXPECTED, True) from None
    if (
        split.scheme not in SCHEMES
        or not split.hostname
        or split.path not in ("", "/")
        or split.query
        or split.fragment
    ):
        raise SettingsError(setting, EXPECTED, True)
    user, password = unquote(split.username or ""), unquote(split.password or "")
    if ":" in user and not split.scheme.startswith("socks"):
        raise SettingsError(setting, "expected a user without a colon", True)
    made = Proxy(split.scheme, split.hostname, port or SCHEMES[split.scheme], user, password)
    try:
        made.tunnel("example.com", 443)
    except ValueError as error:
        raise SettingsError(setting, str(error), True) from None
    return made


def goes_by(url: str, setting: str = "configuration.proxy") -> object:
    """What `iotgw.core.destination.Destined.destination` compares of a proxy; raises SettingsError."""
    proxy = parse(url, setting)
    return url if proxy is None else (proxy.scheme, proxy.host, proxy.port)


def of_environment(environment: Mapping[str, str]) -> tuple[str, list[str]]:
    """``(proxy, no-proxy)`` as ``ALL_PROXY`` or ``HTTPS_PROXY`` and ``NO_PROXY`` say, in small letters first."""

    def value(name: str) -> str:
        return environment.get(name.lower()) or environment.get(name) or ""

    url = value("ALL_PROXY") or value("HTTPS_PROXY")
    return url and (url if "://" in url else f"http://{url}"), [
        each for each in re.split(r"[,\s]+", value("NO_PROXY")) if each
    ]


def spelled_out(host: str) -> list[str]:
    """The addresses that a host stands for whoever resolves it: its own, however it is written, or those of ``localhost``."""
    name = host.lower().rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return ["127.0.0.1", "::1"]
    try:
        if ":" in name:
            return [str(ipaddress.IPv6Address(name))]
        return [socket.inet_ntoa(socket.inet_aton(name))] if name and not name.isspace() else []
    except (OSError, ValueError):
        return []


ToTell = Callable[[], Coroutine[Deferred[Any], Any, list[str]]]
"""Gives what a proxy is told of the host, its name or its addresses; raises where it may not be connected to."""


@implementer(IStreamClientEndpoint)
class ProxiedEndpoint:
    """Connects to a host by way of a proxy, which ``way`` leads to. ``timeout`` in seconds covers all of it."""

    def __init__(
        self, reactor: IReactorTime, way: IStreamClientEndpoint, proxy: Proxy, host: str, port: int, timeout: float,
        to_tell: ToTell,
    ) -> None:  # fmt: skip
        self._reactor = reactor
        self._way = way
        self._proxy = proxy
        self._host = host
        self._port = port
        self._timeout = timeout
        self._to_tell = to_tell

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `IStreamClientEndpoint`; fails with `ProxyFailed`, or `iotgw.connect.forbidden.Forbidden`."""
        connecting = Deferred.fromCoroutine(self._connect(protocolFactory))
        return connecting.addTimeout(self._timeout, self._reactor, self._too_late)

    def _too_late(self, result: Any, timeout: float) -> Any:
        raise ProxyFailed(self._proxy, f"no connection to {self._host} within {timeout:g} s")

    async def _connect(self, factory: IProtocolFactory) -> IProtocol:
        hosts = [self._ascii(each) for each in (await self._to_tell())[:MOST_TRIED]]
        for host in hosts[:-1]:
            try:
                return await self._ask(host, factory)
            except ProxyFailed:  # perhaps it has no way to this address, but one to the next
                continue
        return await self._ask(hosts[-1], factory)

    def _ascii(self, host: str) -> str:
        try:
            name = host if host.isascii() else host.encode("idna").decode()
        except UnicodeError:
            name = ""
        if not _HOST.fullmatch(name):
            raise ProxyFailed(self._proxy, "expected the name of a host")
        return name

    async def _ask(self, host: str, factory: IProtocolFactory) -> IProtocol:
        asking = _Asking(
            self._proxy,
            self._proxy.tunnel(host, self._port),
            HostnameAddress(host.encode(), self._port),
            factory,
        )
        one = Factory.forProtocol(lambda: asking)
        one.noisy = False
        try:
            await self._way.connect(one)
        except Exception as error:
            raise ProxyFailed(self._proxy, str(error) or type(error).__name__) from error
        return await asking.opened


class _Asking(Protocol):
    """A connection to a proxy, which becomes that of a protocol of ``factory``. ``opened`` fires with that."""

    transport: Any

    def __init__(
        self, proxy: Proxy, tunnel: Tunnel, address: HostnameAddress, factory: IProtocolFactory
    ) -> None:
        self._proxy = proxy
        self._tunnel = tunnel
        self._address = address
        self._factory = factory
        self._inner: IProtocol | None = None
        self.opened: Deferred[IProtocol] = Deferred(lambda _: self.transport.abortConnection())

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.write(self._tunnel.start())

    def dataReceived(self, data: bytes) -> None:
        """Read the proxy's answer; from then on, all is the protocol's."""
        if self._inner is not None:
            self._inner.dataReceived(data)
            return
        if self.opened.called:
            return
        try:
            if answer := self._tunnel.receive(data):
                self.transport.write(answer)
        except ProtocolError as error:
            self._fail(str(error))
            return
        if self._tunnel.is_open:
            self._open()

    def _open(self) -> None:
        inner = self._factory.buildProtocol(self._address)
        if inner is None:
            self._fail("the connection is not wanted any more")
            return
        self._inner = inner
        inner.makeConnection(self.transport)
        self.opened.callback(inner)
        if self._tunnel.rest:
            inner.dataReceived(self._tunnel.rest)

    def _fail(self, reason: str) -> None:
        self.opened.errback(ProxyFailed(self._proxy, reason))
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Tell the protocol, or say that there is none."""
        if self._inner is not None:
            self._inner.connectionLost(reason)
        elif not self.opened.called:
            self.opened.errback(ProxyFailed(self._proxy, "it closed the connection without an answer"))
