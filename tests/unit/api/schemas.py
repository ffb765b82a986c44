"""The schemas of the API's description, as tests look at them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from twisted.internet.task import Clock

from iotgw.api.auth import Permission
from iotgw.api.openapi import OpenApiRoutes
from iotgw.api.routes import Route
from iotgw.app import parts
from iotgw.connect.endpoint import Connector
from iotgw.core.types import Types

_REFERENCE = re.compile(r'"#/components/schemas/(\w+)"')


def of_types(saved: Iterable[type]) -> Any:
    """The schemas, by name, of what is saved, with the settings of all types that the gateway has."""
    clock: Any = Clock()
    connector = Connector(clock)
    datasources: Any = Types("none", clock, parts.DATASOURCES, connector)
    integrations: Any = Types("none", clock, parts.INTEGRATIONS, connector)
    saving = [Route("POST", f"/{each.__name__}", Permission.WRITE, _nothing, "", body=each) for each in saved]
    return plain(OpenApiRoutes(datasources, integrations, saving).document())["components"]["schemas"]


async def _nothing(call: Any) -> None: ...


def plain(document: Any) -> Any:
    """A description as who asks for it gets it."""
    return msgspec.json.decode(msgspec.json.encode(document))


def named_in(schema: Any) -> list[str]:
    """The names of the schemas to which one refers."""
    return _REFERENCE.findall(msgspec.json.encode(schema).decode())


def reached(schemas: Any, start: Any) -> dict[str, Any]:
    """The schemas to which a part of a description leads, by name."""
    found: dict[str, Any] = {}
    waiting = named_in(start)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting += named_in(schemas[name])
    return found


def reference(name: str) -> dict[str, str]:
    """A schema that refers to one."""
    return {"$ref": f"#/components/schemas/{name}"}


def properties(schemas: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Each property as ``Schema.name``, with what is said of it."""
    for name, schema in sorted(schemas.items()):
        for key, value in schema.get("properties", {}).items():
            yield f"{name}.{key}", value
