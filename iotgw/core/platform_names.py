"""Names of devices as they come."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.model import Metadata
from iotgw.core.ports.platform_names import IPlatformNames, NamedDevice


@implementer(IPlatformNames)
class NamesAsTheyCome:
    """Nobody has a name for himself."""

    def known(self, tenant: str, metadata: Metadata) -> NamedDevice | None:
        """See `IPlatformNames.known`."""
        return NamedDevice(str(metadata.get("deviceName", "")))

    def learn(self, tenant: str, metadata: Metadata) -> Deferred[NamedDevice]:
        """See `IPlatformNames.learn`."""
        return succeed(NamedDevice(str(metadata.get("deviceName", ""))))

    def owner(self, tenant: str, name: str) -> Deferred[str]:
        """See `IPlatformNames.owner`."""
        return succeed("")

    def is_anothers(self, tenant: str, name: str, identity: str) -> bool:
        """See `IPlatformNames.is_anothers`."""
        return False
