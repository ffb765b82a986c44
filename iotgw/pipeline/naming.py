"""The names under which the devices of one datasource go, where a network platform names them."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from iotgw.core.identities import told_apart_by
from iotgw.core.model import Metadata
from iotgw.core.ports.platform_names import IPlatformNames, NamedDevice
from iotgw.pipeline.sources import Source

PLATFORM_NAME = "platformName"
"""Where the metadata has the name of a device on its platform that goes by another one here."""
MOST_SHOWN = 100
"""Names that are another device's, which are remembered for the status."""


class DeviceNaming:
    """Names the devices of ``source``. ``tell(type, message, severity, **detail)`` hears of names that are taken."""

    def __init__(self, source: Source, names: IPlatformNames, tell: Callable[..., None]) -> None:
        self._source = source
        self._names = names
        self._tell = tell
        self.taken: dict[str, str] = {}
        """Names on the platform that are another device's, by those under which their devices go; the first `MOST_SHOWN`."""

    def named(self, metadata: Metadata) -> Metadata | None:
        """The metadata of an uplink whose ``deviceName`` is the device's here; None where that has to be asked for."""
        found = self._names.known(self._source.tenant, metadata)
        return None if found is None else self._called(metadata, found)

    def ask(self, metadata: Metadata) -> Deferred[Metadata]:
        """The same, asked for. Fails with NoSpace or Unavailable where that can't be said now."""
        asked = self._names.learn(self._source.tenant, metadata)
        return asked.addCallback(lambda found: self._called(metadata, found))

    def _called(self, metadata: Metadata, found: NamedDevice) -> Metadata:
        name = metadata["deviceName"]
        if found.name == name:
            return metadata
        if len(self.taken) < MOST_SHOWN:
            self.taken[found.name] = name
        if found.is_new:
            who = told_apart_by(metadata.get("identity"), metadata.get("devEui"))
            self._tell(
                "device.name-taken",
                f"the name {name!r} of {who} belongs to {found.owner}, so it goes by {found.name!r}; rename one of them on the platform, or set "
                f"deviceName = 'identity' in the datasource, or, if {who} replaces {found.owner}, set it as the identity of device {name!r}",
                "warning", name=name, identity=who, owner=found.owner, device=found.name,
            )  # fmt: skip
        return {**metadata, "deviceName": found.name, PLATFORM_NAME: name}
