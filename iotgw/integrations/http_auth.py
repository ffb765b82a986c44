"""How an HTTP target knows us: basic, bearer, or OAuth 2.0 client credentials (RFC 6749 §4.4)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from iotgw.errors import SettingsError
from iotgw.integrations.http_pool import Pool
from iotgw.integrations.peer import Network, Tls, endpoint
from iotgw.sealing import Secret
from iotgw.wire.http1 import Response, request_head

EARLY = 30.0
"""Seconds before its end that a token is renewed."""


class Basic(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="basic"):
    """User name and password (RFC 7617)."""

    username: str
    password: Secret = ""


class Bearer(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="bearer"):
    """A token that doesn't end (RFC 6750)."""

    token: Secret


class OAuth2(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, tag="oauth2"):
    """OAuth 2.0 client credentials: a token is fetched, and renewed before it ends or when it is refused."""

    token_url: str
    client_id: str
    client_secret: Secret
    scope: str = ""


Auth = Basic | Bearer | OAuth2


class Fixed:
    """A header that never changes."""

    def __init__(self, auth: Basic | Bearer | None) -> None:
        self.header = b""
        if isinstance(auth, Basic):
            pair = base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()
            self.header = f"Authorization: Basic {pair}\r\n".encode()
        elif isinstance(auth, Bearer):
            if not auth.token.isprintable():
                raise SettingsError("configuration.auth.token", "expected printable characters")
            self.header = f"Authorization: Bearer {auth.token}\r\n".encode()

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


class Token:
    """The header of `OAuth2`."""

    def __init__(self, auth: OAuth2, reactor: Any, tls: Tls | None, forbidden: tuple[Network, ...]) -> None:
        self.header = b""
        self._until = 0.0
        self._reactor = reactor
        self._waiting: list[Callable[[str], None]] = []
        self._asking = False
        url = urlsplit(auth.token_url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise SettingsError(
                "configuration.auth.tokenUrl", f"expected an http or https URL, got {auth.token_url!r}"
            )
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 80)
        self._pool = Pool(
            reactor,
            endpoint(reactor, url.hostname, port, (tls or Tls()) if secure else None, 10, forbidden),
            1,
            20,
        )
        form = {"grant_type": "client_credentials"} | ({"scope": auth.scope} if auth.scope else {})
        body = urlencode(form).encode()
        pair = urlencode({auth.client_id: auth.client_secret}).replace("=", ":", 1)  # RFC 6749 §2.3.1
        self._request = (
            request_head(
                "POST",
                (url.path or "/") + (f"?{url.query}" if url.query else ""),
                [
                    ("Host", url.netloc.rpartition("@")[2]),
                    ("Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"),
                    ("Content-Type", "application/x-www-form-urlencoded"),
                    ("Accept", "application/json"),
                    ("Content-Length", str(len(body))),
                ],
            )
            + b"\r\n"
            + body
        )

    def ready(self) -> bool:
        """Whether the token is good."""
        return bool(self.header) and self._reactor.seconds() < self._until

    def refresh(self, done: Callable[[str], None]) -> None:
        """Fetch a token; ``done("")``, or with why there is none."""
        self._waiting.append(done)
        if not self._asking:
            self._asking = True
            self._pool.request(self._request, self._answered)

    def refused(self) -> None:
        """The target didn't take the token."""
        self._until = 0.0

    def close(self) -> None:
        """Let go of the connection."""
        self._pool.close()

    def _answered(self, response: Response | None, reason: str) -> None:
        problem = self._take(response, reason)
        self._asking = False
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(problem)

    def _take(self, response: Response | None, reason: str) -> str:
        if response is None:
            return f"no token: {reason}"
        try:
            answer = msgspec.json.decode(response.body)
            token, seconds = str(answer["access_token"]), float(answer.get("expires_in", 3600))
        except (msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
            return f"no token: HTTP {response.status} {response.body[:200].decode('utf-8', 'replace')}"
        if not token.isprintable():
            return "no token: it has control characters"
        self.header = f"Authorization: Bearer {token}\r\n".encode()
        self._until = self._reactor.seconds() + max(1.0, seconds - EARLY)
        return ""
