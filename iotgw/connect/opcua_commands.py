"""Writes variables and calls methods of an OPC UA server, in the asyncio thread."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any

from asyncua import Client, ua
from asyncua.common.node import Node

from iotgw.connect.opcua_browse import OpcuaVariable, local, node_of, type_of
from iotgw.connect.opcua_plan import Done
from iotgw.connect.opcua_reasons import in_words
from iotgw.connect.opcua_values import NoJson, from_json, is_same, to_json

AGAIN = ("BadTimeout", "BadNotConnected", "BadServerNotConnected", "BadConnection", "BadSession", "BadTooMany", "BadResource",
         "BadOutOfMemory", "BadShutdown", "BadServerHalted", "BadDeviceFailure", "BadOutOfService", "BadCommunication")  # fmt: skip
"""Beginnings of statuses of which another attempt may be luckier."""


class OpcuaCommands:
    """Commands to the objects of a server. ``variables`` are those that are read; ``timeout`` in seconds is for a command as a
    whole."""

    def __init__(self, client: Client, variables: Collection[OpcuaVariable], timeout: float) -> None:
        self._client = client
        self._variables = variables
        self._timeout = timeout

    async def write(self, device_id: str, values: dict[str, Any]) -> Done:
        """See `OpcuaClient.write`."""
        read: dict[str, Any] = {}
        try:
            async with asyncio.timeout(self._timeout):
                for name, value in values.items():
                    node, type_ = await self._target(device_id, name)
                    made = from_json(value, type_)
                    await node.write_value(ua.DataValue(ua.Variant(made, type_)))
                    said = await node.read_value()
                    read[name] = to_json(said)
                    if not is_same(made, said):
                        return Done(
                            "refused", f"{name}: the server took it, and reads {read[name]!r}"[:500], read
                        )
        except Exception as error:
            return _failed(error, read)
        return Done("delivered", "", read)

    async def call(self, device_id: str, method: str, arguments: list[Any]) -> Done:
        """See `OpcuaClient.call`."""
        try:
            async with asyncio.timeout(self._timeout):
                client = self._client
                owner = client.get_node(device_id)
                node = await self._method(client, owner, method)
                types = await _arguments(node)
                if len(types) != len(arguments):
                    raise ValueError(f"expected {len(types)} arguments for {method}, got {len(arguments)}")
                made = [
                    ua.Variant(from_json(value, type_), type_)
                    for value, type_ in zip(arguments, types, strict=True)
                ]
                said = await owner.call_method(node.nodeid, *made)
                return Done("delivered", "", {"result": to_json(said)})
        except NoJson as error:
            return Done("delivered", "", {"result": None, "left out": str(error)})
        except Exception as error:
            return _failed(error, {})

    async def _target(self, device_id: str, name: str) -> tuple[Node, ua.VariantType]:
        """A variable of an object by its name, or any by its node id; and its type."""
        for variable in self._variables:
            if name == variable.text or (variable.device_id == device_id and variable.name == name):
                if variable.type is None:
                    raise ValueError(f"{name}: the type of the variable is not known")
                return variable.node, variable.type
        if "=" not in name:
            raise ValueError(f"expected a variable of the device, got {name!r}"[:200])
        node = await node_of(self._client, name)
        type_ = await type_of(node)
        if type_ is None:
            raise ValueError(f"{name}: the type of the variable is not known")
        return node, type_

    async def _method(self, client: Client, owner: Node, name: str) -> Node:
        if "=" in name:
            return await node_of(client, name)
        for reference in await owner.get_children_descriptions(nodeclassmask=ua.NodeClass.Method):
            if reference.BrowseName.Name == name:
                return client.get_node(local(reference.NodeId))
        raise ValueError(f"expected a method of the device, got {name!r}"[:200])


async def _arguments(method: Node) -> list[ua.VariantType]:
    """The types of a method's arguments (OPC 10000-3 §8.6)."""
    for reference in await method.get_children_descriptions(refs=ua.ObjectIds.HasProperty):
        if reference.BrowseName.Name == "InputArguments":
            node = Node(method.session, local(reference.NodeId))
            return [ua.VariantType(each.DataType.Identifier) for each in await node.read_value() or []]
    return []


def _failed(error: Exception, read: dict[str, Any]) -> Done:
    said = in_words(error)
    is_over = isinstance(error, OSError | TimeoutError) or said.startswith(AGAIN)
    return Done("lost" if is_over else "refused", said, read or None)
