"""The datasources as the pipeline knows them, by id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from msgspec import Struct
from zope.interface import implementer

from iotgw.core.device_kinds import ConverterChoice
from iotgw.core.model import State
from iotgw.core.own_converters import NoOwnConverters
from iotgw.core.ports.datasources import IDatasource, IPushes
from iotgw.core.ports.devices import IOwnConverters
from iotgw.core.ports.intake import Guard
from iotgw.core.ports.meters import IMeters, Meter
from iotgw.core.ports.rates import Figures, ISampled
from iotgw.core.ports.sources import ISources
from iotgw.core.ports.usage import Amounts, IMetered, Tally
from iotgw.core.specs import DatasourceSpec, SpeaksFor
from iotgw.pipeline.away import AwayPaths
from iotgw.pipeline.turned_away import TurnedAway


class ILimits(Protocol):
    """What `Source.limits` does: `iotgw.pipeline.limits.SourceLimits`."""

    def take(self, device: str) -> Beyond | None:
        """A message of a device comes (by its identity; empty where nobody knows it). None if it may pass."""


class Beyond(Struct, frozen=True):
    """A message is beyond a limit: whether it is kept all the same, why, and seconds until one may pass."""

    is_kept: bool
    reason: str
    wait: float


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
        self.sends_once = False
        """Whether its senders send a message once, whatever they are answered."""
        self.limits: ILimits | None = None
        """What it may take, if that is limited."""
        self.is_shared = False
        """Whether its senders bring messages of many devices, so that one device's limit must not hold up the others."""
        self.turned_away = TurnedAway()
        """Senders that are refused without a look at what they send."""
        self.is_leaving = False
        """Whether it is being deleted."""
        self.counts = {"received": 0, "converted": 0, "filtered": 0, "failed": 0, "refused": 0}
        """Counts of uplinks since the datasource was made, as in the journal. Only ``refused`` counts from the start
        of the process, because the journal never sees those."""
        self.bytes = 0
        """The payloads that were received since the start of the process."""
        self._before = dict(self.counts)
        self._moved = dict.fromkeys(("converted", "filtered", "failed"), 0)
        """How many ``counts`` got, or lost, because uplinks were converted again."""
        self._again = dict(self._moved)
        """What became of uplinks that were converted again."""
        self._unfailed = 0
        """Failures that ``counts`` has no more, because they were converted again, less those that it has got by that."""

    def begin(self, counts: Mapping[str, int]) -> None:
        """Go on with what the journal has counted."""
        self.counts.update(counts)
        self._before = dict(self.counts)

    @property
    def meter(self) -> Meter:
        """What it counted since the process started. A message that is converted again counts again, and is taken off nowhere."""
        before, moved, again = self._before, self._moved, self._again
        since = {word: count - before[word] for word, count in self.counts.items()}
        ended = {word: since[word] - moved[word] + again[word] for word in moved}
        return Meter({**since, **ended})

    def recount(self, before: State, after: State) -> None:
        """A stored uplink was converted again: move it to its new state's count."""
        if before is not State.RECEIVED:
            self.counts[before.name.lower()] -= 1
            self._moved[before.name.lower()] -= 1
            self._moved[after.name.lower()] += 1
            self._again[after.name.lower()] += 1
        self.counts[after.name.lower()] += 1
        self._unfailed += (before is State.FAILED) - (after is State.FAILED)

    @property
    def amounts(self) -> Amounts:
        """What was used of it so far."""
        counts = self.counts
        errors = counts["failed"] + self._unfailed
        return Amounts(counts["received"], self.bytes, errors, counts["refused"])

    @property
    def figures(self) -> tuple[int, ...]:
        """What `iotgw.core.ports.rates.FIGURES` names."""
        counts = self.counts
        received, *ended = (counts[word] for word in ("received", "converted", "filtered", "failed"))
        return received, *ended, counts["refused"], max(0, received - sum(ended))

    @property
    def choice(self) -> ConverterChoice:
        """Which device gets which of the spec's ``converters``."""
        if self._choice is None or self._choice[0] is not self.spec:
            self._choice = self.spec, ConverterChoice(self.spec.converters, self.spec.converter)
        return self._choice[1]

    @property
    def waits(self) -> bool:
        """Whether a device is answered when its message is converted: then only it is known whether somebody knows the device."""
        return self.spec.reply == "converted" or self.spec.unknown_devices == "refuse"

    @property
    def converts(self) -> bool:
        """Whether uplinks are converted rather than only stored."""
        return bool(self.spec.converter or self.spec.converters or self.own.own_converters(self.tenant))


@implementer(ISources, IMetered, IMeters, ISampled)
class Sources(dict[str, Source]):
    """Every datasource of the registry, by id. The pipeline puts them in and takes them out."""

    def __init__(self, sources: Mapping[str, Source] | None = None) -> None:
        super().__init__(sources or {})
        self.away = AwayPaths()
        """The paths of those that are not open now."""

    def tallies(self) -> list[Tally]:
        """See `IMetered.tallies`."""
        return [
            Tally(("datasource", source.tenant, source.id), source.spec.name, source.amounts)
            for source in self.values()
        ]

    def meters(self) -> dict[str, Meter]:
        """See `IMeters.meters`."""
        return {id: source.meter for id, source in self.items()}

    def samples(self) -> list[Figures]:
        """See `ISampled.samples`."""
        return [
            Figures("datasource", source.tenant, source.id, source.spec.name, source.figures)
            for source in self.values()
        ]

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
