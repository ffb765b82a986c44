"""Who may do what: bearer tokens with roles.

A token's text is ``iotgw_{key}_{secret}``: the key finds the entry, the secret is 256 random bits and only
its SHA-256 is stored. A plain hash is enough for a random secret; a slow one is for passwords.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import os
import secrets
from collections import OrderedDict
from itertools import count
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from iotgw.api.browser_sessions import PREFIX, BrowserSession, BrowserSessions
from iotgw.api.problems import Problem
from iotgw.core import private
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource

KIND = "token"
ALL_TENANTS = "*"
Role = Literal["admin", "editor", "viewer", "network-server", "downlink"]


class Permission(enum.Enum):
    """What a route asks for."""

    NONE = "no token"
    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    DOWNLINK = "downlink"
    UPLINK = "uplink"


GRANTS: dict[str, frozenset[Permission]] = {
    "admin": frozenset(Permission),
    "editor": frozenset({Permission.READ, Permission.WRITE, Permission.DOWNLINK, Permission.UPLINK}),
    "viewer": frozenset({Permission.READ}),
    "network-server": frozenset({Permission.UPLINK}),
    "downlink": frozenset({Permission.DOWNLINK}),
}


class Token(Struct, frozen=True):
    """A token that was recognised. ``tenant`` is `ALL_TENANTS` for one that serves them all."""

    id: str
    name: str
    role: str
    tenant: str
    session: BrowserSession | None = None
    """The session that it was changed for, if that was sent."""

    def may(self, permission: Permission) -> bool:
        """Whether its role grants this."""
        return permission in GRANTS[self.role]


def mint(role: Role, tenant: str, expires_ms: int = 0) -> tuple[str, dict[str, Any]]:
    """A new token's text, and the body to store for it."""
    key, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    body = {"role": role, "tenant": tenant, "key": key, "hash": _digest(secret), "expiresAt": expires_ms}
    return f"iotgw_{key}_{secret}", body


class Tokens:
    """The tokens of a registry, by key, and the sessions that they were changed for; follows the registry's changes."""

    def __init__(self, registry: IRegistry, sessions: BrowserSessions | None = None) -> None:
        self._sessions = sessions or BrowserSessions(registry)
        self._by_key: dict[str, Resource] = {}
        for resource in registry.list(KIND):
            self._by_key[resource.body["key"]] = resource
        registry.watch(KIND, self._changed)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if old is not None:
            self._by_key.pop(old.body["key"], None)
        if new is not None:
            self._by_key[new.body["key"]] = new

    def recognise(self, text: str, now_ms: int) -> Token | None:
        """The token of that text, or None; takes as long for a wrong secret as for the right one."""
        if text.startswith(PREFIX):
            recognised = self._sessions.recognise(text, now_ms)
            if recognised is None:
                return None
            session, found = recognised
            return Token(found.id, found.name, found.body["role"], found.body["tenant"], session)
        prefix, _, rest = text.partition("_")
        key, _, secret = rest.partition("_")
        known = self._by_key.get(key) if prefix == "iotgw" else None
        expected = known.body["hash"] if known else _digest("")
        matches = hmac.compare_digest(_digest(secret), expected)
        if known is None or not matches:
            return None
        if 0 < known.body.get("expiresAt", 0) <= now_ms:
            return None
        return Token(known.id, known.name, known.body["role"], known.body["tenant"])


class FailedAttempts:
    """Counts failed authentications per address, in a bounded table.

    Only failures are refused beyond the limit: guessing 256 bits is hopeless anyway, and a stranger behind
    the same address must not lock out those who have a token. ``now`` is in seconds.
    """

    def __init__(self, limit: int = 10, window: float = 60.0, addresses: int = 1024) -> None:
        self._limit = limit
        self._window = window
        self._addresses = addresses
        self._table: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def note(self, address: str, now: float) -> float:
        """Count one failure; returns the seconds to wait when there were too many, else 0."""
        since, count = self._table.pop(address, (now, 0))
        if now - since >= self._window:
            since, count = now, 0
        count = min(count + 1, self._limit + 1)
        self._table[address] = (since, count)
        if len(self._table) > self._addresses:
            self._table.popitem(last=False)
        return since + self._window - now if count > self._limit else 0.0


class Guard:
    """Decides about a request by its ``Authorization`` header."""

    def __init__(self, tokens: Tokens, attempts: FailedAttempts | None = None) -> None:
        self._tokens = tokens
        self._attempts = attempts or FailedAttempts()

    def admit(
        self,
        authorization: str | None,
        address: str,
        needs: Permission,
        now: float,
        date_ms: int | None = None,
    ) -> Token:
        """The token that a request brings; raises Problem 401, 403 or 429. ``now`` is in seconds,
        ``date_ms`` the date, without which ``now`` is one."""
        scheme, _, text = (authorization or "").partition(" ")
        if not authorization:
            raise Problem(401, "expected a header 'Authorization: Bearer …'", _CHALLENGE)
        token = (
            self._tokens.recognise(text.strip(), int(now * 1000) if date_ms is None else date_ms)
            if scheme.lower() == "bearer"
            else None
        )
        if token is None:
            wait = self._attempts.note(address, now)
            if wait:
                raise Problem(
                    429, "too many failed attempts from your address", {"Retry-After": str(int(wait) + 1)}
                )
            raise Problem(401, "the token is not known, or has expired", _CHALLENGE)
        if not token.may(needs):
            raise Problem(
                403, f"this needs the permission {needs.value!r}; the token's role is {token.role!r}"
            )
        return token


_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="iotgw"'}


def is_chief(token: Resource, now_ms: int) -> bool:
    """Whether a stored token is an admin's of all tenants, and has not expired."""
    body = token.body
    if (body["role"], body["tenant"]) != ("admin", ALL_TENANTS):
        return False
    return not 0 < body.get("expiresAt", 0) <= now_ms


async def ensure_admin_token(registry: IRegistry, path: str, now_ms: int, is_asked: bool = False) -> bool:
    """Write a new admin token of all tenants to a file (mode 0600) when the registry has none that is good at ``now_ms``,
    or when one ``is_asked`` for; says whether it did."""
    # The file first: a token that is stored but was never written down would lock everybody out.
    temporary = f"{path}.new"
    stored = registry.list(KIND)
    if not is_asked and any(is_chief(token, now_ms) for token in stored):
        if os.path.exists(temporary):  # the last start ended between the two steps below
            os.replace(temporary, path)
        return False
    text, body = mint("admin", ALL_TENANTS)
    private.write_file(Path(temporary), f"{text}\n".encode())
    await registry.create(KIND, ALL_TENANTS, _free_name({token.name for token in stored}), body)
    os.replace(temporary, path)
    return True


def _free_name(taken: set[str]) -> str:
    return next(
        name for number in count(1) if (name := f"admin-{number}" if number > 1 else "admin") not in taken
    )


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
