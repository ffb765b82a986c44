"""Calls of a service that speaks JSON over HTTP, as the clouds do: a body goes there, a document or a problem comes back.

A call has no Deferred and no timer: it is a request of an `HttpPool`. Redirects are not followed, since they could lead
anywhere.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred

from iotgw import __version__
from iotgw.connect.http_answers import excerpt, retry_after
from iotgw.connect.http_auth import Authenticator
from iotgw.connect.http_pool import HttpPool
from iotgw.connect.tls import ClientTls
from iotgw.core import plain_json
from iotgw.core.destination import origin
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.reactor import IReactor
from iotgw.core.redaction import hidden
from iotgw.wire.http1 import Response, request_head

CONNECT_TIMEOUT = 10.0
LONGEST_REASON = 300
"""Characters of a reason."""
BUSY = frozenset({429, 500, 502, 503, 504})
"""Statuses of a service that may work later (RFC 9110 §15.6, RFC 6585 §4)."""
NO_RIGHT = frozenset({401, 403, 407})
"""Statuses of a service that doesn't let us in."""


class CallProblem(Struct, frozen=True):
    """Why a call has no result. ``status`` is HTTP's, 0 without an answer; ``code`` is the service's own name for it, empty if it
    gave none; ``after`` are the seconds for which it wants to be left alone."""

    reason: str
    status: int = 0
    code: str = ""
    after: float | None = None

    @property
    def is_ours(self) -> bool:
        """Whether the call itself is at fault, so that another one may well succeed."""
        return self.status >= 400 and self.status not in BUSY and self.status not in NO_RIGHT


Told = Callable[[Any, CallProblem | None], None]
"""Called once, with what was answered, in the form that was asked for, or with the problem."""
Explain = Callable[[Any], tuple[str, str]]
"""``explain(document)``: what a service's error document says, its name and its words; both may be empty. Raises nothing."""


class JsonApi:
    """The calls of one service at ``url``, as ``auth`` authenticates them. ``connections`` is how many may be under way at once,
    ``timeout`` in seconds covers each, ``kept`` are the bytes of the longest answer. Raises SettingsError."""

    def __init__(
        self,
        reactor: IReactor,
        connector: IConnector,
        url: str,
        auth: Authenticator,
        explain: Explain,
        *,
        tls: ClientTls | None = None,
        proxy: str = "",
        date: Callable[[], float],
        connections: int,
        timeout: float,
        kept: int = 1 << 20,
        place: str = "configuration.endpoint",
    ) -> None:
        scheme, host, port = origin(url, place)
        rest = url.partition("://")[2]
        self._netloc, slash, path = rest.partition("/")
        self._base = f"{slash}{path}".rstrip("/")
        self._auth = auth
        self._explain = explain
        self._date = date
        wanted = (tls or ClientTls()) if scheme == "https" else None
        way = connector.endpoint(host, port, CONNECT_TIMEOUT, wanted, "configuration.tls", proxy)
        self._pool = HttpPool(reactor, way, connections, timeout, kept)
        self._is_closed = False

    @property
    def spare(self) -> int:
        """How many more calls could be under way at once."""
        return self._pool.spare

    @property
    def connected(self) -> int:
        """How many connections are open."""
        return self._pool.connected

    def call(
        self,
        path: str,
        body: Any,
        told: Told,
        headers: Iterable[tuple[str, str]] = (),
        method: str = "POST",
        form: Any = Any,
    ) -> None:
        """Send ``body`` as JSON to ``path``; None is no body. ``form`` is the type that the answer must have."""
        data = b"" if body is None else msgspec.json.encode(body)
        lines = list(headers)
        if self._auth.ready():
            self._send(method, path, data, lines, told, form)
            return

        def refreshed(problem: str) -> None:
            if problem or self._is_closed:
                told(None, CallProblem(problem or "stopped"))
            else:
                self._send(method, path, data, lines, told, form)

        self._auth.refresh(refreshed)

    def close(self) -> Deferred[Any]:
        """End; what is under way fails. Fires when the connections are closed."""
        self._is_closed = True
        self._auth.close()
        return self._pool.close()

    def _send(
        self,
        method: str,
        path: str,
        data: bytes,
        headers: Sequence[tuple[str, str]],
        told: Told,
        form: Any,
    ) -> None:
        lines = [("Host", self._netloc), ("User-Agent", f"iotgw/{__version__}"), *headers]
        if data and not any(name == "Content-Type" for name, _ in headers):
            lines.append(("Content-Type", "application/json"))
        head = request_head(method, self._base + path, lines)
        signed = self._auth.sign(head, data)

        def answered(response: Response | None, reason: str) -> None:
            if response is None:
                told(None, CallProblem(self._plain(reason)))
            else:
                self._read(response, told, form)

        self._pool.request(b"%b%bContent-Length: %d\r\n\r\n%b" % (head, signed, len(data), data), answered)

    def _read(self, response: Response, told: Told, form: Any) -> None:
        if response.status == 401:
            self._auth.refused()
        if not 200 <= response.status < 300:
            told(None, self._problem(response))
            return
        try:
            document = plain_json.decode(response.body or b"{}", type=form)
        except plain_json.NotJson as error:
            told(
                None,
                CallProblem(self._plain(f"HTTP {response.status}, but the answer can't be read: {error}")),
            )
            return
        told(document, None)

    def _problem(self, response: Response) -> CallProblem:
        code = words = ""
        with contextlib.suppress(plain_json.NotJson):
            code, words = self._explain(plain_json.decode(response.body))
        said = words or ("" if code else excerpt(response.body, self._secrets))
        reason = f"HTTP {response.status}{f' {code}' if code else ''}{f': {said}' if said else ''}"
        after = retry_after(response.headers.get(b"retry-after"), self._date())
        return CallProblem(self._plain(reason), response.status, code, after)

    @property
    def _secrets(self) -> list[str]:
        return [*self._auth.secrets, *self._auth.header.decode().split()[-1:]]

    def _plain(self, text: str) -> str:
        return hidden(" ".join(text.split()), self._secrets)[:LONGEST_REASON]
