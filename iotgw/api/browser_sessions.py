"""Sessions of people's browsers: a token is changed for one, so that it isn't kept in the browser.

A session's text is sealed under the gateway's key and says all that there is to know, so that nothing is kept in memory: it holds over restarts,
and wherever the same registry is. Only sessions that were ended by hand are written down, until they would have ended by themselves.

The text names its token and the hash of the token's secret. Nobody is shown a hash, so nobody can have such a text sealed by saving it as
a secret of something else.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import Counter

import msgspec
from msgspec import Struct

from iotgw.api.problems import Problem
from iotgw.core.errors import IotgwError, NotFound
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource

PREFIX = "iotgws_"
ENDED = "ended-session"
"""Kind of the marks in the registry of sessions that were ended by hand."""
IDLE_MS = 30 * 60_000
"""How long a text is good."""
LONGEST_MS = 12 * 3_600_000
"""How long a session lasts, however often its text is renewed."""
MOST_ENDED = 1000
"""Sessions of one token that may be ended by hand in `LONGEST_MS`."""
_LONGEST_TEXT = 2048


class BrowserSession(Struct, frozen=True, array_like=True):
    """What a session's text says. Times are milliseconds since 1970."""

    id: str
    token: str
    proof: str
    """The hash of the token's secret."""
    started_ms: int
    expires_ms: int

    @property
    def ends_ms(self) -> int:
        """When it ends, however often it is renewed."""
        return self.started_ms + LONGEST_MS


_decode = msgspec.json.Decoder(BrowserSession).decode


class BrowserSessions:
    """Makes, renews, recognises and ends sessions; follows the registry's changes."""

    def __init__(self, registry: IRegistry) -> None:
        self._registry = registry
        self._ended: dict[str, Resource] = {each.name: each for each in registry.list(ENDED)}
        registry.watch(ENDED, self._changed)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if old is not None:
            self._ended.pop(old.name, None)
        if new is not None:
            self._ended[new.name] = new

    def begin(self, token: Resource, now_ms: int) -> tuple[str, BrowserSession]:
        """A new session of a stored token: its text, and what it says."""
        return self._sealed(
            BrowserSession(secrets.token_hex(8), token.id, token.body["hash"], now_ms, 0), token, now_ms
        )

    def renew(self, session: BrowserSession, token: Resource, now_ms: int) -> tuple[str, BrowserSession]:
        """The next text of a session that is good now."""
        return self._sealed(session, token, now_ms)

    def _sealed(self, session: BrowserSession, token: Resource, now_ms: int) -> tuple[str, BrowserSession]:
        ends = [now_ms + IDLE_MS, session.ends_ms]
        if token.body.get("expiresAt"):
            ends.append(token.body["expiresAt"])
        session = msgspec.structs.replace(session, expires_ms=min(ends))
        sealed = self._registry.seal(msgspec.json.encode(session).decode())
        return PREFIX + urlsafe_b64encode(sealed.encode()).decode().rstrip("="), session

    def recognise(self, text: str, now_ms: int) -> tuple[BrowserSession, Resource] | None:
        """The session of a text, and its token as it is stored now. None for a text that is no session's, or one whose session or token
        has ended."""
        packed = text.removeprefix(PREFIX)
        if len(packed) > _LONGEST_TEXT:
            return None
        try:
            sealed = urlsafe_b64decode(packed + "=" * (-len(packed) % 4)).decode()
            session = _decode(self._registry.unseal(sealed))
            token = self._registry.get("token", session.token)
        except (IotgwError, msgspec.MsgspecError, ValueError):
            return None
        is_of_token = token.id == session.token and secrets.compare_digest(token.body["hash"], session.proof)
        if not is_of_token or session.id in self._ended or now_ms >= session.expires_ms:
            return None
        return session, token

    async def end(self, session: BrowserSession, now_ms: int) -> None:
        """It is over at once. Raises Problem 429 where too many were ended."""
        for mark in [each for each in self._ended.values() if each.body["endsAt"] <= now_ms][:100]:
            await self._forget(mark)
        if Counter(each.body["token"] for each in self._ended.values())[session.token] >= MOST_ENDED:
            raise Problem(
                429, "too many sessions of this token were ended; this one ends by itself", {"Retry-After": "3600"}
            )  # fmt: skip
        if session.id not in self._ended:
            body = {"token": session.token, "endsAt": session.ends_ms}
            await self._registry.create(ENDED, DEFAULT_TENANT, session.id, body)

    async def _forget(self, mark: Resource) -> None:
        try:
            await self._registry.delete(ENDED, mark.id)
        except NotFound:  # somebody else was quicker
            return
