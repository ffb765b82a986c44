"""Finds the variables of an OPC UA server that settings name, in the asyncio thread."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from asyncua import Client, ua
from asyncua.common.node import Node

from iotgw.connect.opcua_plan import OpcuaPlan

SERVER = ua.NodeId(ua.ObjectIds.Server)
PROPERTY = ua.NodeId(ua.ObjectIds.HasProperty)
Mark = tuple[datetime | None, int, str]
"""What tells a value from others: the source's time, the status, and how it is written."""


class OpcuaVariable:
    """A variable, the object that has it, and what came of it last."""

    __slots__ = ("again", "device", "device_id", "mark", "name", "node", "text", "type")

    def __init__(self, node: Node, name: str, device: str, device_id: str) -> None:
        self.node = node
        self.text = node.nodeid.to_string()
        self.name = name
        self.device = device
        self.device_id = device_id
        self.type: ua.VariantType | None = None
        self.mark: Mark | None = None
        """Of the value that came last."""
        self.again: Mark | None = None
        """Of one that may come once more: a subscription begins with the latest value, and one that was read may be reported."""


async def find(client: Client, plan: OpcuaPlan, trouble: Callable[[str], None]) -> list[OpcuaVariable]:
    """The variables that a plan names, and those below objects that it names. ``trouble(reason)`` is called when there are
    more than it allows."""
    found: dict[ua.NodeId, OpcuaVariable] = {}
    for text in plan.nodes:
        node = await node_of(client, text)
        name = (await node.read_browse_name()).Name
        parent = await node.get_parent()
        if parent is None:
            found[node.nodeid] = OpcuaVariable(node, name, "server", SERVER.to_string())
        else:
            device = (await parent.read_browse_name()).Name
            found[node.nodeid] = OpcuaVariable(node, name, device, parent.nodeid.to_string())
    seen: set[ua.NodeId] = set()
    for text in plan.browse:
        start = await node_of(client, text)
        name = (await start.read_browse_name()).Name
        await _below(client, start, name, plan.depth, plan.most, seen, found)
    if len(found) > plan.most:
        trouble(f"there are more variables than mostVariables: the first {plan.most} are read")
    return list(found.values())[: plan.most]


async def _below(
    client: Client,
    at: Node,
    name: str,
    depth: int,
    most: int,
    seen: set[Any],
    found: dict[Any, OpcuaVariable],
) -> None:
    """The variables of an object and of those below it; a server's tree may have circles."""
    if at.nodeid in seen or at.nodeid == SERVER or len(found) > most:
        return
    seen.add(at.nodeid)
    for reference in await at.get_children_descriptions(
        nodeclassmask=ua.NodeClass.Object | ua.NodeClass.Variable
    ):
        if reference.ReferenceTypeId == PROPERTY or getattr(reference.NodeId, "ServerIndex", 0):
            continue
        node = client.get_node(local(reference.NodeId))
        below = reference.BrowseName.Name
        if reference.NodeClass == ua.NodeClass.Variable:
            found.setdefault(node.nodeid, OpcuaVariable(node, below, name, at.nodeid.to_string()))
        elif depth > 1:
            await _below(client, node, below, depth - 1, most, seen, found)


async def node_of(client: Client, text: str) -> Node:
    """A node by its id, in which ``nsu=`` may name the namespace by its URI. Raises ValueError."""
    if text.startswith("nsu="):
        space, _, rest = text[4:].partition(";")
        text = f"ns={await client.get_namespace_index(space)};{rest}"
    return client.get_node(text)


def local(id_: ua.NodeId) -> ua.NodeId:
    """A node id as references have it, without the server's index."""
    return ua.NodeId(id_.Identifier, id_.NamespaceIndex)


async def type_of(node: Node) -> ua.VariantType | None:
    """The type of a variable's values; None for one of the server's own."""
    try:
        return await node.read_data_type_as_variant_type()
    except (ua.UaError, TypeError, ValueError):
        return None
