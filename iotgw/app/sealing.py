"""Encrypts what older versions stored as plain text: a setting that has become a secret since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.logger import Logger

from iotgw.core.errors import SettingsError
from iotgw.core.secrets import resealed
from iotgw.core.types import Types
from iotgw.store.registry import StoredRegistry

_log = Logger()


async def seal_what_is_plain(registry: StoredRegistry, types: Mapping[str, Types[Any]]) -> None:
    """Seal each secret that is stored as plain text. ``types`` are those of each kind of resource."""
    sealed = 0
    for kind, of_kind in types.items():
        for resource in registry.list(kind):
            try:
                settings = of_kind.get(resource.body["type"]).settings
            except SettingsError:  # its package isn't installed
                continue
            before = resource.body.get("configuration", {})
            after = resealed(before, settings, registry)
            if after != before:
                await registry.rewrite(kind, resource.id, {**resource.body, "configuration": after})
                sealed += 1
    if sealed:
        await registry.settle()
        _log.info(
            "secrets of {count} resources were stored as plain text, and are encrypted now", count=sealed
        )
