"""The names of datasources that were deleted: messages of theirs may still wait for an integration whose route names them."""

from __future__ import annotations

from contextlib import suppress

from iotgw.core.errors import Conflict, NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource

KIND = "departed"
"""Kind of the resources that say what a deleted datasource was called. Such a resource has the datasource's id as its name."""
MOST = 1000
"""Names of one tenant that are kept; the oldest go first."""


async def keep_name(registry: IRegistry, datasource: Resource) -> None:
    """Keep the name of a datasource that is about to be removed. Fires when that is durable. Doing it again changes nothing."""
    with suppress(Conflict):
        await registry.create(KIND, datasource.tenant, datasource.id, {"name": datasource.name})
    kept = registry.list(KIND, datasource.tenant)
    for oldest in sorted(kept, key=lambda each: each.created_ms)[: max(0, len(kept) - MOST)]:
        with suppress(NotFound, Conflict):
            await registry.delete(KIND, oldest.id)


def datasource_name(registry: IRegistry, id: str) -> str:
    """The name of a datasource, also of one that was deleted; its id where nobody knows it."""
    name = registry.name_of("datasource", id)
    if name != id:
        return name
    try:
        kept: str = registry.get(KIND, id).body["name"]
    except NotFound:
        return id
    return kept
