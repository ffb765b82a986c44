"""What a journal is asked beside its streams: by users, and once at the start."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred, succeed

from iotgw.core.epochs import Epochs
from iotgw.core.failures import FailureGroup, FoundFailures
from iotgw.core.message_query import LOOK, FoundMessages, MessageQuery
from iotgw.core.model import Counters, Message, State
from iotgw.core.ports.journal import Flow, Held
from iotgw.core.series import FoundSeries, SeriesQuery
from iotgw.core.times import DateMs, SteadyMs
from iotgw.store.readers import Readers
from iotgw.store.reading import JournalReads
from iotgw.store.writing import Opened

T = TypeVar("T")


class JournalAnswers:
    """A part of `iotgw.store.journal.GroupCommitJournal`.

    Many methods: one for each question.
    """

    epochs: Epochs
    head: int
    last_uplink: int
    _readers: Readers
    _opened: Opened | None

    @property
    def faults(self) -> list[str]:
        """See `IMessages.faults`."""
        return self._readers.faults

    def when_away(self, datasource: str, spills: bool) -> None:
        """See `IUplinkStream.when_away`: a file is never away."""

    def spills(self, datasource: str) -> bool:
        """See `IUplinkStream.spills`."""
        return False

    def conversion_cursors(self) -> dict[str, int]:
        """See `IJournal.conversion_cursors`."""
        return self._opened.conversion_cursors if self._opened is not None else {}

    def unconverted(self) -> list[str]:
        """See `IJournal.unconverted`."""
        return self._opened.unconverted if self._opened is not None else []

    def counts(self) -> dict[str, dict[str, int]]:
        """See `IJournal.counts`."""
        return self._opened.counts if self._opened is not None else {}

    def integrations(self) -> dict[str, tuple[int, Counters]]:
        """See `IJournal.integrations`."""
        return self._opened.integrations if self._opened is not None else {}

    def lent(self) -> frozenset[str]:
        """See `ITelemetryStream.lent`."""
        return self._opened.lent if self._opened is not None else frozenset()

    def take_back(self, integration: str) -> Deferred[tuple[int, Counters] | None]:
        """See `ITelemetryStream.take_back`: a file is lent to nobody."""
        return succeed(self.integrations().get(integration))

    def latest_keys(self, datasource: str, limit: int) -> Deferred[list[tuple[str, int]]]:
        """See `IUplinkStream.latest_keys`."""
        return self._readers.ask(lambda reader: reader.latest_keys(datasource, limit))

    def where(self, id: str) -> Deferred[int | None]:
        """See `IMessages.where`."""
        return succeed(self.epochs.position(id))

    def message(self, seq: int) -> Deferred[Message | None]:
        """See `IJournal.message`."""
        return self._readers.ask(lambda reader: reader.search.message(seq))

    def messages(
        self, tenant: str, before: int, limit: int, datasource: str | None = None, state: State | None = None,
        device: str | None = None,
    ) -> Deferred[list[Message]]:  # fmt: skip
        """See `IJournal.messages`."""
        query = MessageQuery(tenant=tenant, datasource=datasource, state=state, device=device)
        end = before or self.last_uplink + 1
        return self._readers.ask(lambda reader: reader.search.find(query, end, limit).messages)

    def search(self, query: MessageQuery, before: int, limit: int) -> Deferred[FoundMessages]:
        """See `IMessages.search`."""
        end = before or self.last_uplink + 1
        return self._readers.ask(lambda reader: reader.search.find(query, end, limit, LOOK))

    def quarantined(self, after: int, limit: int) -> Deferred[list[Held]]:
        """See `IMessages.quarantined`."""
        return self._readers.ask(lambda reader: reader.quarantined(after, limit))

    def series(self, query: SeriesQuery, before: int, limit: int) -> Deferred[FoundSeries]:
        """See `IMessages.series`."""
        end = before or self.last_uplink + 1
        return self._ask_unless_damaged(lambda reader: reader.series.find(query, end, limit, LOOK))

    def flow(self, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int) -> Deferred[list[Flow]]:
        """See `IMessages.flow`."""
        last = self.last_uplink, self.head
        return self._ask_unless_damaged(lambda reader: reader.flow(since_ms, until_ms, step_ms, last))

    def failures(self, query: MessageQuery, before: int) -> Deferred[FoundFailures]:
        """See `IMessages.failures`."""
        end = before or self.last_uplink + 1
        return self._ask_unless_damaged(lambda reader: reader.failing.conversions(query, end))

    def dead_deliveries(
        self, query: MessageQuery, integrations: tuple[str, ...]
    ) -> Deferred[list[FailureGroup]]:
        """See `IMessages.dead_deliveries`."""
        return self._ask_unless_damaged(lambda reader: reader.failing.deliveries(query, integrations))

    def _ask_unless_damaged(self, query: Callable[[JournalReads], T]) -> Deferred[T]:
        return self._readers.ask(lambda reader: reader.unless_damaged(lambda: query(reader)))

    def time_to_seq(self, ts_ms: DateMs, moment_ms: SteadyMs) -> Deferred[int]:
        """See `IJournal.time_to_seq`."""
        head = self.head
        return self._readers.ask(lambda reader: reader.time_to_seq(ts_ms, moment_ms, head))
