"""How we authenticate to an HTTP target: basic, bearer, OAuth 2.0 client credentials (RFC 6749 §4.4), or AWS's signature."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Annotated, Any, Protocol
from urllib.parse import urlencode

import treq
from msgspec import Meta, Struct
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import Agent, FileBodyProducer
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from iotgw.connect.aws_auth import AwsSigner, AwsSigV4
from iotgw.connect.endpoint import in_words
from iotgw.connect.http_pool import ONE_READ
from iotgw.connect.tls import ClientTls
from iotgw.core import plain_json
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError, Unavailable
from iotgw.core.numbers import real
from iotgw.core.ports.connect import IConnector
from iotgw.core.redaction import hidden
from iotgw.core.secrets import Secret, SecretUrl
from iotgw.core.small_reads import read_at_most

EARLY = 30.0
"""Seconds before its expiry at which a token is renewed."""
PATIENCE = 20.0
"""Seconds for a token request, including the response's body."""
USUAL = 3600.0
"""Lifetime of a token in seconds when its server doesn't give one as a number."""
LONGEST_LIFE = 86400.0
"""Seconds after which a token is renewed, however long it is valid."""
LARGEST = 64 << 10
"""Largest token response, in bytes."""


class Basic(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="basic"):
    """User name and password (RFC 7617)."""

    username: Annotated[str, Meta(description="The user's name.")]
    password: Annotated[Secret, Meta(description="The user's password.")] = ""


class Bearer(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="bearer"):
    """A token that doesn't expire (RFC 6750)."""

    token: Annotated[Secret, Meta(description="The token, without the word `Bearer`.")]


class OAuth2(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="oauth2"):
    """OAuth 2.0 client credentials: a token is fetched, and renewed before it expires or when it is refused."""

    token_url: Annotated[
        SecretUrl, Meta(description="Stored encrypted; the values of its query are shown as `***`.")
    ]
    client_id: Annotated[str, Meta(description="The client's id.")]
    client_secret: Annotated[Secret, Meta(description="The client's secret.")]
    scope: Annotated[str, Meta(description="What the token is to be good for, with spaces between.")] = ""


Auth = Basic | Bearer | OAuth2 | AwsSigV4


class Authenticator(Protocol):
    """What authenticates the requests to one target."""

    header: bytes
    """The header line that is the same for every request; empty where there is none."""

    @property
    def secrets(self) -> Sequence[str]:
        """What no text for people may repeat, besides what is in the header."""

    def sign(self, head: bytes, body: bytes) -> bytes:
        """The header lines that authenticate a request; ``head`` are its others, the first with method and target."""

    def ready(self) -> bool:
        """Whether requests can be signed now."""

    def refresh(self, done: Callable[[str], None]) -> None:
        """Get what is needed; calls ``done("")``, or ``done`` with the reason why there is none."""

    def refused(self) -> None:
        """The target refused the credentials."""

    def close(self) -> None:
        """Stop what is under way."""


class Fixed:
    """A header that never changes."""

    def __init__(self, auth: Basic | Bearer | None) -> None:
        self.header = b""
        self.secrets = [auth.password] if isinstance(auth, Basic) else []
        """What no text for people may repeat, besides what is in the header."""
        if isinstance(auth, Basic):
            pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
            self.header = f"Authorization: Basic {pair}\r\n".encode()
        elif isinstance(auth, Bearer):
            self.secrets.append(auth.token)
            if not auth.token.isprintable():
                raise SettingsError("configuration.auth.token", "expected printable characters")
            self.header = f"Authorization: Bearer {auth.token}\r\n".encode()

    def sign(self, head: bytes, body: bytes) -> bytes:
        """The header."""
        return self.header

    def ready(self) -> bool:
        """Always."""
        return True

    def refresh(self, done: Callable[[str], None]) -> None:
        """Nothing to do."""
        done("")

    def refused(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class AccessToken:
    """The header of `OAuth2`."""

    def __init__(
        self,
        auth: OAuth2,
        reactor: IReactorTime,
        tls: ClientTls | None,
        connector: IConnector,
        proxy: str = "",
    ) -> None:
        self.header = b""
        self.secrets = [auth.client_secret]
        """What no text for people may repeat, besides what is in the header."""
        self._until = 0.0
        self._reactor = reactor
        self._waiting: list[Callable[[str], None]] = []
        self._asking = False
        self._fetching: Any = None
        scheme, host, port = origin(auth.token_url, "configuration.auth.tokenUrl")
        way = connector.endpoint(
            host, port, 10, (tls or ClientTls()) if scheme == "https" else None, "tls", proxy
        )
        # treq's own client would decompress a response before its size is checked
        self._agent = Agent.usingEndpointFactory(reactor, OneWay(way))
        self._url = auth.token_url.encode()
        form = {"grant_type": "client_credentials"} | ({"scope": auth.scope} if auth.scope else {})
        pair = urlencode({auth.client_id: auth.client_secret}).replace("=", ":", 1)  # RFC 6749 §2.3.1
        basic = base64.b64encode(pair.encode()).decode()
        self._form = urlencode(form).encode()
        self._headers = Headers(
            {
                "Authorization": [f"Basic {basic}"],
                "Accept": ["application/json"],
                "Content-Type": ["application/x-www-form-urlencoded"],
            }
        )

    def sign(self, head: bytes, body: bytes) -> bytes:
        """The header with the present token."""
        return self.header

    def ready(self) -> bool:
        """Whether the token is valid."""
        return bool(self.header) and self._reactor.seconds() < self._until

    def refresh(self, done: Callable[[str], None]) -> None:
        """Fetch a token; calls ``done("")``, or ``done`` with the reason why there is none."""
        self._waiting.append(done)
        if not self._asking:
            self._asking = True
            self._fetching = ensureDeferred(self._fetch())
            self._fetching.addTimeout(PATIENCE, self._reactor).addCallback(self._take)
            self._fetching.addErrback(self._failed).addCallback(self._answered)

    def refused(self) -> None:
        """The target refused the token."""
        self._until = 0.0

    def close(self) -> None:
        """Close the connection."""
        if self._fetching is not None:
            self._fetching.cancel()

    async def _fetch(self) -> tuple[int, bytes]:
        """Request a token; returns status and body. Redirects are not followed, since they could lead
        anywhere."""
        response = await self._agent.request(
            b"POST", self._url, self._headers, FileBodyProducer(BytesIO(self._form))
        )
        body = bytearray()

        def take(data: bytes) -> None:
            body.extend(data)
            if len(body) > LARGEST:
                raise Unavailable(f"expected a token of at most {LARGEST} bytes")

        await treq.collect(response, take)
        return response.code, bytes(body)

    def _failed(self, failure: Failure) -> str:
        return f"no token: {in_words(failure)}"

    def _answered(self, problem: str) -> None:
        self._asking, self._fetching = False, None
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(problem)

    def _take(self, answered: tuple[int, bytes]) -> str:
        status, body = answered
        try:
            answer = plain_json.decode(body)
            token = str(answer["access_token"])
            seconds = real(answer.get("expires_in", USUAL), 0.0)
        except (KeyError, TypeError, ValueError, AttributeError):
            return f"no token: HTTP {status}{self._said(status, body)}"
        if not token.isprintable():
            return "no token: it has control characters"
        self.header = f"Authorization: Bearer {token}\r\n".encode()
        if seconds is None:
            seconds = USUAL
        self._until = self._reactor.seconds() + min(max(1.0, seconds - EARLY), LONGEST_LIFE)
        return ""

    def _said(self, status: int, body: bytes) -> str:
        """What a refusal says. Another answer may hold a token under a name of its own, and isn't repeated."""
        if status < 400:
            return ", without an access_token"
        return " " + hidden(body.decode("utf-8", "replace"), self.secrets)[:200]


def authenticator(
    auth: Auth | None,
    reactor: IReactorTime,
    tls: ClientTls | None,
    connector: IConnector,
    date: Callable[[], float],
    proxy: str = "",
) -> Authenticator:
    """What authenticates by these settings. ``date()`` gives the date in seconds since 1970; ``proxy`` is as in `IConnector.endpoint`.
    Raises SettingsError."""
    if isinstance(auth, OAuth2):
        return AccessToken(auth, reactor, tls, connector, proxy)
    return AwsSigner(auth, date) if isinstance(auth, AwsSigV4) else Fixed(auth)


@implementer(IStreamClientEndpoint)
class _SmallReads:
    """An endpoint of whose connections little is read at a time."""

    def __init__(self, way: IStreamClientEndpoint) -> None:
        self._way = way

    def connect(self, factory: Any) -> Any:
        """See `IStreamClientEndpoint.connect`."""

        def connected(protocol: Any) -> Any:
            read_at_most(protocol.transport, ONE_READ)
            return protocol

        return self._way.connect(factory).addCallback(connected)


@implementer(IAgentEndpointFactory)
class OneWay:
    """Uses one server's endpoint for every URI, so that forbidden addresses stay blocked."""

    def __init__(self, way: IStreamClientEndpoint) -> None:
        self._way = way

    def endpointForURI(self, uri: Any) -> IStreamClientEndpoint:
        """See `IAgentEndpointFactory`."""
        return _SmallReads(self._way)
