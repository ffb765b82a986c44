"""Stored messages of the datasources that a converter serves: what its script is for."""

from __future__ import annotations

from collections.abc import Sequence

from iotgw.core.model import Uplink
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry

OF_EACH = 3
"""The latest messages of a datasource that are looked at."""
MOST = 10
"""Of all datasources."""


class StoredSamples:
    """Finds them."""

    def __init__(self, registry: IRegistry, messages: IMessages) -> None:
        self._registry = registry
        self._messages = messages

    async def of(self, tenant: str, *names: str) -> Sequence[Uplink]:
        """The latest messages of the datasources whose converter has one of these names, or ids. Fails with Unavailable where the
        journal can't be read."""
        found: list[Uplink] = []
        for datasource in self._registry.list("datasource", tenant):
            if datasource.body.get("converter") in names:
                latest = await self._messages.messages(tenant, 0, OF_EACH, datasource=datasource.id)
                found += [each.uplink for each in latest]
            if len(found) >= MOST:
                break
        return found[:MOST]
