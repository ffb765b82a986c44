"""Deletes a tenant with all that it has. Each step may be done again, so that a kill costs nothing: the next start goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.errors import NotFound
from iotgw.core.ports.devices import DeviceFilter, IDevices, IFleet, IQuarantine, IReleases
from iotgw.core.ports.downlinks import IDownlinkQueue, IDownlinks
from iotgw.core.ports.jobs import IJobKind, IJobRun
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.speakers import IOwners
from iotgw.core.ports.stored_files import IStoredFiles
from iotgw.core.ports.tenants import IForgetsTenants
from iotgw.core.specs import TENANT, Deletion

KIND = "tenant"
WITH_BACKLOG = ("integration", "datasource")
"""Kinds that are marked, and go when their backlog is dropped; in the order in which they go."""
PLAIN = (
    "converter", "converterVersion", "converterState", "credential", "device-type", "device-group", "decision", "job",
    "departed",
)  # fmt: skip
"""Kinds that just go, after those that name them."""
LOOK = 0.5
"""Seconds between two looks whether what is marked is gone."""
PIECE = 100


@implementer(IJobKind)
class TenantJobs:
    """The kind ``tenant``. ``stores`` forget what they keep of it, in the end."""

    name = KIND
    at_a_time = 1
    is_of_partition = False

    def __init__(
        self,
        registry: IRegistry,
        journal: IMessages,
        fleet: IFleet,
        devices: IDevices,
        owners: IOwners,
        quarantine: IQuarantine,
        releases: IReleases,
        waiting: IDownlinks,
        downlinks: IDownlinkQueue,
        files: IStoredFiles,
        stores: Sequence[IForgetsTenants],
        clock: IReactorTime,
    ) -> None:
        self._registry = registry
        self._journal = journal
        self._fleet = fleet
        self._devices = devices
        self._owners = owners
        self._quarantine = quarantine
        self._releases = releases
        self._waited_for = waiting.waited_for
        self._downlinks = downlinks
        self._files = files
        self._stores = stores
        self._clock = clock

    def run(self, job: IJobRun) -> Deferred[None]:
        """See `IJobKind.run`. The cursor is the number of steps that are done."""
        return Deferred.fromCoroutine(self._run(job))

    def forget(self, id: str) -> None:
        """See `IJobKind.forget`: nothing is kept."""

    async def _run(self, job: IJobRun) -> None:
        steps: list[Callable[[IJobRun, str], Awaitable[None]]] = [
            self._tokens, self._with_backlog, self._held, self._waiting, self._known, self._stored_files, self._plain,
            self._kept, self._said,
        ]  # fmt: skip
        tenant = str(job.what["tenant"])
        job.expect(len(steps) - job.cursor, {})
        for number, step in enumerate(steps[job.cursor :], job.cursor + 1):
            await step(job, tenant)
            await job.went(number, steps=1)

    async def _tokens(self, job: IJobRun, tenant: str) -> None:
        """First those by which somebody could make something new."""
        await self._remove("token", tenant, by="tenant")

    async def _with_backlog(self, job: IJobRun, tenant: str) -> None:
        for kind in WITH_BACKLOG:
            for each in self._registry.list(kind, tenant):
                with suppress(NotFound):
                    await self._registry.retire(
                        kind, each.id, Deletion("drop", self._journal.head, self._journal.epochs.current)
                    )
            while self._registry.list(kind, tenant):
                await deferLater(self._clock, LOOK, lambda: None)
                await job.went(job.cursor)

    async def _held(self, job: IJobRun, tenant: str) -> None:
        """What waits in quarantine."""
        while held := self._quarantine.list(tenant, "", PIECE):
            for each in held:
                with suppress(NotFound):
                    await self._releases.drop(tenant, each.name)
            await job.went(job.cursor)

    async def _waiting(self, job: IJobRun, tenant: str) -> None:
        """Downlinks that wait."""
        for device in sorted(self._waited_for(tenant)):
            await self._downlinks.clear(tenant, device)
            await job.went(job.cursor)

    async def _known(self, job: IJobRun, tenant: str) -> None:
        """Devices with their states."""
        while names := self._fleet.names(tenant, DeviceFilter(), "", PIECE):
            for name in names:
                if self._fleet.get(tenant, name) is not None:
                    await self._fleet.delete(tenant, name)
                else:
                    await self._devices.forget(tenant, name)
                self._owners.disown(tenant, name)
            await job.went(job.cursor)
        while rows := await self._devices.list(
            tenant, "", PIECE
        ):  # those that sent something and got no entry
            for row in rows:
                await self._devices.forget(tenant, row["name"])
            await job.went(job.cursor)

    async def _stored_files(self, job: IJobRun, tenant: str) -> None:
        for file in self._files.list(tenant):
            with suppress(NotFound):
                await self._files.delete(tenant, file.name)

    async def _plain(self, job: IJobRun, tenant: str) -> None:
        for kind in PLAIN:
            await self._remove(kind, tenant)

    async def _kept(self, job: IJobRun, tenant: str) -> None:
        for store in self._stores:
            await store.forget_tenant(tenant)
            await job.went(job.cursor)

    async def _said(self, job: IJobRun, tenant: str) -> None:
        """What it may use."""
        await self._remove(TENANT, tenant)

    async def _remove(self, kind: str, tenant: str, by: str = "") -> None:
        """All of a kind; ``by`` is the field of a body that tells whose it is, where the registry doesn't."""
        found = self._registry.list(kind) if by else self._registry.list(kind, tenant)
        for each in found:
            if not by or each.body[by] == tenant:
                with suppress(NotFound):
                    await self._registry.delete(kind, each.id)
