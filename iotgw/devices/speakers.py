"""Who may speak for a device: the tenant's rule, whatever the datasource.

A sender that has proved to be a device speaks for it anywhere. A device that has credentials, or that has proved itself
before, is spoken for by nobody else. Any other device belongs to the datasource that introduced it. A datasource that
is trusted (``speaksFor``) may speak for more.

Which device belongs to which datasource is kept in memory, and written with the devices' states.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress

from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.errors import Unavailable
from iotgw.core.model import Kind, Output, TelemetryRecord
from iotgw.core.ports.credentials import ICredentials, ITenantCredentials
from iotgw.core.ports.devices import IDevices
from iotgw.core.ports.journal import IMessages
from iotgw.core.ports.registry import IRegistry
from iotgw.core.ports.sources import ISources
from iotgw.core.ports.speakers import IOwners, ISpeakers
from iotgw.core.proof import Proved
from iotgw.core.proof import proved as proved_by
from iotgw.core.specs import Resource

MOST = 250_000
"""Devices that are known to belong to one datasource, at about 0.15 KB each. Further ones belong to nobody, so that a
stranger who makes names up can't fill the memory."""
ASSET = b'{"assetName"'
"""How the body of an asset begins (`iotgw.core.model.Output`). Several datasources may report on one."""


class _Owner:
    """A datasource as the owner of devices; of those that have proved themselves there is another one."""

    __slots__ = ("count", "datasource", "is_gone", "of_proved")

    def __init__(self, datasource: str, of_proved: bool) -> None:
        self.datasource = datasource
        self.of_proved = of_proved
        self.is_gone = False
        self.count = 0


class _Owned(Collection[str]):
    """The devices of some owners, without a list of them: there may be a hundred thousand."""

    def __init__(self, owners: Mapping[str, _Owner], of: Sequence[_Owner]) -> None:
        self._owners = owners
        self._of = of

    def __contains__(self, device: object) -> bool:
        return self._owners.get(device) in self._of  # type: ignore[call-overload]  # as a dict's own keys

    def __iter__(self) -> Iterator[str]:
        of = self._of
        return (device for device, owner in self._owners.items() if owner in of)

    def __len__(self) -> int:
        return sum(owner.count for owner in self._of)


@implementer(ISpeakers, IOwners)
class Speakers:
    """The rule of every tenant. ``most`` bounds the devices of a datasource that are kept in memory."""

    _log = Logger()

    def __init__(
        self,
        devices: IDevices,
        credentials: ICredentials,
        sources: ISources,
        registry: IRegistry,
        most: int = MOST,
    ) -> None:
        self._devices = devices
        self._all_credentials = credentials
        self._sources = sources
        self._registry = registry
        self._most = most
        self._owners: dict[str, dict[str, _Owner]] = {}
        """By tenant and device."""
        self._by_id: dict[tuple[str, bool], _Owner] = {}
        self._credentials: dict[str, ITenantCredentials] = {}
        self._latest: dict[tuple[str, str], int] = {}
        """The last message of each device that is learned."""
        self._claims: dict[tuple[str, str], str] | None = None
        """Who used a name first that isn't known yet, by tenant and device, while it is being learned what belongs to whom."""

    async def start(self) -> None:
        """Load who owns what. What belonged to a datasource that is gone belongs to nobody."""
        self._registry.watch("datasource", self._changed)
        there = {resource.id for resource in self._registry.list("datasource")}
        for tenant, device, datasource, was_proved in await self._devices.owners():
            if datasource in there:
                self._put(tenant, device, datasource, was_proved)

    def objection(self, tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """See `ISpeakers.objection`."""
        owners = self._owners.get(tenant)
        owner = owners.get(device) if owners is not None else None
        if owner is not None and owner.datasource == datasource and not owner.of_proved:
            credentials = self._credentials.get(tenant) or self._of(tenant)
            if not credentials.are_any:
                return ""  # this is nearly every message
            return self.identity_objection(tenant, datasource, device, proved)
        if device == proved or (trust := self._sources.speaks_for(datasource)) == "all":
            return ""
        if objection := self.identity_objection(tenant, datasource, device, proved):
            return objection
        if owner is None or owner.is_gone:
            return ""
        if owner.of_proved and not self._of(tenant).may_be_insecure(device):
            return f"device {device!r} has proved what it is before, and must prove it again"
        if owner.datasource == datasource or trust == "unproved":
            return ""
        return f"device {device!r} belongs to another datasource"

    def taking_objection(self, tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """See `ISpeakers.taking_objection`."""
        if objection := self.objection(tenant, datasource, device, proved):
            return objection
        if self._claims is None or device == proved or device in self._owners.get(tenant, ()):
            return ""
        if self._sources.speaks_for(datasource) != "own":
            return ""
        return f"it is still being learned to whom device {device!r} belongs"

    def identity_objection(self, tenant: str, datasource: str, identity: str, proved: Proved = "") -> str:
        """See `ISpeakers.identity_objection`."""
        credentials = self._of(tenant)
        if not credentials.are_any or identity == proved or not credentials.must_be_secure(identity):
            return ""
        if self._sources.speaks_for(datasource) == "all":
            return ""
        return f"device {identity!r} has a credential, and must prove what it is"

    def has_credentials(self, tenant: str) -> bool:
        """See `ISpeakers.has_credentials`."""
        return self._of(tenant).are_any

    def familiar(self, tenant: str, datasource: str) -> Callable[[str], bool] | None:
        """See `ISpeakers.familiar`."""
        owners, owner = self._owners.get(tenant), self._by_id.get((datasource, False))
        if owners is None or owner is None or self._of(tenant).are_any:
            return None
        return lambda device: owners.get(device) is owner

    def heard(self, tenant: str, datasource: str, outputs: Sequence[Output], proved: Proved = "") -> None:
        """See `ISpeakers.heard`."""
        owners = self._owners.get(tenant)
        for output in outputs:
            device = output.device_name
            owner = owners.get(device) if owners is not None else None
            has_proved = device == proved
            if owner is not None and not owner.is_gone and owner.of_proved >= has_proved:
                continue
            if output.body.startswith(ASSET):
                continue
            if self._claims is None or owner is not None or has_proved:
                self._own(tenant, device, datasource, has_proved)
            elif len(self._claims) < self._most:
                self._claims.setdefault((tenant, device), datasource)

    def begin_learning(self) -> None:
        """What belongs to whom is being learned again, by `learn`: until `end_learning`, names that aren't known yet are nobody's,
        whoever uses them."""
        self._claims = {}

    def end_learning(self) -> None:
        """All is learned: what nobody had belongs to the datasource that used its name first meanwhile."""
        claims, self._claims = self._claims or {}, None
        for (tenant, device), datasource in claims.items():
            if device not in self._owners.get(tenant, ()):
                self._own(tenant, device, datasource, False)

    def learn(self, records: Sequence[TelemetryRecord]) -> None:
        """Records that the devices' states may not have seen before the process ended."""
        there = {resource.id for resource in self._registry.list("datasource")}
        for record in records:
            known = self._owners.get(record.tenant, {})
            is_device = record.kind is Kind.TELEMETRY and not record.body.startswith(ASSET)
            if is_device and record.datasource in there:
                if self._claims is not None and record.uplink and len(self._latest) < self._most:
                    self._latest[record.tenant, record.device_name] = record.uplink
                if record.device_name not in known:
                    self._own(record.tenant, record.device_name, record.datasource, False)

    async def learn_proofs(self, messages: IMessages) -> None:
        """Which of the devices that were learned have proved themselves, by the last message of each."""
        latest, self._latest = self._latest, {}
        for (tenant, device), position in latest.items():
            with suppress(Unavailable):  # it can't be read
                message = await messages.message(position)
                if message is not None and proved_by(message.uplink.metadata) == device:
                    self._own(tenant, device, message.uplink.datasource, True)

    def owner(self, tenant: str, device: str) -> str:
        """See `IOwners.owner`."""
        owner = self._owners.get(tenant, {}).get(device)
        return owner.datasource if owner is not None and not owner.is_gone else ""

    def owned(self, tenant: str, datasource: str) -> Collection[str]:
        """See `IOwners.owned`."""
        found = (self._by_id.get((datasource, False)), self._by_id.get((datasource, True)))
        return _Owned(self._owners.get(tenant, {}), [owner for owner in found if owner is not None])

    def hand_over(self, tenant: str, device: str, datasource: str) -> None:
        """See `IOwners.hand_over`."""
        self._own(tenant, device, datasource, False)

    def disown(self, tenant: str, device: str) -> None:
        """See `IOwners.disown`. Whoever deletes a device also forgets its state, where this is written down."""
        owner = self._owners.get(tenant, {}).pop(device, None)
        if owner is not None:
            owner.count -= 1

    def _of(self, tenant: str) -> ITenantCredentials:
        found = self._credentials.get(tenant)
        if found is None:
            found = self._credentials[tenant] = self._all_credentials.of(tenant)
        return found

    def _own(self, tenant: str, device: str, datasource: str, has_proved: bool) -> None:
        if self._put(tenant, device, datasource, has_proved):
            self._devices.own(tenant, device, datasource, has_proved)

    def _put(self, tenant: str, device: str, datasource: str, has_proved: bool) -> bool:
        key = (datasource, has_proved)
        owner = self._by_id.get(key)
        if owner is None:
            owner = self._by_id[key] = _Owner(datasource, has_proved)
        if owner.count >= self._most:
            return False
        owners = self._owners.setdefault(tenant, {})
        before = owners.get(device)
        if before is not None:
            before.count -= 1
        owners[device] = owner
        owner.count += 1
        if owner.count == self._most:
            self._log.warn(
                "datasource {name} has introduced {most} devices; further ones belong to nobody",
                name=self._sources.name(datasource),
                most=self._most,
            )
        return True

    def _changed(self, old: Resource | None, new: Resource | None) -> None:
        """The devices of a datasource that was deleted belong to nobody."""
        if old is not None and new is None:
            for has_proved in (False, True):
                owner = self._by_id.pop((old.id, has_proved), None)
                if owner is not None:
                    owner.is_gone = True
