"""A stream of Amazon Kinesis: each shard's records in order, and places of our own in them.

Kinesis keeps records for a time, and no place for who reads them. So the gateway keeps one for each shard, up to which all records
are durable. What was read beyond it comes again after a crash, and is recognised by its sequence number.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from twisted.application.internet import backoffPolicy
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from iotgw.connect.json_api import CallProblem
from iotgw.connect.kinesis import KinesisApi, KinesisRecord, KinesisShard
from iotgw.core.errors import SettingsError
from iotgw.core.model import Metadata
from iotgw.core.names import unfit
from iotgw.core.ports.checkpoints import ICheckpoints
from iotgw.core.ports.connect import IConnector
from iotgw.core.ports.datasources import DatasourceContext, IDatasource, IForgets, IRunsOnce, IVouches
from iotgw.core.ports.reactor import IReactor
from iotgw.datasources.kinesis.keeping import Keeping
from iotgw.datasources.kinesis.lineage import DONE, STARTED, Lineage
from iotgw.datasources.kinesis.settings import KinesisSourceSettings
from iotgw.datasources.kinesis.shard import OLDEST, Begin, ShardReader
from iotgw.datasources.pulled import Found, Partition
from iotgw.datasources.pulled_source import PATIENCE, PulledSource

LOOK_EVERY = 60.0
"""Seconds between two looks which shards there are; one that ends is a reason to look, too."""
TIMEOUT = 30.0
"""Seconds for a request."""
CONNECTIONS = 16
LATEST = 1e12
"""Seconds since 1970; a later time is none."""


@implementer(IVouches, IForgets, IRunsOnce)
class KinesisSourceType:
    """The ``aws-kinesis`` datasources of a gateway."""

    name = "aws-kinesis"
    settings = KinesisSourceSettings

    def __init__(self, reactor: IReactor, connector: IConnector) -> None:
        self._connector = connector

    def build(self, settings: KinesisSourceSettings, context: DatasourceContext) -> KinesisDatasource:
        """See `IDatasourceType.build`."""
        return KinesisDatasource(settings, context, self._connector)

    def vouches(self, settings: Any) -> bool:
        """See `IVouches.vouches`: a stream's policy says who may write to it."""
        return True

    def forget(self, settings: Any, context: DatasourceContext, successor: Any) -> Deferred[None] | None:
        """See `IForgets.forget`: the places go with the datasource."""
        return context.checkpoints.forget() if successor is None and context.checkpoints is not None else None


@implementer(IDatasource)
class KinesisDatasource(PulledSource[KinesisSourceSettings]):
    """A stream that is read."""

    def __init__(
        self, settings: KinesisSourceSettings, context: DatasourceContext, connector: IConnector
    ) -> None:
        super().__init__(settings, context)
        if context.checkpoints is None:
            raise SettingsError("type", "aws-kinesis needs a gateway that keeps its places")
        self._checkpoints: ICheckpoints = context.checkpoints
        self._date_ms = context.date_ms
        self._api = KinesisApi(
            context.reactor, connector, settings, lambda: context.date_ms() / 1000, connections=CONNECTIONS,
            timeout=TIMEOUT,
        )  # fmt: skip
        self._lineage = Lineage({})
        self._readers: dict[str, ShardReader] = {}
        self._partitions: dict[str, Partition[str]] = {}
        self._last: dict[str, str] = {}
        """The sequence numbers of the records that were handed over last, by shard."""
        self._ended: set[str] = set()
        """Shards that have ended, and aren't durable yet."""
        self._failing: set[str] = set()
        self._backoff = backoffPolicy(1.0, 60.0)
        self._listing = self._failures = 0
        self._found: list[KinesisShard] = []
        self._look_timer: IDelayedCall | None = None
        self._keeping = Keeping(
            self._checkpoints, settings.name, lambda: self._lineage.positions, self._clock, self._counts
        )

    # --- IDatasource ---

    def start(self) -> Deferred[None]:
        """Read in the background, with retries while the stream doesn't answer."""
        return self._intake.recall().addCallback(self._begin)

    def _begin(self, _: None) -> None:
        if self._is_stopped:
            return
        self._lineage = Lineage(self._checkpoints.read(self._settings.name))
        if STARTED not in self._lineage.positions:
            self._lineage.positions[STARTED] = str(self._date_ms())
            self._keeping.changed()
        self._look()

    def stop(self) -> Deferred[None]:
        """Keep the places of what is durable, and disconnect."""
        self._is_stopped = True
        self._contact.ends()
        for reader in self._readers.values():
            reader.stop()
        self._keeping.stop()
        if self._look_timer is not None:
            self._look_timer.cancel()
            self._look_timer = None
        quiet: Deferred[Any] = DeferredList(
            [each.close() for each in self._partitions.values()], consumeErrors=True
        )
        quiet.addTimeout(PATIENCE, self._clock, lambda _, after: None)
        return quiet.addCallback(lambda _: self._keeping.last()).addCallback(lambda _: self._api.close())

    def status(self) -> dict[str, Any]:
        """See `iotgw.core.ports.datasources.IDatasource.status`. ``shards`` are those that are read."""
        paused = sum(partition.is_paused for partition in self._partitions.values())
        return {
            "state": self._contact.state,
            "address": self._settings.name,
            "shards": self._lineage.reading,
            **({"pausedShards": paused} if paused else {}),
            **self._contact.shown(),
            **self._counted(),
        }

    # --- which shards ---

    def _look(self) -> None:
        self._look_timer = None
        if not self._listing and not self._is_stopped:
            self._listing, self._found = 1, []
            self._api.shards(self._listed)

    def _listed(self, answer: Any, problem: CallProblem | None) -> None:
        if self._is_stopped:
            return
        if problem is not None:
            self._listing = 0
            self._failures += 1
            self.on_shard_failed("", problem)
            self._look_later(max(self._backoff(self._failures), problem.after or 0.0))
            return
        self._failures = 0
        self._found += answer.shards
        if answer.next_token:
            self._api.shards(self._listed, answer.next_token)
            return
        self._listing = 0
        self.on_shard_answers("")
        self._lineage.listed(self._found)
        self._read_due()
        self._look_later(LOOK_EVERY)

    def _look_later(self, seconds: float) -> None:
        if self._look_timer is not None:
            self._look_timer.cancel()
        self._look_timer = self._clock.callLater(seconds, self._look)

    def _read_due(self) -> None:
        for shard in self._lineage.due():
            reader = ShardReader(
                shard,
                self._place_of(shard),
                self._api,
                self._clock,
                self,
                self._settings.interval,
                self._backoff,
            )
            self._readers[shard] = reader
            self._partitions[shard] = Partition(
                self._intake,
                self._clock,
                partial(self._pause, reader),
                reader.resume,
                partial(self._grew, shard),
                frames=self._frames,
            )
            reader.start()

    def _place_of(self, shard: str) -> Begin:
        position = self._lineage.positions.get(shard)
        if position is not None and position != DONE:
            return "AFTER_SEQUENCE_NUMBER", {"StartingSequenceNumber": position}
        if self._settings.start == "earliest":
            return OLDEST
        # what came before the first start isn't wanted; what came since is, however often the gateway was started
        return "AT_TIMESTAMP", {"Timestamp": int(self._lineage.positions[STARTED]) / 1000}

    def _pause(self, reader: ShardReader) -> None:
        self._paused()
        reader.pause()

    # --- ShardOwner ---

    def on_records(self, shard: str, records: list[KinesisRecord]) -> None:
        """See `ShardOwner`."""
        partition = self._partitions[shard]
        self._last[shard] = records[-1].sequence_number
        for record in records:
            partition.take(record.sequence_number, self._uplinks(shard, record))

    def on_shard_end(self, shard: str) -> None:
        """See `ShardOwner`: what follows it is read when it is durable."""
        self._ended.add(shard)
        self._look_if_ended(shard)

    def on_shard_failed(self, shard: str, problem: CallProblem) -> None:
        """See `ShardOwner`."""
        self._failing.add(shard)
        self._contact.fails(problem.reason)

    def on_shard_answers(self, shard: str) -> None:
        """See `ShardOwner`."""
        self._failing.discard(shard)
        if not self._failing:
            self._contact.works(f"reading {self._settings.name}")

    def on_throttled(self, shard: str) -> None:
        """See `ShardOwner`."""
        self._counts["throttled"] += 1

    def on_gap(self, shard: str) -> None:
        """See `ShardOwner`."""
        self._intake.event(
            "missed",
            f"{shard}: the stream no longer has the record after which it was to be read; "
            "it keeps records for too short a time, or the gateway was away for too long",
            "warning",
        )

    # --- places ---

    def _grew(self, shard: str) -> None:
        durable = self._partitions[shard].durable
        if durable is not None:
            self._lineage.reached(shard, durable)
            self._keeping.changed()
            self._look_if_ended(shard)

    def _look_if_ended(self, shard: str) -> None:
        """A shard that has ended is done with when its last record is durable."""
        if shard not in self._ended or self._partitions[shard].durable != self._last.get(shard):
            return
        self._ended.discard(shard)
        self._lineage.ended(shard)
        for each in (self._readers, self._partitions, self._last):
            each.pop(shard, None)
        self._failing.discard(shard)
        self._counts["endedShards"] += 1
        self._keeping.changed()
        if not self._is_stopped:
            self._look_later(0)

    # --- records ---

    def _uplinks(self, shard: str, record: KinesisRecord) -> Iterable[Found]:
        key = "" if unfit(record.partition_key) else record.partition_key
        known: Metadata = {
            "protocol": "aws-kinesis", "stream": self._settings.stream, "shard": shard,
            "sequenceNumber": record.sequence_number, "partitionKey": key,
        }  # fmt: skip
        arrived = record.approximate_arrival_timestamp
        if arrived is not None and 0 <= arrived < LATEST:
            known["timestamp"] = int(arrived * 1000)
        device = key if self._settings.key_is_device else ""
        name = f"{self._settings.stream}/{shard}/{record.sequence_number}"
        return self._messages.uplinks(record.data, known, device, name, key)
