"""The datasources as the pipeline knows them, by id."""

from __future__ import annotations

from collections.abc import Mapping

from zope.interface import implementer

from iotgw.core.device_kinds import ConverterChoice
from iotgw.core.model import State
from iotgw.core.own_converters import NoOwnConverters
from iotgw.core.ports.datasources import IDatasource, IPushes
from iotgw.core.ports.devices import IOwnConverters
from iotgw.core.ports.intake import Guard
from iotgw.core.ports.sources import ISources
from iotgw.core.specs import DatasourceSpec, SpeaksFor
from iotgw.pipeline.away import AwayPaths


class Source:
    """One datasource: its current settings, its running parts, and its counts of uplinks."""

    def __init__(
        self,
        id: str,
        tenant: str,
        spec: DatasourceSpec,
        created_ms: int = 0,
        own: IOwnConverters | None = None,
    ) -> None:
        self.id = id
        self.tenant = tenant
        self.spec = spec
        self.own: IOwnConverters = own or NoOwnConverters()
        """The converters that devices have of their own."""
        self._choice: tuple[DatasourceSpec, ConverterChoice] | None = None
        self.created_ms = created_ms
        self.datasource: IDatasource | None = None
        """The running datasource, if it is open."""
        self.guard: Guard | None = None
        self.speaks_for: SpeaksFor = "own"
        """For which devices it may speak; what the spec leaves to the type is decided."""
        self.says: frozenset[str] = frozenset()
        """Which of ``reply`` and ``session`` its converters may say: devices then wait for the conversion."""
        self.never_waits = False
        """Whether uplinks are answered when they are durable, whatever ``reply`` says."""
        self.is_leaving = False
        """Whether it is being deleted."""
        self.counts = {"received": 0, "converted": 0, "filtered": 0, "failed": 0, "refused": 0}
        """Counts of uplinks since the datasource was made, as in the journal. Only ``refused`` counts from the start
        of the process, because the journal never sees those."""

    def recount(self, before: State, after: State) -> None:
        """A stored uplink was converted again: move it to its new state's count."""
        if before is not State.RECEIVED:
            self.counts[before.name.lower()] -= 1
        self.counts[after.name.lower()] += 1

    @property
    def choice(self) -> ConverterChoice:
        """Which device gets which of the spec's ``converters``."""
        if self._choice is None or self._choice[0] is not self.spec:
            self._choice = self.spec, ConverterChoice(self.spec.converters, self.spec.converter)
        return self._choice[1]

    @property
    def converts(self) -> bool:
        """Whether uplinks are converted rather than only stored."""
        return bool(self.spec.converter or self.spec.converters or self.own.own_converters(self.tenant))


@implementer(ISources)
class Sources(dict[str, Source]):
    """Every datasource of the registry, by id. The pipeline puts them in and takes them out."""

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        super().__init__(sources or {})
        self.away = AwayPaths()
        """The paths of those that are not open now."""

    def name(self, id: str) -> str:
        """See `ISources.name`."""
        source = self.get(id)
        return source.spec.name if source is not None else id

    def speaks_for(self, id: str) -> SpeaksFor:
        """See `ISources.speaks_for`."""
        source = self.get(id)
        return source.speaks_for if source is not None else "own"

    def running(self, id: str) -> IDatasource | None:
        """See `ISources.running`."""
        source = self.get(id)
        return source.datasource if source is not None else None

    def is_away(self, type_: str, key: str) -> bool:
        """Whether a routing key belongs to a datasource of this type that is not open now but may be again: it is
        being changed, is disabled, could not be opened, or the gateway is stopping. Its devices may come back
        later."""
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
