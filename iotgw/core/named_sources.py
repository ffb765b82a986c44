"""Who names a datasource by its name, and what becomes of that when the name changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from iotgw.core.specs import Resource

NAMED = "datasource"
"""The kind that is named."""
NAMING = "integration"
"""The kind whose routes name it."""


def renamed(names: Sequence[str], old: str, new: str, is_kept: bool = False) -> list[str]:
    """A route's datasources when ``old`` is called ``new``. With ``is_kept`` the old name stays beside the new one."""
    found: list[str] = []
    for name in names:
        found += ([old, new] if is_kept else [new]) if name == old else [name]
    return list(dict.fromkeys(found))


def following(
    old: Resource, name: str, naming: Iterable[Resource], is_kept: bool = False
) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """The resources of ``naming`` that name the datasource ``old`` by its name, each with the body that it has when ``old`` is called ``name``."""
    for each in naming:
        route = each.body.get("route") or {}
        names = route.get("datasources") or []
        if each.tenant == old.tenant and old.name in names:
            followed = renamed(names, old.name, name, is_kept)
            yield each, {**each.body, "route": {**route, "datasources": followed}}
