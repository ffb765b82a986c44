"""What a journal asks of its database, in the threads that read it. Each database has a reader that answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from iotgw.core.failures import FailureGroup, FoundFailures
from iotgw.core.message_query import FoundMessages, MessageQuery
from iotgw.core.model import DeliveryState, Message, Parked, ParkedState, StoredUplink, TelemetryRecord
from iotgw.core.ports.journal import Flow, Held
from iotgw.core.series import FoundSeries, SeriesQuery
from iotgw.core.times import DateMs, SteadyMs

T = TypeVar("T")


class MessageReads(Protocol):
    """Searches for messages."""

    def message(self, seq: int) -> Message | None:
        """The message at a position; None if there is none."""

    def find(self, query: MessageQuery, before: int, limit: int, cost: float = ...) -> FoundMessages:
        """The newest messages of a query before a position. Stops when it has looked at about so much, in entries of an
        index."""


class SeriesReads(Protocol):
    """Looks for readings."""

    def find(self, query: SeriesQuery, before: int, limit: int, look: int) -> FoundSeries:
        """Readings of messages before a position: of ``limit`` records at most, among about ``look`` outputs."""


class FailureReads(Protocol):
    """Groups failures."""

    def conversions(self, query: MessageQuery, before: int) -> FoundFailures:
        """Groups of the failed messages of a query before a position."""

    def deliveries(self, query: MessageQuery, integrations: tuple[str, ...]) -> list[FailureGroup]:
        """Groups of the dead letters of these integrations (ids)."""


class JournalReads(Protocol):
    """One connection's queries. The ports in `iotgw.core.ports.journal` say what each answers.

    Many methods: one for each query.
    """

    unreadable: dict[str, set[int]]

    @property
    def search(self) -> MessageReads:
        """Users' searches."""

    @property
    def series(self) -> SeriesReads:
        """Devices' readings."""

    @property
    def failing(self) -> FailureReads:
        """Failures in groups."""

    def carefully(self, query: Callable[[], T]) -> T:
        """Run a query of a stream record by record, with a stand-in for each record that can't be read."""

    def asked(self, query: Callable[[], T]) -> T:
        """Run a user's query; raises Unavailable where the database is away."""

    def unless_damaged(self, query: Callable[[], T]) -> T:
        """Run a user's query; raises Unavailable where damage keeps it from an answer."""

    def uplinks(self, datasource: str, after: int, last: int, limit: int) -> list[StoredUplink]:
        """Uplinks of a datasource with after < seq <= last."""

    def telemetry(self, after: int, last: int, limit: int) -> list[TelemetryRecord]:
        """Telemetry records with after < seq <= last."""

    def parked(self, integration: str, state: DeliveryState | None, after: int, limit: int) -> list[Parked]:
        """Parked deliveries after a position, in order of position."""

    def among(self, wanted: Mapping[str, Sequence[int]]) -> dict[tuple[str, int], ParkedState]:
        """What is said of those of these positions, by integration, that are parked there."""

    def behind(self, integration: str, device: str, after: int, limit: int) -> list[Parked]:
        """Parked deliveries of one device after a position, without dead letters."""

    def quarantined(self, after: int, limit: int) -> list[Held]:
        """Uplinks that wait in quarantine, after a position."""

    def latest_keys(self, datasource: str, limit: int) -> list[tuple[str, int]]:
        """The keys of a datasource's latest uplinks, each with its position, in order."""

    def time_to_seq(self, ts_ms: DateMs, moment_ms: SteadyMs, head: int) -> int:
        """Position of the first telemetry record received at or after a date; one past ``head`` if there is none."""

    def flow(self, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int, last: tuple[int, int]) -> list[Flow]:
        """How much there was, step by step. ``last`` are the last positions of both streams."""

    def stats(self) -> dict[str, Any]:
        """Counts, sizes, ages and positions, for the API; ``unknown`` with the reason, where they can't be read."""

    def close(self) -> None:
        """Close the connection."""
