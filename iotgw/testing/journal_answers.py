"""What a journal in memory finds of devices' readings and of failures."""

from __future__ import annotations

from collections import Counter
from typing import TypeVar

from msgspec.structs import replace
from twisted.internet.defer import Deferred, fail, succeed

from iotgw.core.epochs import Epochs
from iotgw.core.errors import Unavailable
from iotgw.core.failures import FailureGroup, FoundFailures, conversion_group, group_id, merged, pattern
from iotgw.core.message_query import FoundMessages, MessageQuery
from iotgw.core.model import ConversionError, DeliveryState, Message, State
from iotgw.core.ports.journal import Flow
from iotgw.core.series import FoundSeries, SeriesQuery, buckets, readings
from iotgw.core.times import SteadyMs
from iotgw.testing.journal_storage import Storage

T = TypeVar("T")


class MemoryAnswers:
    """What people ask of a journal in memory: a part of `iotgw.testing.journal.MemoryJournal`."""

    epochs: Epochs
    storage: Storage
    looks: int
    _closed: bool

    def where(self, id: str) -> Deferred[int | None]:
        """See `IMessages.where`."""
        return succeed(self.epochs.position(id))

    def message(self, seq: int) -> Deferred[Message | None]:
        """See `IMessages.message`."""
        return self._read(self.storage.message(seq) if seq in self.storage.uplinks else None)

    def messages(
        self,
        tenant: str,
        before: int,
        limit: int,
        datasource: str | None = None,
        state: State | None = None,
        device: str | None = None,
    ) -> Deferred[list[Message]]:
        """See `IMessages.messages`."""
        query = MessageQuery(tenant=tenant, datasource=datasource, state=state, device=device)
        return self._read(self.storage.found(query, before)[:limit])

    def search(self, query: MessageQuery, before: int, limit: int) -> Deferred[FoundMessages]:
        """See `IMessages.search`. It looks at `looks` messages."""
        return self._read(self.storage.searched(query, before, limit, self.looks))

    def series(self, query: SeriesQuery, before: int, limit: int) -> Deferred[FoundSeries]:
        """See `IMessages.series`."""
        return self._read(series_in(self.storage, query, before, limit, self.looks))

    def flow(self, since_ms: SteadyMs, until_ms: SteadyMs, step_ms: int) -> Deferred[list[Flow]]:
        """See `IMessages.flow`. Dates are gateway time here."""
        return self._read(flow_in(self.storage, since_ms, until_ms, step_ms))

    def failures(self, query: MessageQuery, before: int) -> Deferred[FoundFailures]:
        """See `IMessages.failures`."""
        return self._read(failures_in(self.storage, query, before, self.looks))

    def dead_deliveries(
        self, query: MessageQuery, integrations: tuple[str, ...]
    ) -> Deferred[list[FailureGroup]]:
        """See `IMessages.dead_deliveries`."""
        return self._read(dead_in(self.storage, query, integrations))

    def _read(self, result: T) -> Deferred[T]:
        return fail(Unavailable("the journal is closed")) if self._closed else succeed(result)


def flow_in(storage: Storage, since_ms: int, until_ms: int, step_ms: int) -> list[Flow]:
    """How much there was in each step."""
    received = Counter(each.received_ms // step_ms for each in storage.uplinks.values())
    outputs = Counter(each.received_ms // step_ms for each in storage.records.values())
    steps = [step for step in sorted(received | outputs) if since_ms <= step * step_ms < until_ms]
    return [Flow(SteadyMs(step * step_ms), received[step], outputs[step]) for step in steps]


def series_in(storage: Storage, query: SeriesQuery, before: int, limit: int, looks: int) -> FoundSeries:
    """The readings of a query in the next ``limit`` messages of its device."""
    wanted = MessageQuery(tenant=query.tenant, device=query.device, since=query.since)
    page = storage.searched(wanted, before, limit, looks)
    records = [
        record
        for message in page.messages
        for record in message.records
        if record.device_name == query.device
    ]
    found = readings(query, records)
    if query.every_ms:
        return FoundSeries(buckets(query, found), {}, page.next, page.looked_back_to)
    return FoundSeries({}, found, page.next, page.looked_back_to)


def failures_in(storage: Storage, query: MessageQuery, before: int, looks: int) -> FoundFailures:
    """The failed conversions of a query among the next messages, in groups."""
    page = storage.searched(replace(query, state=State.FAILED), before, looks, looks)
    return FoundFailures(
        merged([_conversion(each) for each in page.messages]), page.next, page.looked_back_to
    )


def _conversion(message: Message) -> FailureGroup:
    error, at_ms = message.error or ConversionError(""), message.uplink.received_ms
    id, datasources = conversion_group(message.converter, error), (message.uplink.datasource,)
    return FailureGroup(id, "conversion", message.converter, error, datasources, 1, at_ms, at_ms, message.seq)


def dead_in(storage: Storage, query: MessageQuery, integrations: tuple[str, ...]) -> list[FailureGroup]:
    """The dead letters of these integrations, in groups."""
    groups: list[FailureGroup] = []
    for (integration, _), parked in storage.parked.items():
        record, at_ms = parked.record, parked.record.received_ms
        if (
            parked.state is DeliveryState.DEAD
            and integration in integrations
            and record.tenant == query.tenant
            and query.datasource in (None, record.datasource)
            and query.device in (None, record.device_name)
            and (query.since is None or at_ms >= query.since.date_ms)
            and (query.until is None or at_ms < query.until.date_ms)
        ):
            error = ConversionError(parked.error, stage="delivery", name="Dead")
            id = group_id("delivery", integration, pattern(parked.error))
            groups.append(
                FailureGroup(
                    id, "delivery", integration, error, (record.datasource,), 1, at_ms, at_ms, record.uplink
                )
            )
    return merged(groups)
