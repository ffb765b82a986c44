"""Routes as values, and what happens around every handler: authorisation, input and output.

A handler gets a `Call` and the parts of its path, calls one part of the gateway, and returns a JSON value
(200), None (204) or a `Reply`. It raises the errors of `iotgw.core.errors`; `problems` says what they are in HTTP.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from msgspec import Meta, Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from iotgw.api import queries
from iotgw.api.auth import ALL_TENANTS, Guard, Permission, Token
from iotgw.api.problems import Problem, from_failure
from iotgw.api.queries import TENANT, Query
from iotgw.core import plain_json
from iotgw.core.clock import PlainCalendar
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.numbers import shown, whole
from iotgw.core.ports.clock import IDates
from iotgw.core.refusals import Doors
from iotgw.core.validate import convert

LONG = 1024
"""Bytes of an answer that are worth packing."""
GZIP = 31
"""What zlib calls gzip's format with its largest window."""
AT_ONCE = 512 << 10
"""Bytes that are packed in one turn of the reactor."""
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|\*)\s*(?:,|$|;\s*q=(?!0(?:\.0*)?\s*(?:,|$)))", re.IGNORECASE)
Handler = Callable[..., Awaitable[Any]]
OCTETS = "application/octet-stream"

Milliseconds = Annotated[int, Meta(ge=0, le=1 << 53)]
"""A time since 1970 UTC, or 0."""

ANONYMOUS = Token("", "", "viewer", DEFAULT_TENANT)


class Route(Struct, frozen=True):
    """One operation. ``body`` and ``answer`` are the Structs of its JSON; several in a tuple are one object, which may have more. A body of
    `bytes` is of the type `OCTETS`.

    ``status`` is that of success, and 201 another where the operation ``may_create`` what it changes.

    ``body_text`` and ``answer_text`` are media types that may stand in place of JSON.

    ``path`` is below `/api/v1`, with ``<name>`` for its variable parts. ``of_tenant`` is False for a view of the
    whole gateway; all others are about one tenant, which a token of all of them names.
    """

    method: str
    path: str
    needs: Permission
    handler: Handler
    summary: str
    body: Any = None
    answer: Any = None
    query: tuple[Query, ...] = ()
    status: int = 200
    of_tenant: bool = True
    may_create: bool = False
    body_text: str = ""
    answer_text: str = ""

    @property
    def queries(self) -> tuple[Query, ...]:
        """All query parameters that it takes."""
        return (*self.query, TENANT) if self.of_tenant and self.needs is not Permission.NONE else self.query


class Reply(Struct, frozen=True):
    """An answer that is more than a value. Raw ``content`` (with its type) goes out as it is. A ``stream`` writes its body itself, and fires when
    that is over."""

    value: Any = None
    status: int = 200
    headers: dict[str, str] = {}
    content: bytes | None = None
    content_type: str = "application/json"
    stream: Callable[[Request], Deferred[None]] | None = None


class Call:
    """One request as a handler sees it.

    Raises Problem or SettingsError for a query or a body that the route doesn't take.
    """

    def __init__(self, route: Route, request: Request, token: Token) -> None:
        self.route = route
        self.token = token
        self._request = request
        self._query = queries.read(route.queries, request.uri.partition(b"?")[2])
        self.raw: Any = None
        """The body's JSON value, once `json` was called."""
        asked = self._query.get("tenant")
        if asked is not None and token.tenant not in (ALL_TENANTS, asked):
            raise Problem(403, f"expected the token's own tenant, {token.tenant!r}, got {asked!r}")
        if route.body is None and self._text().strip() not in (b"", b"{}"):
            raise Problem(400, "expected no body, got one")

    @property
    def tenant(self) -> str:
        """The tenant that the call is about: the token's, or any for a token of all tenants."""
        if self.token.tenant != ALL_TENANTS:
            return self.token.tenant
        return self._query.get("tenant") or DEFAULT_TENANT

    @property
    def tenants(self) -> str | None:
        """What limits a view of the whole gateway: the token's tenant, or None for a token of all."""
        if self.token.tenant != ALL_TENANTS:
            return self.token.tenant
        return self._query.get("tenant") if not self.route.of_tenant else None

    @property
    def sees_gateway(self) -> bool:
        """Whether the caller may see figures of the gateway as a whole, in which all tenants' messages count: a token of all
        tenants, or of the default one, where the gateway's own events are."""
        return (self.tenants or DEFAULT_TENANT) == DEFAULT_TENANT

    def header(self, name: str) -> str | None:
        """A header's value, or None."""
        return header(self._request, name)

    def query(self, name: str) -> Any:
        """The value of one of the route's query parameters."""
        return self._query[name]

    def json(self) -> Any:
        """The body's JSON value; raises Problem 400 or 415."""
        kind = (self.header("content-type") or "").partition(";")[0].strip().lower()
        if kind not in ("application/json", "application/merge-patch+json"):
            raise Problem(415, f"expected 'Content-Type: application/json', got {kind or 'none'!r}")
        try:
            self.raw = plain_json.decode(self._text())
        except plain_json.NotJson as error:
            raise Problem(400, f"expected JSON: {error}") from error
        return self.raw

    def content(self, kind: str) -> bytes | None:
        """The body as it came, if its type is ``kind``; else None."""
        said = (self.header("content-type") or "").partition(";")[0].strip().lower()
        return self._text() if said == kind else None

    def body(self) -> Any:
        """The body as the route's Struct; raises SettingsError, Problem 400 or 415."""
        return convert(self.json(), self.route.body)

    def optional_body(self) -> Any:
        """The body as the route's Struct, or the Struct's defaults when there is none."""
        return self.body() if self._text() else self.route.body()

    def _text(self) -> bytes:
        content = self._request.content
        if content is None:
            return b""
        content.seek(0)
        text: bytes = content.read()
        return text

    def revision(self) -> int | None:
        """The revision that ``If-Match`` asks for; None when it asks for none (RFC 9110 §13.1.1)."""
        wanted = self.header("if-match")
        if wanted is None or wanted.strip() == "*":
            return None
        revision = whole(wanted.strip().strip('"'))
        if revision is None:
            raise Problem(
                412, f'If-Match: expected a revision as an entity tag, such as "7", got {shown(wanted)}'
            )
        return revision


class Dispatcher:
    """Runs a route's handler for a request and writes what it returns."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, guard: Guard, doors: Doors, dates: IDates | None = None) -> None:
        self._clock = clock
        self._dates: IDates = dates or PlainCalendar(clock)
        self._guard = guard
        self._doors = doors

    def __call__(self, route: Route, request: Request, **variables: str) -> Deferred[bytes]:
        """The Deferred of the response's body. ``variables`` are as they stand in the path, percent-encoded. It can be cancelled (the client went away) without harm to
        the handler: a change that has begun is finished."""
        call: list[Call] = []
        started = self._clock.seconds()

        async def run() -> Any:
            token = self._admit(route, request)
            call.append(Call(route, request, token))
            return await route.handler(call[0], **{name: unquote(text) for name, text in variables.items()})

        answered: Deferred[bytes] = Deferred()

        def finish(result: Any) -> None:
            if answered.called:
                if isinstance(result, Failure):
                    self._log.debug(
                        "a request failed after its client had disconnected: {error}", error=result.value
                    )
                return
            if isinstance(result, Reply) and result.stream is not None:
                self._stream(request, result, result.stream).chainDeferred(answered)
                return
            rendered = Deferred.fromCoroutine(self._render(request, result, call[0].raw if call else None))
            rendered.addCallbacks(written, failed)

        def failed(failure: Failure) -> None:
            if not answered.called:
                answered.errback(failure)

        def written(body: bytes) -> None:
            if answered.called:
                return
            self._log.debug(
                "{method} {path}: {status} in {seconds:.3f} s for {by}", method=route.method, path=request.uri.decode(errors="replace"),
                status=request.code, seconds=self._clock.seconds() - started,
                by=call[0].token.name if call else "nobody",
            )  # fmt: skip
            answered.callback(body)

        Deferred.fromCoroutine(run()).addBoth(finish)
        return answered

    def _admit(self, route: Route, request: Request) -> Token:
        if route.needs is Permission.NONE:
            return ANONYMOUS
        address = getattr(request.getClientAddress(), "host", "")
        brought = header(request, "authorization")
        try:
            return self._guard.admit(
                brought, address, route.needs, self._clock.seconds(), int(self._dates.seconds() * 1000)
            )
        except Problem as problem:
            if brought and problem.status != 403:
                self._doors.note("api", "token", address, "a wrong token")
            raise

    @staticmethod
    def _stream(
        request: Request, reply: Reply, begin: Callable[[Request], Deferred[None]]
    ) -> Deferred[bytes]:
        """Begin a body that goes on; fires with nothing more to write when it is over."""
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        write(request, reply.status, b"", reply.content_type)
        request.responseHeaders.removeHeader("Content-Length")
        return begin(request).addCallback(lambda _: b"")

    async def _render(self, request: Request, result: Any, body: Any) -> bytes:
        if isinstance(result, Failure):
            return write_problem(request, from_failure(result, body))
        reply = result if isinstance(result, Reply) else Reply(result, 204 if result is None else 200)
        for name, value in reply.headers.items():
            request.setHeader(name, value)
        if reply.content is not None:
            return write(
                request, reply.status, await self._packed(request, reply.content), reply.content_type
            )
        if reply.value is None:
            return write(request, reply.status, b"", "")
        # The line's end is for who reads it in a terminal.
        body = await self._packed(request, msgspec.json.encode(reply.value) + b"\n")
        return write(request, reply.status, body, reply.content_type)

    async def _packed(self, request: Request, body: bytes) -> bytes:
        """A body that is long enough, by gzip for whoever takes that. A secret in it is none of who can make the request: that needs the
        token."""
        if len(body) < LONG:
            return body
        request.setHeader("Vary", "Accept-Encoding")
        if not _GZIP.search(header(request, "accept-encoding") or ""):
            return body
        packer = zlib.compressobj(1, wbits=GZIP)
        packed = [packer.compress(body[:AT_ONCE])]
        for start in range(AT_ONCE, len(body), AT_ONCE):
            await deferLater(self._clock, 0)
            packed.append(packer.compress(body[start : start + AT_ONCE]))
        request.setHeader("Content-Encoding", "gzip")
        return b"".join([*packed, packer.flush()])


def header(request: Request, name: str) -> str | None:
    """A header's value, or None. What is no UTF-8 has U+FFFD in its place: values may be any bytes (RFC 9110 §5.5)."""
    value: bytes | None = request.getHeader(name.encode())
    return value.decode("utf-8", "replace") if value is not None else None


def write_problem(request: Request, problem: Problem) -> bytes:
    """Set the head of a response that is a problem; returns its body."""
    for name, value in problem.headers.items():
        request.setHeader(name, value)
    return write(request, problem.status, problem.body(), "application/problem+json")


def write(request: Request, status: int, body: bytes, content_type: str) -> bytes:
    """Set the head of a response; returns its body."""
    request.setResponseCode(status)
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("X-Content-Type-Options", "nosniff")
    if content_type:
        request.setHeader("Content-Type", content_type)
    if status not in (204, 304):
        request.setHeader("Content-Length", str(len(body)))
    return body
