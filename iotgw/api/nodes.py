"""`/nodes`: the processes that work on one database."""

from __future__ import annotations

import builtins
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import replace

from iotgw.api.auth import ALL_TENANTS, Permission
from iotgw.api.problems import Problem
from iotgw.api.routes import Call, Route
from iotgw.core.errors import NotFound
from iotgw.core.ports.nodes import INodes, NodeView, lease_of
from iotgw.core.ports.registry import IRegistry


class NodeList(Struct, frozen=True):
    """The nodes that share the work."""

    node: Annotated[str, Meta(description="The name of the node that answers.")]
    items: Annotated[list[NodeView], Meta(description="The nodes, by name.")]


class NodeRoutes:
    """The routes of nodes. They concern all tenants."""

    def __init__(self, nodes: INodes, registry: IRegistry) -> None:
        self._nodes = nodes
        self._registry = registry

    def routes(self) -> list[Route]:
        """Look; drain, and end that."""
        admin = Permission.ADMIN
        one = "/nodes/<name>"
        return [
            Route("GET", "/nodes", admin, self.list, "The nodes of the gateway, and how each does", answer=NodeList, of_tenant=False),
            Route("GET", one, admin, self.get, "One of them", answer=NodeView, of_tenant=False),
            Route("POST", f"{one}/drain", admin, self.drain, "Have a node take no more messages", answer=NodeView, of_tenant=False),
            Route("POST", f"{one}/resume", admin, self.resume, "Have a node take messages again", answer=NodeView, of_tenant=False),
        ]  # fmt: skip

    async def list(self, call: Call) -> NodeList:
        """All of them."""
        _expect_all_tenants(call)
        return NodeList(self._nodes.name, self._views())

    def _views(self) -> builtins.list[NodeView]:
        of = {lease_of(each.id): each.name for each in self._registry.list("integration")}
        return [
            replace(each, delivers=sorted(of[what] for what in each.leases if what in of))
            for each in self._nodes.list()
        ]

    async def get(self, call: Call, name: str) -> NodeView:
        """One."""
        _expect_all_tenants(call)
        found = next((each for each in self._views() if each.name == name), None)
        if found is None:
            raise NotFound(f"there is no node {name!r}")
        return found

    async def drain(self, call: Call, name: str) -> NodeView:
        """It takes no more messages, and what is there goes its way."""
        _expect_all_tenants(call)
        await self._nodes.drain(name, True)
        return await self.get(call, name)

    async def resume(self, call: Call, name: str) -> NodeView:
        """It takes messages again."""
        _expect_all_tenants(call)
        await self._nodes.drain(name, False)
        return await self.get(call, name)


def _expect_all_tenants(call: Call) -> None:
    if call.token.tenant != ALL_TENANTS:
        raise Problem(403, "this concerns all tenants: expected an admin token of all of them")
