"""`/tokens`: who may use the API. A token's text is shown once, when it is made."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from iotgw.api.auth import ALL_TENANTS, KIND, Permission, Role, mint
from iotgw.api.catalogue import PAGE, Page, not_empty, note, page
from iotgw.api.problems import Problem
from iotgw.api.routes import Call, Milliseconds, Reply, Route
from iotgw.core.errors import Conflict
from iotgw.core.ports.registry import IRegistry
from iotgw.core.recorder import Recorder
from iotgw.core.specs import Resource


class NewToken(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A token to make. ``expires_at`` is milliseconds since 1970, 0 for never."""

    name: str
    role: Role
    tenant: Annotated[str, Meta(description="'*' for all; the caller's own where it is empty")] = ""
    expires_at: Milliseconds = 0


class TokenView(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A token as it is shown; ``token`` only in the answer that made it."""

    id: str
    name: str
    role: str
    tenant: str
    created_at: int
    expires_at: int = 0
    token: str = ""


class TokenRoutes:
    """The routes of tokens."""

    def __init__(self, registry: IRegistry, recorder: Recorder) -> None:
        self._registry = registry
        self._recorder = recorder

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
        tenant = wanted.tenant or call.token.tenant
        if call.token.tenant not in (ALL_TENANTS, tenant):
            raise Problem(403, "a token of one tenant can only make tokens of that tenant")
        text, body = mint(wanted.role, tenant, wanted.expires_at)
        resource = await self._registry.create(KIND, call.tenant, wanted.name, body)
        note(self._recorder, resource, "created", call.token.name)
        return Reply(_view(resource, text), 201)

    async def delete(self, call: Call, name: str) -> None:
        """One less; the last that may make others stays."""
        resource = self._registry.get(KIND, name, call.tenant)
        admins = [token for token in self._registry.list(KIND) if token.body["role"] == "admin"]
        if [token.id for token in admins] == [resource.id]:
            raise Conflict("this is the last admin token; make another one first")
        await self._registry.delete(KIND, resource.id)
        note(self._recorder, resource, "deleted", call.token.name)


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
