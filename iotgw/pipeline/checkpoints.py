"""Datasources' places in streams, kept beside what users saved, so that a backup has both."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.ports.checkpoints import ICheckpoints
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import Resource

KIND = "checkpoints"


@implementer(ICheckpoints)
class RegistryCheckpoints:
    """An `ICheckpoints` as a resource of a registry, named by its datasource's id."""

    def __init__(self, registry: IRegistry, tenant: str, datasource: str) -> None:
        self._registry = registry
        self._tenant = tenant
        self._datasource = datasource

    def read(self, stream: str) -> dict[str, str]:
        """See `ICheckpoints.read`."""
        found = self._found()
        if found is None or found.body.get("stream") != stream:
            return {}
        return dict(found.body["positions"])

    def write(self, stream: str, positions: Mapping[str, str]) -> Deferred[None]:
        """See `ICheckpoints.write`."""
        body = {"stream": stream, "positions": dict(positions)}
        found = self._found()
        written: Deferred[Resource]
        if found is None:
            written = self._registry.create(KIND, self._tenant, self._datasource, body)
        else:
            written = self._registry.replace(KIND, found.id, body)
        return written.addCallback(lambda _: None)

    def forget(self) -> Deferred[None]:
        """See `ICheckpoints.forget`."""
        found = self._found()
        return succeed(None) if found is None else self._registry.delete(KIND, found.id)

    def _found(self) -> Resource | None:
        try:
            return self._registry.get(KIND, self._datasource, self._tenant)
        except NotFound:
            return None
