"""A datasource opens, changes and closes while the gateway runs; others never notice."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core.errors import IotgwError
from iotgw.core.ports.credentials import ICredentials
from iotgw.core.ports.datasources import DatasourceContext
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import DatasourceSpec, Resource
from iotgw.core.types import Types
from iotgw.pipeline.intake import Intake


class RunningDatasource:
    """One datasource of the registry with its intake. Changes of it happen one after another.

    ``datasource`` is the open `iotgw.core.ports.datasources.IDatasource`, or None; ``error`` says why it isn't open.
    """

    _log = Logger()

    def __init__(
        self,
        intake: Intake,
        types: Types,
        reactor: Any,
        registry: IRegistry,
        credentials: ICredentials,
        data_dir: str,
    ) -> None:
        self.intake = intake
        self.datasource: Any = None
        self.error = ""
        self.lock = DeferredLock()
        self._types = types
        self._reactor = reactor
        self._registry = registry
        self._credentials = credentials
        self._data_dir = data_dir

    async def apply(self, resource: Resource, spec: DatasourceSpec, enabled: bool) -> None:
        """Close what is open, and open it as the spec says; a failure is kept as `error`."""
        await self.lock.acquire()
        try:
            if enabled and self.datasource is not None and _listener(spec) == _listener(self.intake.spec):
                self.intake.configure(spec)  # another converter is no reason to cut connections
                return
            await self._close()
            self.intake.configure(spec)
            self.intake.guard = None
            self.error = ""
            if enabled:
                await self._open(resource, spec)
            self.intake.conversions.start()  # not before the datasource has set its guard
        finally:
            self.lock.release()

    async def close(self) -> None:
        """Close it; nothing more comes in."""
        await self.lock.acquire()
        try:
            await self._close()
        finally:
            self.lock.release()

    def status(self) -> dict[str, Any]:
        """How it does: state, address, counts."""
        status: dict[str, Any] = {"state": "stopped"}
        if self.error:
            status = {"state": "failed", "error": self.error}
        elif self.datasource is not None:
            status = self.datasource.status()
        return {**status, "counts": dict(self.intake.counts), "pending": self.intake.conversions.pending}

    async def _open(self, resource: Resource, spec: DatasourceSpec) -> None:
        context = DatasourceContext(
            resource.id, spec.name, resource.tenant, spec.routing_key, spec.metadata, self.intake,
            self._reactor, self._credentials, self._data_dir,
        )  # fmt: skip
        try:
            settings = self._types.configure(spec.type, spec.configuration, self._registry.unseal)
            datasource = self._types.get(spec.type).build(settings, context)
            await datasource.start()
        except Exception as error:
            expected = isinstance(error, IotgwError | OSError)
            if not expected and not type(error).__module__.startswith("twisted.internet"):
                self._log.failure("datasource {name} could not be opened", Failure(), name=spec.name)
            self.error = str(error)
            self.intake.event("failed", f"cannot open: {error}", "error")
            return
        self.datasource = datasource
        address = datasource.status().get("address", "")
        self.intake.event("started", f"{spec.type} is open: {address}")

    async def _close(self) -> None:
        datasource, self.datasource = self.datasource, None
        if datasource is not None:
            await datasource.stop()
            self.intake.event("stopped", f"{self.intake.spec.type} is closed")


def _listener(spec: DatasourceSpec) -> tuple[Any, ...]:
    """What a running datasource was made of; the rest is read when it is needed."""
    return (spec.type, spec.name, spec.routing_key, spec.metadata, spec.configuration)
