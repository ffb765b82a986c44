"""A datasource's uplinks on their way through the converters.

Uplinks are converted while they are still being stored, in batches that form while the previous batch is under way.
The results take effect once the uplinks are durable: their outcomes then go to the journal in the order of the
uplinks, together with the position up to which this datasource is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec
from twisted.internet.defer import Deferred

from iotgw.core.errors import NotFound
from iotgw.core.model import (
    Conversion,
    ConversionError,
    ConverterVersion,
    Job,
    Outcome,
    Output,
    State,
    StoredUplink,
)
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.converters import IConverters, IConverterVersions
from iotgw.core.ports.debug import IDebug
from iotgw.core.ports.downlinks import IDownlinks
from iotgw.core.ports.journal import IUplinkStream
from iotgw.core.ports.live import ILiveFeed
from iotgw.core.ports.speakers import ISpeakers
from iotgw.core.ports.usage import IDeviceMeter
from iotgw.core.proof import proved
from iotgw.core.speakers import Anybody
from iotgw.core.stream import StreamReader
from iotgw.core.times import DateMs
from iotgw.pipeline.batch import ConversionBatch
from iotgw.pipeline.choosing import ConverterChooser, facts_of
from iotgw.pipeline.dating import dated
from iotgw.pipeline.rejections import BEYOND_LIMIT, REJECTED, rejection
from iotgw.pipeline.sender_check import SenderCheck
from iotgw.pipeline.sources import Source
from iotgw.pipeline.strangers import Strangers

BATCH = 128
"""Uplinks per conversion batch: enough to make the cost of a pipe small, few enough for a quick first answer."""
BATCHES_IN_FLIGHT = 2
CAPACITY = 4096
"""Uplinks that wait in memory for a datasource's converter; further ones wait in the journal."""

_DELETED = "Deleted"
"""The error of uplinks that were never converted because their datasource was deleted."""


def _weight(uplinks: Iterable[StoredUplink]) -> int:
    return sum([len(stored.uplink.payload) + len(stored.uplink.metadata) for stored in uplinks])


class Conversions:
    """The conversions of one datasource. ``position`` is where the journal says that its last conversion ended.

    ``converted(outcomes)`` is called when durable uplinks are converted, ``unreadable(positions, reason)`` when
    stored uplinks turn out to be unreadable and have therefore failed, and ``refused(peer, reason)`` when a sender claimed
    to be a device that it may not speak for.

    Many methods: one for each step of an uplink from the journal to its outcome.
    """

    def __init__(
        self,
        source: Source,
        position: int,
        journal: IUplinkStream,
        converters: IConverters,
        versions: IConverterVersions,
        downlinks: IDownlinks,
        converted: Callable[[list[Outcome]], None],
        unreadable: Callable[[list[int], str], None] = lambda positions, reason: None,
        calendar: ICalendar | None = None,
        speakers: ISpeakers | None = None,
        refused: Callable[[str, str], None] = lambda peer, reason: None,
        strangers: Strangers | None = None,
        *,
        meter: IDeviceMeter | None = None,
        debug: IDebug | None = None,
        live: ILiveFeed | None = None,
    ) -> None:
        self._source = source
        self._meter = meter
        self._debug = debug
        self._live = live
        self._journal = journal
        self._converters = converters
        self._chooser = ConverterChooser(source, versions)
        self._downlinks = downlinks
        self._converted = converted
        self._tell_unreadable = unreadable
        self._unreadable: list[int] = []
        self._calendar = calendar
        self._check = SenderCheck(source, speakers or Anybody(), refused)
        self._strangers = strangers
        self.position = position
        self._durable = journal.last_uplink
        self._reader: StreamReader[StoredUplink] = StreamReader(
            self._read, position, CAPACITY, self.pump, _weight
        )
        self._batches: deque[ConversionBatch] = deque()
        self._reason = ""
        self._given_up = ""
        self.dropped = 0
        """Uplinks that were settled unconverted since `give_up`."""

    def start(self) -> None:
        """Start converting where the journal says that the last run ended."""
        self._reader.fill()

    def look_up(self) -> None:
        """The converters of the datasource have changed: find out what they may say to devices."""
        said = [self._converters.says(version) for version in self._chooser.all()]
        self._source.says = frozenset().union(*said)

    def stop(self) -> None:
        """Give no further uplinks to the converters."""
        self._reader.close()

    def give_up(self, reason: str) -> None:
        """Convert nothing more. Every uplink that isn't under conversion fails with this reason."""
        self._given_up = reason

    def storing(self, uplinks: list[StoredUplink]) -> None:
        """These uplinks are being stored: convert them at the same time, unless others wait before them.

        Scripts that keep state are excluded. They would remember an uplink that the journal then refuses, and take the
        device's retransmission for a duplicate.
        """
        if not any(map(self._converters.remembers, self._chooser.all())):
            self._reader.anticipate(uplinks)

    def stored(self, uplinks: list[StoredUplink]) -> None:
        """These uplinks are durable."""
        self._source.counts["received"] += len(uplinks)
        self._source.bytes += sum([len(stored.uplink.payload) for stored in uplinks])
        self._durable = uplinks[-1].seq
        self._reader.offer(uplinks)
        self._settle()

    def refused(self, positions: set[int]) -> None:
        """The uplinks at these positions were not stored."""
        self._reader.drop(positions)
        for batch in self._batches:
            batch.refuse(positions)
        self._settle()

    def pump(self) -> None:
        """Give the next batches to the converters."""
        while len(self._batches) < BATCHES_IN_FLIGHT:
            uplinks = self._reader.take(BATCH)
            if not uplinks:
                return
            self._convert(ConversionBatch(uplinks))
            if self._unreadable:
                positions, self._unreadable = self._unreadable, []
                self._tell_unreadable(positions, self._reason)

    def abandon(self) -> None:
        """Settle what was given up and can't be read: all of it fails, without an outcome for each."""
        self._reader.close()
        counts = self._source.counts
        lost = counts["received"] - counts["converted"] - counts["filtered"] - counts["failed"]
        counts["failed"] += lost
        self.dropped += lost
        self.position = self._journal.last_uplink
        self._journal.settle(self._source.id, self.position, [], lost=lost)

    @property
    def is_given_up(self) -> bool:
        """Whether nothing more is converted."""
        return bool(self._given_up)

    @property
    def is_converting(self) -> bool:
        """Whether something is under conversion."""
        return bool(self._batches)

    @property
    def idle(self) -> bool:
        """Whether nothing is under conversion and nothing is known to wait for it. Once closed, nothing more
        begins."""
        return not self._batches and (self._reader.closed or self._reader.caught_up)

    @property
    def is_done(self) -> bool:
        """Whether every uplink of this datasource in the journal has its outcome. Reads on if not."""
        if self._batches or self._reader.closed:
            return False
        self._reader.fill()
        return self._reader.caught_up

    @property
    def pending(self) -> int:
        """Uplinks in memory that are not converted yet."""
        return len(self._reader) + sum(len(batch.uplinks) for batch in self._batches)

    def _read(self, after: int, limit: int) -> Deferred[list[StoredUplink]]:
        return self._journal.read_uplinks(self._source.id, after, limit)

    # --- a batch ---

    def _convert(self, batch: ConversionBatch) -> None:
        self._batches.append(batch)
        if not self._source.converts:
            self._keep(batch)
            return
        if self._given_up:
            error = ConversionError(self._given_up, stage="datasource", name=_DELETED)
            batch.outcomes = [_failed(stored.seq, error) for stored in batch.uplinks]
            self._settle()
            return
        jobs: list[Job] = []
        ready: dict[int, Outcome] = {}
        version, objections = self._chooser.only(), self._objections(batch.uplinks)
        for stored in batch.uplinks:
            job = self._job(stored, version, objections.get(stored.seq))
            if isinstance(job, Outcome):
                ready[stored.seq] = job
            else:
                jobs.append(job)

        def done(conversions: list[Conversion]) -> None:
            batch.receipts = [pair for pair in zip(jobs, conversions, strict=True) if pair[1].acks]
            if self._debug is not None:
                source = self._source
                batch.debugged = self._debug.picked(source.tenant, source.id, jobs, conversions)
            results = iter(zip(jobs, conversions, strict=True))
            is_familiar = self._check.familiar()
            batch.outcomes = [
                ready[stored.seq] if stored.seq in ready else self._outcome(*next(results), is_familiar)
                for stored in batch.uplinks
            ]
            self._settle()

        if jobs:
            self._converters.convert(jobs, done)
        else:
            done([])

    def _keep(self, batch: ConversionBatch) -> None:
        """Settle a batch without a converter: only uplinks that the datasource objected to have an outcome."""
        batch.outcomes = [_failed(*each) for each in self._objections(batch.uplinks).items()]
        self._settle()

    def _settle(self) -> None:
        """Hand over the outcomes of the batches that are converted and durable, in order."""
        batches = self._batches
        while batches and batches[0].outcomes is not None and batches[0].last <= self._durable:
            batch = batches.popleft()
            if batch.refused:
                batch.forget_refused()
            if batch.uplinks:
                self._count(batch)
        self.pump()

    def _count(self, batch: ConversionBatch) -> None:
        outcomes = batch.outcomes
        assert outcomes is not None
        for job, conversion in batch.receipts:
            self._acknowledged(job, conversion)
        if batch.debugged and self._debug is not None:
            source = self._source
            self._debug.converted(source.tenant, source.id, source.spec.name, batch.debugged)
        self._converted(outcomes)
        self.position = batch.uplinks[-1].seq
        kept = len(batch.uplinks) - len(outcomes)
        counts = self._source.counts
        counts["filtered"] += kept
        is_familiar = self._check.familiar()
        for at, outcome in enumerate(outcomes):
            if outcome.state is State.CONVERTED:
                counts["converted"] += 1
                # whatever has outputs has an outcome for each uplink
                metadata = batch.uplinks[at].uplink.metadata
                if not is_familiar(metadata, outcome.outputs):
                    self._check.heard(metadata, outcome.outputs)
            elif outcome.state is State.FAILED:
                counts["failed"] += 1
                if outcome.error is not None and outcome.error.name == _DELETED:
                    self.dropped += 1
            else:
                counts["filtered"] += 1
            if outcome.error is not None and self._strangers is not None:
                self._strangers.counts(outcome, batch.uplinks[at].uplink.received_ms)
        if self._meter is not None and outcomes:
            self._meter.converted(self._source.tenant, batch.uplinks, outcomes)
        self.show(batch.uplinks, outcomes)
        self._journal.settle(self._source.id, self.position, outcomes, haste=bool(outcomes), kept=kept)

    def show(self, uplinks: list[StoredUplink], outcomes: list[Outcome]) -> None:
        """Whoever looks on may see these uplinks."""
        if self._live is not None and self._live.is_watched:
            self._live.has_ended(self._source.tenant, self._source.id, uplinks, outcomes)

    # --- an uplink ---

    async def convert_again(self, stored: StoredUplink, released: str = "") -> Outcome:
        """Convert one stored uplink outside of the batches; only for the device that is ``released``, if one is."""
        objection = self._objections([stored]).get(stored.seq)
        is_too_much = objection is not None and objection.name == BEYOND_LIMIT  # it was only kept, for this
        job = self._job(stored, None, None if is_too_much else objection)
        if isinstance(job, Outcome):
            return job
        done: Deferred[list[Conversion]] = Deferred()
        self._converters.convert([job], done.callback)
        outcome = self._outcome(job, (await done)[0], self._check.familiar(), released)
        if outcome.error is not None and self._strangers is not None:
            self._strangers.counts(outcome, job.received_ms)
        self._check.heard(job.metadata, outcome.outputs)
        return msgspec.structs.replace(outcome, aside=None)  # its sender was answered long ago

    def _job(
        self, stored: StoredUplink, version: ConverterVersion | None, objection: ConversionError | None
    ) -> Job | Outcome:
        """The job that converts an uplink, or its outcome if it can't be converted because there is an ``objection``, or no
        converter. If ``version`` is None, the uplink's metadata names the converter."""
        uplink = stored.uplink
        if objection is not None:
            return _failed(stored.seq, objection)
        if version is None:
            try:
                version = self._chooser.of(uplink)
            except NotFound as error:
                return _failed(stored.seq, ConversionError(str(error), name="NoConverter"))
            if version is None:
                return Outcome(stored.seq, State.FILTERED, "")  # it is only stored
        received_ms, metadata = uplink.received_ms, uplink.metadata
        if self._calendar is not None and self._calendar.has_doubts:
            received_ms, metadata = dated(self._calendar, received_ms, metadata)
        return Job(version, uplink.payload, metadata, received_ms, stored.seq)

    def _objections(self, uplinks: list[StoredUplink]) -> dict[int, ConversionError]:
        """Why some of these uplinks can't be converted, by position. Mostly it is none, which one look at the metadata of all
        tells."""
        told = b"\n".join([stored.uplink.metadata for stored in uplinks])
        if told.find(REJECTED) < 0 and not self._check.concerns(told):
            return {}
        found = [(stored.seq, self._objection(stored)) for stored in uplinks]
        return {seq: objection for seq, objection in found if objection is not None}

    def _objection(self, stored: StoredUplink) -> ConversionError | None:
        """Why an uplink can't be converted: its datasource rejected it, or the journal can't read it. None if it
        can."""
        uplink = stored.uplink
        if (objection := rejection(uplink)) is not None:
            if objection.stage == "journal":
                self._unreadable.append(stored.seq)
                self._reason = objection.message
            return objection
        return self._check.claim(uplink.metadata)

    def _outcome(
        self,
        job: Job,
        conversion: Conversion,
        is_familiar: Callable[[bytes, Sequence[Output]], bool],
        released: str = "",
    ) -> Outcome:
        key = job.converter.key
        if conversion.error is not None:
            return Outcome(job.seq, State.FAILED, key, (), conversion.error)
        if not conversion.outputs:
            return Outcome(job.seq, State.FILTERED, key, (), None, DateMs(0), conversion.aside)
        is_doubtful = not is_familiar(job.metadata, conversion.outputs)
        if is_doubtful and (error := self._check.speaking(job.metadata, conversion.outputs)) is not None:
            return Outcome(job.seq, State.FAILED, key, (), error)
        outcome = Outcome(
            job.seq, State.CONVERTED, key, conversion.outputs, None, job.received_ms, conversion.aside
        )
        if self._strangers is None or (self._strangers.are_welcome and not released):
            return outcome
        return self._strangers.judged(outcome, job.metadata, released)

    def _acknowledged(self, job: Job, conversion: Conversion) -> None:
        """Pass on the receipts for downlinks that the converter found: of the device that it names beside them, or
        else of the sender. A sender that may not speak for a device can't confirm what was sent to that device."""
        source = self._source
        if self._check.objection(job.metadata, conversion.outputs):
            return
        identity = str(facts_of(job.metadata).identity or "")
        sender = identity or next((output.device_name for output in conversion.outputs), "")
        for text in conversion.acks:
            ack = msgspec.json.decode(text)
            device = ack.pop("deviceName", "") or sender
            has_proved = proved(job.metadata)
            self._downlinks.acknowledged(source.tenant, device, source.id, identity, ack, has_proved)


def _failed(seq: int, error: ConversionError) -> Outcome:
    return Outcome(seq, State.FAILED, "", (), error)
