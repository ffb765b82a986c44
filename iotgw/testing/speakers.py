"""An `ISpeakers` that a test controls."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from zope.interface import implementer

from iotgw.core.model import Output
from iotgw.core.ports.speakers import IOwners, ISpeakers
from iotgw.core.proof import Proved


@implementer(ISpeakers, IOwners)
class FakeSpeakers:
    """Anybody may speak for any device, but for those in ``forbidden``: the id of a datasource and a device. A sender that
    has proved to be the device may."""

    def __init__(self) -> None:
        self.forbidden: set[tuple[str, str]] = set()
        self.secured: set[str] = set()
        """Devices with credentials."""
        self.introduced: list[tuple[str, str]] = []
        """What `heard` was called with: the datasource and the device."""
        self.owners: dict[tuple[str, str], str] = {}
        """By tenant and device."""

    def objection(self, tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """See `ISpeakers.objection`."""
        if device != proved and (datasource, device) in self.forbidden:
            return f"device {device!r} belongs to another datasource"
        return self.identity_objection(tenant, datasource, device, proved)

    def taking_objection(self, tenant: str, datasource: str, device: str, proved: Proved = "") -> str:
        """See `ISpeakers.taking_objection`."""
        return self.objection(tenant, datasource, device, proved)

    def identity_objection(self, tenant: str, datasource: str, identity: str, proved: Proved = "") -> str:
        """See `ISpeakers.identity_objection`."""
        return "" if identity == proved or identity not in self.secured else f"{identity!r} must prove it"

    def has_credentials(self, tenant: str) -> bool:
        """See `ISpeakers.has_credentials`."""
        return bool(self.secured)

    def familiar(self, tenant: str, datasource: str) -> Callable[[str], bool] | None:
        """See `ISpeakers.familiar`."""
        return None

    def heard(self, tenant: str, datasource: str, outputs: Sequence[Output], proved: Proved = "") -> None:
        """See `ISpeakers.heard`."""
        self.introduced += [(datasource, output.device_name) for output in outputs]

    def owner(self, tenant: str, device: str) -> str:
        """See `IOwners.owner`."""
        return self.owners.get((tenant, device), "")

    def owned(self, tenant: str, datasource: str) -> Collection[str]:
        """See `IOwners.owned`."""
        return [device for (of, device), owner in self.owners.items() if (of, owner) == (tenant, datasource)]

    def hand_over(self, tenant: str, device: str, datasource: str) -> None:
        """See `IOwners.hand_over`."""
        self.owners[tenant, device] = datasource

    def disown(self, tenant: str, device: str) -> None:
        """See `IOwners.disown`."""
        self.owners.pop((tenant, device), None)
