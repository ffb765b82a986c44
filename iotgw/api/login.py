"""`/session`: a person's browser changes a token for a session, renews it, and ends it."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from iotgw.api.auth import Permission
from iotgw.api.browser_sessions import BrowserSession, BrowserSessions
from iotgw.api.routes import Call, Reply, Route
from iotgw.core.errors import Conflict
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.registry import IRegistry


class SessionView(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Who asks, and until when."""

    name: Annotated[
        str, Meta(description="The name of the token, or of the one that the session was made of.")
    ]
    role: Annotated[str, Meta(description="What it may do.")]
    tenant: Annotated[str, Meta(description="The tenant to which it belongs; `*` is all.")]
    session: Annotated[
        str, Meta(description="The text to send as a Bearer token; only in the answer that made it.")
    ] = ""
    started_at: Annotated[
        int, Meta(description="When the session began: milliseconds since 1970; 0 for a token.")
    ] = 0
    expires_at: Annotated[
        int, Meta(description="Until when its text is good: milliseconds since 1970; 0 for a token.")
    ] = 0
    ends_at: Annotated[
        int,
        Meta(description="From when it can't be renewed any more: milliseconds since 1970; 0 for a token."),
    ] = 0


class LoginRoutes:
    """The routes of one's own session."""

    def __init__(self, sessions: BrowserSessions, registry: IRegistry, dates: IDates) -> None:
        self._sessions = sessions
        self._registry = registry
        self._dates = dates

    def routes(self) -> list[Route]:
        """Begin or renew, read, end."""
        read = Permission.READ
        return [
            Route(
                "POST", "/session", read, self.begin,
                "Change a token for a session of a browser, or renew a session", answer=SessionView, status=201,
                of_tenant=False,
            ),
            Route("GET", "/session", read, self.read, "Who one is, and until when", answer=SessionView, of_tenant=False),
            Route("DELETE", "/session", read, self.end, "End one's session", status=204, of_tenant=False),
        ]  # fmt: skip

    def _now_ms(self) -> int:
        return int(self._dates.seconds() * 1000)

    async def begin(self, call: Call) -> Reply:
        """A new session, or the next text of this one."""
        token = self._registry.get("token", call.token.id)
        session, now_ms = call.token.session, self._now_ms()
        if session is None:
            text, session = self._sessions.begin(token, now_ms)
        else:
            text, session = self._sessions.renew(session, token, now_ms)
        return Reply(_view(call, session, text), 201)

    async def read(self, call: Call) -> SessionView:
        """Who asks."""
        return _view(call, call.token.session)

    async def end(self, call: Call) -> None:
        """No more."""
        if call.token.session is None:
            raise Conflict("this is a token, which has no session; `DELETE /tokens/{name}` ends it")
        await self._sessions.end(call.token.session, self._now_ms())


def _view(call: Call, session: BrowserSession | None, text: str = "") -> SessionView:
    token = call.token
    if session is None:
        return SessionView(token.name, token.role, token.tenant)
    return SessionView(
        token.name, token.role, token.tenant, text, session.started_ms, session.expires_ms, session.ends_ms
    )
