"""Which datasources name which converter."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource


class ConverterUsers:
    """The datasources of each converter, looked up once between two changes: a list of converters doesn't go through all datasources for each."""

    def __init__(self, registry: IRegistry) -> None:
        self._registry = registry
        self._users: dict[tuple[str, str], dict[str, Resource]] | None = None
        """By tenant and what names a converter: datasources by id. None until somebody asks."""
        registry.watch("datasource", self._changed)

    def of(self, tenant: str, names: Collection[str]) -> list[Resource]:
        """The datasources that name a converter by one of these, by name."""
        users = self._users
        if users is None:
            users = self._users = {}
            for resource in self._registry.list("datasource"):
                for name in _named(resource):
                    users.setdefault((resource.tenant, name), {})[resource.id] = resource
        found = {id: each for name in names for id, each in users.get((tenant, name), {}).items()}
        return sorted(found.values(), key=lambda each: each.name)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        self._users = None


def _named(resource: Resource) -> Iterable[str]:
    """What a datasource calls its converters."""
    body = resource.body
    names = (body.get("converter"), body.get("downlinkConverter"), *body.get("converters", {}).values())
    return {name for name in names if name}
