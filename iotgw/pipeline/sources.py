"""The datasources as the pipeline knows them: what each is now, for whoever looks one up by its id."""

from __future__ import annotations

from zope.interface import implementer

from iotgw.core.model import State
from iotgw.core.ports.datasources import IDatasource, IPushes
from iotgw.core.ports.intake import Guard
from iotgw.core.ports.sources import ISources
from iotgw.core.specs import DatasourceSpec


class Source:
    """One datasource: its current settings, its running parts, and its counts of uplinks."""

    def __init__(self, id: str, tenant: str, spec: DatasourceSpec, created_ms: int = 0) -> None:
        self.id = id
        self.tenant = tenant
        self.spec = spec
        self.created_ms = created_ms
        self.datasource: IDatasource | None = None
        """The open one."""
        self.guard: Guard | None = None
        self.is_leaving = False
        """Whether it is being deleted."""
        self.counts = {"received": 0, "converted": 0, "filtered": 0, "failed": 0, "refused": 0}
        """As the journal counts, since it was made; ``refused``, which it never sees, since the start."""

    def recount(self, before: State, after: State) -> None:
        """A stored uplink was converted again: it counts as what it is now."""
        if before is not State.RECEIVED:
            self.counts[before.name.lower()] -= 1
        self.counts[after.name.lower()] += 1

    @property
    def converts(self) -> bool:
        """Whether uplinks are converted, or only stored."""
        return bool(self.spec.converter or self.spec.converters)


@implementer(ISources)
class Sources(dict[str, Source]):
    """Every datasource of the registry, by id. The pipeline puts them in and takes them out."""

    def name(self, id: str) -> str:
        """See `ISources.name`."""
        source = self.get(id)
        return source.spec.name if source is not None else id

    def running(self, id: str) -> IDatasource | None:
        """See `ISources.running`."""
        source = self.get(id)
        return source.datasource if source is not None else None

    def is_away(self, type_: str, key: str) -> bool:
        """Whether a routing key is that of a datasource of a type which isn't open now, and may be again: it is being
        changed, is disabled or could not be opened, or the gateway stops. Who asks for it may come back later."""
        return any(
            source.datasource is None and source.spec.type == type_ and not source.is_leaving
            for source in self.values()
            if source.spec.routing_key == key
        )

    def pushing(self, id: str) -> IPushes | None:
        """See `ISources.pushing`."""
        datasource = self.running(id)
        if datasource is None or not IPushes.providedBy(datasource):
            return None
        pushes = IPushes(datasource)
        return pushes if pushes.can_push else None
