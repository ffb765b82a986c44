"""Keeps the running integrations as they are saved in the registry."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec
from twisted.internet.defer import ensureDeferred
from twisted.logger import Logger

from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import IntegrationSpec, Resource
from iotgw.delivery.service import DeliveryService


class RegisteredIntegrations:
    """Passes each integration and each change on to the delivery service."""

    _log = Logger()

    def __init__(self, registry: IRegistry, delivery: DeliveryService) -> None:
        self._registry = registry
        self._delivery = delivery

    async def start(self) -> None:
        """Start the saved integrations and follow changes; the registry and the delivery service have
        started."""
        self._registry.watch("integration", self._changed)
        for resource in self._registry.list("integration"):
            await self._apply(resource)

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        if new is not None:
            self._follow(self._apply(new))
        elif old is not None:
            self._follow(self._remove(old))

    def _follow(self, change: Coroutine[Any, Any, None]) -> None:
        ensureDeferred(change).addErrback(
            lambda failure: self._log.failure("a change of an integration could not be applied", failure)
        )

    async def _apply(self, resource: Resource) -> None:
        spec = msgspec.convert(dict(resource.body, name=resource.name), IntegrationSpec)
        await self._delivery.apply(resource.id, resource.name, resource.tenant, spec)

    async def _remove(self, resource: Resource) -> None:
        await self._delivery.remove(resource.id)
