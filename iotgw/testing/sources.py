"""An `ISources` that a test controls."""

from __future__ import annotations

from zope.interface import implementer

from iotgw.core.ports.datasources import IDatasource, IPushes
from iotgw.core.ports.sources import ISources
from iotgw.core.specs import SpeaksFor


@implementer(ISources)
class FakeSources:
    """Datasources that a test puts in: their ``names`` by id, and what is ``open`` of them."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.open: dict[str, IDatasource] = {}
        self.trust: dict[str, SpeaksFor] = {}
        """For which devices they may speak, by id."""

    def name(self, id: str) -> str:
        """See `ISources.name`."""
        return self.names.get(id, id)

    def speaks_for(self, id: str) -> SpeaksFor:
        """See `ISources.speaks_for`."""
        return self.trust.get(id, "own")

    def running(self, id: str) -> IDatasource | None:
        """See `ISources.running`."""
        return self.open.get(id)

    def pushing(self, id: str) -> IPushes | None:
        """See `ISources.pushing`."""
        datasource = self.open.get(id)
        if datasource is None or not IPushes.providedBy(datasource):
            return None
        pushes = IPushes(datasource)
        return pushes if pushes.can_push else None
