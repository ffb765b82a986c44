"""The keys by which a service's signatures are checked, fetched from where it publishes them (RFC 7517), and kept.

A set of keys is fetched when the datasource that needs it starts, and again when it is as old as its answer's ``Cache-Control`` says. A key that is
not in it may be new: then the set is fetched, too, but at most once a minute, whatever comes in. Meanwhile, and while the service
doesn't answer, the keys of the last set count, for a day.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from msgspec import Meta, Struct
from twisted.internet.defer import Deferred

from iotgw import __version__
from iotgw.connect.http_pool import HttpPool
from iotgw.connect.proxy import ProxyUrl, goes_by
from iotgw.connect.tls import ClientTls, trust
from iotgw.core.destination import origin
from iotgw.core.errors import SettingsError
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor
from iotgw.wire import jwt
from iotgw.wire.http1 import Response, request_head

CONNECT_TIMEOUT = 10.0
TIMEOUT = 10.0
"""Seconds for a whole answer."""
LARGEST = 256 << 10
"""Bytes of an answer that are read."""
SHORTEST, USUAL, LONGEST = 60.0, 3600.0, 86_400.0
"""Seconds for which a set is taken for the present one: at least, where the answer says nothing, at most."""
NEW_KEYS = 60.0
"""Seconds between two fetches because of a key that isn't in the set."""
AGAIN = 1.0
"""Seconds after a fetch that failed, before the next one."""
LAST_DAY = 86_400.0
"""Seconds for which an old set counts while there is no new one."""
_MAX_AGE = re.compile(rb"(?:^|[ ,])max-age=(\d{1,9})(?:$|[ ,])")


class KeyPlace(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where a service publishes its keys."""

    url: Annotated[str, Meta(description="URL of a JSON Web Key Set; Google's own if not given.")] = (
        "https://www.googleapis.com/oauth2/v3/certs"
    )
    tls: Annotated[ClientTls | None, Meta(description="TLS, if not with the system's authorities.")] = None
    proxy: ProxyUrl = ""

    def __post_init__(self) -> None:
        """Refuse what is no URL."""
        try:
            origin(self.url, "url")
        except SettingsError as error:
            raise ValueError(f"keys.url: {error}") from None
        if not self.url.isprintable() or " " in self.url or not self.url.isascii():
            raise ValueError("keys.url: expected a URL of printable ASCII characters")

    def destination(self) -> object:
        """See `iotgw.core.destination.Destined`."""
        return origin(self.url, "configuration.keys.url"), trust(self.tls), goes_by(self.proxy)


class WebKeys:
    """The keys at a `KeyPlace`. Raises SettingsError."""

    def __init__(self, reactor: IReactor, connector: IConnector, place: KeyPlace) -> None:
        scheme, host, port = origin(place.url, "configuration.keys.url")
        wanted = (place.tls or ClientTls()) if scheme == "https" else None
        way = connector.endpoint(host, port, CONNECT_TIMEOUT, wanted, "configuration.keys.tls", place.proxy)
        netloc, slash, path = place.url.partition("://")[2].partition("/")
        head = request_head(
            "GET", f"{slash or '/'}{path}",
            [("Host", netloc), ("User-Agent", f"iotgw/{__version__}"), ("Accept", "application/json")],
        )  # fmt: skip
        self._request = head + b"\r\n"
        self._clock = reactor
        self._pool = HttpPool(reactor, way, 1, TIMEOUT, LARGEST)
        self._keys: dict[str, RSAPublicKey] = {}
        self._fresh_until = self._not_before = self._asked_at = 0.0
        self._is_fetching = False
        self.error = ""
        """Why the last fetch failed; empty if it didn't."""

    @property
    def are_known(self) -> bool:
        """Whether there are keys that count."""
        return bool(self._keys) and self._clock.seconds() < self._fresh_until + LAST_DAY

    def look(self) -> None:
        """Something is to be checked: fetch the keys again if they are old."""
        now = self._clock.seconds()
        if now >= self._fresh_until:
            self._fetch(now)

    def find(self, key_id: str) -> RSAPublicKey | None:
        """A key by its name."""
        found = self._keys.get(key_id)
        now = self._clock.seconds()
        if found is None and now >= self._asked_at + NEW_KEYS:
            self._fetch(now)
        return found

    def fetch(self) -> None:
        """Fetch the keys now, in the background."""
        self._fetch(self._clock.seconds())

    def close(self) -> Deferred[Any]:
        """End."""
        return self._pool.close()

    def _fetch(self, now: float) -> None:
        if self._is_fetching or now < self._not_before:
            return
        self._is_fetching, self._asked_at = True, now
        self._pool.request(self._request, self._answered)

    def _answered(self, response: Response | None, reason: str) -> None:
        self._is_fetching, now = False, self._clock.seconds()
        try:
            self._take(response, reason, now)
            self.error = ""
        except ValueError as error:
            self._not_before = now + AGAIN
            self.error = f"the keys can't be fetched: {error}"[:300]

    def _take(self, response: Response | None, reason: str, now: float) -> None:
        if response is None:
            raise ValueError(reason)
        if response.status != 200:  # a redirect could lead anywhere
            raise ValueError(f"HTTP {response.status}")
        self._keys = jwt.key_set(response.body)
        said = _MAX_AGE.search(response.headers.get(b"cache-control", b"").lower())
        age = float(said[1]) if said is not None else USUAL
        self._fresh_until = now + min(max(age, SHORTEST), LONGEST)
