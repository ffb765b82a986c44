"""Where a broker is, and who we are to it: as separate settings, or as the URL that people paste.

Everything that connects to a broker by settings takes a URL for its ``host``. The URL may hold a password, so it is stored
encrypted and shown with a mask.
"""

from __future__ import annotations

import re
from typing import Annotated

from msgspec import Meta, Struct
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from iotgw.connect import websocket
from iotgw.connect.broker_url import LONGEST, PastedUrl, named, pasted
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.secrets import Secret, SecretUrl

DEFAULT_PATH = "/mqtt"
"""Where EMQX, HiveMQ and AWS IoT take WebSockets; mosquitto takes them anywhere."""

_PATH = re.compile(r"/[!-\"$->@-~]*(\?[!-\"$-~]*)?")

SCHEMES = {
    "mqtt": (False, False), "tcp": (False, False),
    "mqtts": (True, False), "ssl": (True, False), "tls": (True, False), "tcps": (True, False), "mqtt+ssl": (True, False),
    "ws": (False, True), "mqtt+ws": (False, True),
    "wss": (True, True), "mqtt+wss": (True, True),
}  # fmt: skip
"""Each scheme that a URL may have: whether it means TLS, and a WebSocket."""
PORTS = {(False, False): 1883, (True, False): 8883, (False, True): 80, (True, True): 443}
"""Where a broker listens that says no port."""


class Broker(Struct, frozen=True):
    """A broker, in one form. ``path`` is that of a WebSocket, with its query; empty is MQTT on TCP itself."""

    host: str
    port: int
    tls: ClientTls | None = None
    path: str = ""
    username: str = ""
    password: str = ""

    @property
    def place(self) -> str:
        """Its host and port, for people and for comparisons."""
        return f"{self.host}:{self.port}"

    @property
    def address(self) -> str:
        """Its URL without any secret."""
        scheme = ("wss" if self.tls else "ws") if self.path else ("mqtts" if self.tls else "mqtt")
        return f"{scheme}://{self.place}{self.path.partition('?')[0]}"


class BrokerSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The settings that everything has which connects to a broker."""

    host: Annotated[
        SecretUrl,
        Meta(
            min_length=1,
            max_length=LONGEST,
            description="The broker: a name or address, or a URL such as `mqtts://user:password@host:8883` or "
            "`wss://host/mqtt`. What the URL says is not said again in other settings. Its password is stored encrypted.",
        ),
    ]
    port: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None,
        Meta(description="1883, with TLS 8883; of a URL with `ws://` 80, with `wss://` 443."),
    ] = None
    tls: Annotated[ClientTls | None, Meta(description="TLS, also with a client certificate.")] = None
    alpn: Annotated[
        str,
        Meta(
            max_length=255,
            description="The protocol to ask for in TLS (ALPN), where a broker shares its port with others. Needs TLS.",
        ),
    ] = ""
    proxy: ProxyUrl = ""
    username: Annotated[str, Meta(description="The user's name at the broker.")] = ""
    password: Annotated[
        Secret, Meta(description="The password, where the gateway logs in by user name and password.")
    ] = ""

    def __post_init__(self) -> None:
        """Refuse what leads to no broker."""
        broker = self.broker
        if self.alpn and (broker.tls is None or not self.alpn.isascii() or unfit(self.alpn)):
            raise ValueError("alpn: expected the name of a protocol, together with TLS")

    @property
    def broker(self) -> Broker:
        """What the settings mean. Raises ValueError, without any secret in it."""
        url = pasted(self.host)
        if url is not None:
            return self._pasted(url)
        host, port = named(self.host)
        if port is not None and self.port not in (None, port):
            raise ValueError("port: expected none beside a host that says one")
        return self._plain(host, port)

    @property
    def uses_tls(self) -> bool:
        """Whether TLS is meant where neither the settings nor a URL say so."""
        return False

    @property
    def protocol(self) -> str:
        """What to ask for in TLS (ALPN); empty is nothing."""
        return self.alpn

    def _plain(self, host: str, port: int | None) -> Broker:
        tls = ClientTls() if self.tls is None and self.uses_tls else self.tls
        port = port or self.port or PORTS[tls is not None, False]
        return Broker(host, port, tls, "", self.username, self.password)

    def _pasted(self, url: PastedUrl) -> Broker:
        scheme = url.scheme
        if scheme not in SCHEMES:
            raise ValueError(f"host: expected a URL with one of {', '.join(SCHEMES)}, got {scheme}://")
        is_tls, is_web = SCHEMES[scheme]
        url.check_beside(self.port, self.username, self.password)
        if self.tls is not None and not is_tls:
            raise ValueError(f"tls: expected none with {scheme}://, which is without TLS")
        if not is_web and url.path not in ("", "/"):
            raise ValueError(f"host: expected a URL without a path: {scheme}:// has none")
        if is_web and url.path and _PATH.fullmatch(url.path) is None:
            raise ValueError("host: expected a path of printable ASCII characters, without a fragment")
        return Broker(
            url.host,
            url.port or self.port or PORTS[is_tls, is_web],
            (self.tls or ClientTls()) if is_tls else None,
            (url.path or DEFAULT_PATH) if is_web else "",
            url.username if url.has_user else self.username,
            url.password if url.has_user else self.password,
        )  # fmt: skip

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        broker = self.broker
        return broker.host.lower(), broker.port, trust(broker.tls), goes_by(self.proxy)


def endpoint(
    settings: BrokerSettings,
    connector: IConnector,
    clock: IReactorTime,
    timeout: float,
    prefix: str = "configuration.",
) -> IStreamClientEndpoint:
    """Where to connect to a broker; ``timeout`` in seconds covers name, TCP and TLS. Raises SettingsError, whose places begin
    with ``prefix``."""
    broker = settings.broker
    alpn = (settings.protocol,) if settings.protocol and broker.tls is not None else ()
    way = connector.endpoint(
        broker.host, broker.port, timeout, broker.tls, f"{prefix}tls", settings.proxy, alpn
    )
    if not broker.path:
        return way
    return websocket.over(way, clock, broker.place, broker.path, broker.tls is not None, f"{prefix}host")
