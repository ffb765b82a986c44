"""Which records of the telemetry stream an integration gets."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct
from msgspec.json import Decoder

from iotgw.core.model import Kind, TelemetryRecord
from iotgw.core.specs import RouteSpec
from iotgw.core.wildcards import matcher


class _Wanted(Struct):
    telemetry: list[object] = []
    attributes: dict[str, object] = {}


Match = Callable[[TelemetryRecord], bool]
EVENT = Kind.EVENT  # an enum's member is slow to look up

_decode = Decoder(_Wanted).decode


class RecordRoute(Struct, frozen=True):
    """Which records an integration of ``tenant`` gets: those that `match`. ``is_source`` says whether it gets any of a datasource, by its id; None
    means of each."""

    match: Match
    tenant: str
    is_source: Callable[[str], bool] | None = None

    def leads_from(self, tenant: str, datasource: str) -> bool:
        """Whether it gets anything of a tenant's datasource. With hundreds of integrations, most get nothing of most datasources."""
        return tenant == self.tenant and (self.is_source is None or self.is_source(datasource))

    def until(self, end: int) -> RecordRoute:
        """The same up to a position."""
        match = self.match
        return RecordRoute(lambda record: record.seq <= end and match(record), self.tenant, self.is_source)


def _pattern(patterns: list[str]) -> Callable[[str], bool] | None:
    return None if not patterns or "*" in patterns else matcher(patterns)


def route(spec: RouteSpec, tenant: str, datasource_name: Callable[[str], str]) -> RecordRoute:
    """The records of ``tenant`` that the route lets through.

    Datasources are given by id or by name, device types and device names by shell-style patterns.
    ``datasource_name`` maps a datasource's id to its name, also that of one that was deleted. It is asked until a datasource is one of those that
    are meant. From then on it is: a datasource that is renamed takes routes along, and this one is replaced."""
    sources = frozenset(spec.datasources)
    of_type, of_name = _pattern(spec.device_types), _pattern(spec.device_names)
    telemetry, attributes = "telemetry" in spec.wants, "attributes" in spec.wants
    events = "events" in spec.wants
    whole = telemetry and attributes
    meant = set(sources)

    def from_source(datasource: str) -> bool:
        if datasource not in meant:
            if datasource_name(datasource) not in sources:
                return False
            meant.add(datasource)
        return True

    def match_all(record: TelemetryRecord) -> bool:
        return record.tenant == tenant and (events or record.kind is not EVENT)

    def match(record: TelemetryRecord) -> bool:
        if record.tenant != tenant:
            return False
        if sources and not from_source(record.datasource):
            return False
        if of_type is not None and not of_type(record.device_type):
            return False
        if of_name is not None and not of_name(record.device_name):
            return False
        if record.kind is EVENT:
            return events
        if whole:
            return True
        if not (telemetry or attributes):
            return False
        parts = _decode(record.body)
        return bool(parts.telemetry if telemetry else parts.attributes)

    everything = whole and not sources and of_type is None and of_name is None
    return RecordRoute(match_all if everything else match, tenant, from_source if sources else None)
