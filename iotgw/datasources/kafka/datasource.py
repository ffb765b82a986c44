"""Topics of a Kafka cluster: each partition's messages in order, committed up to where all are durable.

A member of a consumer group reads the partitions that the brokers give it. When they go to another member, what is durable is
committed first; what is not is read again there, and recognised by topic, partition, offset and time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from iotgw.connect.kafka_access import KafkaClient
from iotgw.connect.kafka_reader import KafkaReader, KafkaRecord, KafkaWanted, Place
from iotgw.core.model import Downlink, Metadata
from iotgw.core.names import unfit
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IForgets, IRunsOnce, IVouches
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.datasources.kafka.begun import Begun
from iotgw.datasources.kafka.settings import KafkaSourceSettings
from iotgw.datasources.pulled import Found, Partition
from iotgw.datasources.pulled_source import MOST_HEADERS, PATIENCE, PulledSource

COMMIT_EVERY = 1.0
"""Seconds between two commits: what is at most read twice after a crash, besides what is under way."""

AGAIN = "the brokers answer again"

ReaderMaker = Callable[[KafkaSourceSettings, str, "KafkaDatasource"], KafkaReader]


@implementer(IVouches, IForgets, IRunsOnce)
class KafkaSourceType:
    """The ``kafka`` datasources of a gateway."""

    name = "kafka"
    settings: type[Struct] = KafkaSourceSettings

    def __init__(self, reactor: IThreadedClock, connector: IConnector) -> None:
        self._reactor = reactor
        self._connector = connector

    def build(self, settings: Any, context: DatasourceContext) -> KafkaDatasource:
        """See `IDatasourceType.build`. Raises SettingsError where the package aiokafka is missing."""
        return KafkaDatasource(self.plain(settings), context, self._reader, self.header)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a cluster knows its clients, and who writes where."""
        return True

    def forget(self, settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """See `IForgets.forget`: that a group has begun goes with the datasource."""
        return context.checkpoints.forget() if successor is None and context.checkpoints is not None else None

    def header(self, value: bytes | None) -> Any:
        """What a header's value says, as a JSON value."""
        return header_text(value)

    def plain(self, settings: Any) -> KafkaSourceSettings:
        """The same settings as those of a plain cluster; another type has settings of its own."""
        made: KafkaSourceSettings = settings
        return made

    def _reader(self, settings: KafkaSourceSettings, id: str, owner: KafkaDatasource) -> KafkaReader:
        client = KafkaClient(settings, self._reactor, self._connector, owner.on_failed)
        wanted = KafkaWanted(
            topics=tuple(settings.topics), pattern=settings.pattern, group=settings.group_of(id),
            start=settings.start, session=settings.session_timeout,
        )  # fmt: skip
        again = backoffPolicy(1.0, 60.0)
        return KafkaReader(client, wanted, owner, self._reactor, self._connector.asyncio(), again)


@implementer(IDatasource)
class KafkaDatasource(PulledSource[KafkaSourceSettings]):
    """A subscription. Its partitions come and go with the group's members."""

    def __init__(
        self,
        settings: KafkaSourceSettings,
        context: DatasourceContext,
        make_reader: ReaderMaker,
        header: Callable[[bytes | None], Any],
    ) -> None:
        super().__init__(settings, context)
        self._header = header
        self._partitions: dict[Place, Partition[int]] = {}
        self._assigned: frozenset[Place] = frozenset()
        self._group = settings.group_of(context.id)
        self._begun = Begun(settings, context, self._counts)
        self._waiting: int | None = None
        self._dirty: set[Place] = set()
        self._timer: IDelayedCall | None = None
        self._running: Deferred[None] | None = None
        self._reply: Callable[[Metadata, tuple[Downlink, ...]], None] | None = None
        """What sends the downlinks that come with an answer; None where nothing can be sent."""
        self._reader = make_reader(settings, context.id, self)

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Join the group in the background, with retries while no broker is there."""
        return self._intake.recall().addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if not self._is_stopped:
            self._running = self._reader.run(not self._begun.is_kept, self._begun.keep)

    def stop(self) -> Deferred[None]:
        """Commit what is durable, and leave the group; fires when that is done."""
        self._is_stopped = True
        self._contact.is_news = False
        self._reader.end()
        waiting: Deferred[None] = Deferred()
        if self._running is None:
            return succeed(None)
        self._running.addBoth(self._ended).addCallback(waiting.callback)
        return waiting

    def _ended(self, _: object) -> None:
        self._contact.ends()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`. ``waiting`` are messages at the brokers."""
        scheme = "kafka+tls" if self._settings.way_of_tls else "kafka"
        paused = sum(partition.is_paused for partition in self._partitions.values())
        return {
            "state": self._contact.state,
            "address": f"{scheme}://{','.join(self._settings.bootstrap)}",
            "group": self._group,
            "partitions": len(self._assigned),
            **({"pausedPartitions": paused} if paused else {}),
            **({} if self._waiting is None else {"waiting": self._waiting}),
            **self._contact.shown(),
            **self._counted(),
        }

    # --- KafkaOwner ---

    def on_joined(self) -> None:
        """See `KafkaOwner`."""
        self._contact.works(f"connected to {', '.join(self._settings.bootstrap)}")

    def on_failed(self, reason: str) -> None:
        """See `KafkaOwner`."""
        self._contact.fails(reason)

    def on_records(self, batch: Mapping[Place, Sequence[KafkaRecord]]) -> None:
        """See `KafkaOwner`."""
        self._contact.works(AGAIN)
        for place, records in batch.items():
            partition = self._partitions.get(place)
            if partition is None:
                if place not in self._assigned:  # given up meanwhile
                    continue
                partition = self._partitions[place] = self._new(place)
            for record in records:
                partition.take(record.offset, self._uplinks(place, record))

    def on_revoked(self, places: Sequence[Place]) -> Deferred[Mapping[Place, int]]:
        """See `KafkaOwner`: what the gateway is storing is waited for, and what waits for it is dropped."""
        self._assigned -= set(places)
        closed = {place: found for place in places if (found := self._partitions.pop(place, None))}
        if not closed:
            return succeed({})
        quiet: Deferred[Any] = DeferredList(
            [partition.close() for partition in closed.values()], consumeErrors=True
        )
        quiet.addTimeout(PATIENCE, self._clock, lambda _, after: None)
        self._dirty -= set(places)
        return quiet.addCallback(lambda _: _offsets(closed))

    def on_assigned(self, places: Sequence[Place]) -> None:
        """See `KafkaOwner`."""
        self._contact.works(AGAIN)
        if self._assigned != set(places):
            self._counts["rebalances"] += 1
        self._assigned = frozenset(places)

    def on_missed(self, place: Place, what: str) -> None:
        """See `KafkaOwner`."""
        self._intake.event("missed", f"{place[0]}, partition {place[1]}: {what}", "warning")

    def on_waiting(self, number: int) -> None:
        """See `KafkaOwner`."""
        self._waiting = number
        self._contact.works(AGAIN)

    def on_not_committed(self, reason: str) -> None:
        """See `KafkaOwner`: the messages come again, that is all."""
        self._counts["failedCommits"] += 1

    # --- messages ---

    def _new(self, place: Place) -> Partition[int]:
        def pause() -> None:
            self._paused()
            self._reader.pause(place)

        return Partition(
            self._intake, self._clock, pause, partial(self._reader.resume, place), partial(self._grew, place),
            self._reply, self._frames,
        )  # fmt: skip

    def _grew(self, place: Place) -> None:
        self._dirty.add(place)
        if self._timer is None:
            self._timer = self._clock.callLater(COMMIT_EVERY, self._commit)

    def _commit(self) -> None:
        self._timer = None
        dirty, self._dirty = self._dirty, set()
        ours = {place: found for place in dirty if (found := self._partitions.get(place))}
        if offsets := _offsets(ours):
            self._reader.commit(offsets)

    def _uplinks(self, place: Place, record: KafkaRecord) -> Iterable[Found]:
        topic, number = place
        if record.value is None:  # it says that its key is deleted
            self._counts["tombstones"] += 1
            return []
        known: Metadata = {
            "protocol": "kafka", "topic": topic, "partition": number, "offset": record.offset,
            "timestamp": record.timestamp,
        }  # fmt: skip
        key = _text(record.key)
        if key:
            known["key"] = key
        device = key if self._settings.key_is_device else ""
        for name, value in record.headers[:MOST_HEADERS]:
            if name == self._settings.device_header and value:
                device = str(self._header(value))
            if self._may_show(name):
                known[f"Header:{name}"] = self._header(value)
        # a topic that was deleted and made again begins at 0, so an offset alone is no name
        name = f"{topic}/{number}/{record.offset}@{record.timestamp}"
        return self._messages.uplinks(record.value, known, device, name, key)


def _offsets(partitions: Mapping[Place, Partition[int]]) -> dict[Place, int]:
    """What to commit: the offset after the last one that is durable."""
    return {
        place: durable + 1
        for place, partition in partitions.items()
        if (durable := partition.durable) is not None
    }


def _text(key: bytes | None) -> str:
    """A key as text; empty for one that is none."""
    try:
        text = (key or b"").decode()
    except UnicodeDecodeError:
        return ""
    return "" if unfit(text) else text


def header_text(value: bytes | None) -> Any:
    """A header's value as text, in hexadecimal where it is no UTF-8."""
    try:
        return (value or b"").decode()
    except UnicodeDecodeError:
        return (value or b"").hex()
