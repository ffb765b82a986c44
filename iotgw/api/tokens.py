"""`/tokens`: who may use the API. A token's text is shown once, when it is made.

A token belongs to the tenant that it serves, whoever made it: an admin sees and deletes those of his own tenant, and an
admin of all tenants everybody's.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, structs
from twisted.internet.defer import Deferred, DeferredLock

from iotgw.api.auth import ALL_TENANTS, KIND, Permission, Role, is_chief, mint
from iotgw.api.catalogue import PAGE, Page, not_empty, note, page
from iotgw.api.problems import Problem
from iotgw.api.routes import Call, Milliseconds, Reply, Route
from iotgw.core.errors import Conflict, NotFound, SettingsError
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.names import unfit
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource


class NewToken(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A token to make. ``expires_at`` is milliseconds since 1970, 0 for never."""

    name: Annotated[str, Meta(description="What it is called; its text is made by the gateway.")]
    role: Annotated[Role, Meta(description="What it may do.")]
    tenant: Annotated[
        str,
        Meta(
            max_length=255,
            description="Whose it is: '*' for all tenants. Where it is empty, the caller's, or that of the query.",
        ),
    ] = ""
    expires_at: Annotated[
        Milliseconds, Meta(description="Milliseconds since 1970 at which it ends; 0 for never.")
    ] = 0


class TokenView(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A token as it is shown."""

    id: Annotated[str, Meta(description="Its id.")]
    name: Annotated[str, Meta(description="What it is for.")]
    role: Annotated[str, Meta(description="What it may do.")]
    tenant: Annotated[str, Meta(description="The tenant to which it belongs; `*` is all.")]
    created_at: Annotated[int, Meta(description="When it was made: milliseconds since 1970.")]
    expires_at: Annotated[
        int, Meta(description="Until when it is good: milliseconds since 1970; 0 is for ever.")
    ] = 0
    token: Annotated[str, Meta(description="The text of the token; only in the answer that made it.")] = ""


class TokenRoutes:
    """The routes of tokens."""

    def __init__(self, registry: IRegistry, recorder: Recorder, dates: IDates) -> None:
        self._registry = registry
        self._recorder = recorder
        self._dates = dates
        self._deletions = DeferredLock()
        """Two at once could each take the other one for the last that stays."""

    def routes(self) -> list[Route]:
        """List, make, delete."""
        admin = Permission.ADMIN
        return [
            Route(
                "GET", "/tokens", admin, self.list, "List tokens", answer=Page, query=PAGE, of_tenant=False
            ),
            Route("POST", "/tokens", admin, self.create, "Make a token", NewToken, TokenView, status=201),
            Route("DELETE", "/tokens/<name>", admin, self.delete, "Delete a token", status=204),
        ]

    async def list(self, call: Call) -> Page:
        """The tokens that the caller may see."""
        return page([token for token in self._registry.list(KIND) if _visible(call, token)], call, _view)

    async def create(self, call: Call) -> Reply:
        """A new one."""
        wanted = call.body()
        not_empty(wanted.name)
        tenant = _owner(call, wanted)
        text, body = mint(wanted.role, tenant, wanted.expires_at)
        resource = await self._registry.create(KIND, tenant, wanted.name, body)
        self._note(resource, "created", call)
        return Reply(_view(resource, text), 201)

    async def delete(self, call: Call, name: str) -> None:
        """One less; the last that may make others for all tenants stays."""

        def last() -> Deferred[None]:
            return Deferred.fromCoroutine(self._delete(call, name))

        await self._deletions.run(last)

    async def _delete(self, call: Call, name: str) -> None:
        resource = self._find(call, name)
        now_ms = int(self._dates.seconds() * 1000)
        chiefs = [token.id for token in self._registry.list(KIND) if is_chief(token, now_ms)]
        if chiefs == [resource.id]:
            raise Conflict(
                "this is the last admin token of all tenants, without which nobody could make another; "
                'make one first: {"role": "admin", "tenant": "*"}'
            )
        await self._registry.delete(KIND, resource.id)
        self._note(resource, "deleted", call)

    def _find(self, call: Call, name: str) -> Resource:
        """A token by its id or name, of those that the caller may see."""
        tenant = call.query("tenant")
        seen = [
            token
            for token in self._registry.list(KIND)
            if _visible(call, token) and tenant in (None, token.body["tenant"])
        ]
        found = [token for token in seen if token.id == name] or [
            token for token in seen if token.name == name
        ]
        if not found:
            raise NotFound(f"there is no {KIND} {name!r}")
        if len(found) > 1:
            tenants = ", ".join(repr(token.body["tenant"]) for token in found)
            raise Conflict(f"several tokens are called {name!r}, of the tenants {tenants}; say its id")
        return found[0]

    def _note(self, token: Resource, what: str, call: Call) -> None:
        """Record it where the token's tenant looks; for tokens of all tenants, where events of the gateway are."""
        tenant = token.body["tenant"]
        token = structs.replace(token, tenant=DEFAULT_TENANT if tenant == ALL_TENANTS else tenant)
        note(self._recorder, token, what, call.token.name)


def _owner(call: Call, wanted: NewToken) -> str:
    """Whose a new token is; raises Problem 403 or SettingsError."""
    asked = call.query("tenant")
    tenant = wanted.tenant or asked or call.token.tenant
    if call.token.tenant not in (ALL_TENANTS, tenant):
        raise Problem(403, "a token of one tenant can only make tokens of that tenant")
    if asked is not None and asked != tenant:
        raise SettingsError("tenant", f"expected the query's tenant, {asked!r}, got {tenant!r}")
    if unfit(tenant):
        raise SettingsError("tenant", f"expected printable characters, got {tenant!r}")
    return tenant


def _visible(call: Call, token: Resource) -> bool:
    return call.token.tenant in (ALL_TENANTS, token.body["tenant"])


def _view(resource: Resource, text: str = "") -> TokenView:
    body: dict[str, Any] = resource.body
    return TokenView(
        resource.id,
        resource.name,
        body["role"],
        body["tenant"],
        resource.created_ms,
        body.get("expiresAt", 0),
        text,
    )
