"""One datasource's side of the spine: it takes uplinks, and has them converted in their order.

An intake gives each uplink to the journal. What has become durable comes back through a `Tail`, goes to the
converters in batches that form while the last ones are under way, and their outcomes go to the journal in
the uplinks' order, together with the place up to which this datasource is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import implementer

from iotgw.errors import NotFound
from iotgw.interfaces import IIntake
from iotgw.model import (
    Answer,
    Conversion,
    ConversionError,
    ConverterVersion,
    DatasourceSpec,
    Downlink,
    Job,
    Metadata,
    Outcome,
    Output,
    State,
    Status,
    StoredUplink,
    Uplink,
)
from iotgw.tail import Tail

BATCH = 128
"""Uplinks per conversion batch: enough to make a pipe's cost small, few enough for a quick first answer."""
BATCHES_IN_FLIGHT = 2
CAPACITY = 4096
"""Uplinks that wait in memory for a datasource's converter; the rest waits in the journal."""

_encode = msgspec.json.Encoder().encode
_REJECTED = b'"rejected":'


class _Routing(Struct):
    """The metadata that the spine itself reads."""

    deviceModel: str = ""
    identity: str = ""
    rejected: str = ""


_routing = msgspec.json.Decoder(_Routing).decode


def _weight(uplink: StoredUplink) -> int:
    return len(uplink.uplink.payload)


class _Batch:
    """Uplinks under conversion; ``outcomes`` is set when it is back, of all but those that are only ``kept``."""

    __slots__ = ("kept", "outcomes", "uplinks")

    def __init__(self, uplinks: list[StoredUplink]) -> None:
        self.uplinks = uplinks
        self.kept = 0
        self.outcomes: list[Outcome] | None = None


@implementer(IIntake)
class Intake:
    """What a datasource sees of the gateway.

    ``gateway`` is the `iotgw.gateway.Gateway`; ``position`` the place up to which this datasource's
    uplinks were converted, as the journal tells.
    """

    def __init__(self, gateway: Any, id: str, tenant: str, spec: DatasourceSpec, position: int) -> None:
        self.gateway = gateway
        self.id = id
        self.tenant = tenant
        self.spec = spec
        self.position = position
        self.guard: Callable[[bytes, Sequence[Output]], str] | None = None
        self.counts = {"received": 0, "converted": 0, "filtered": 0, "failed": 0, "refused": 0}
        self._tail: Tail[StoredUplink] = Tail(self._read, position, CAPACITY, self.pump, _weight)
        self._batches: deque[_Batch] = deque()
        self._removed = False

    def configure(self, spec: DatasourceSpec) -> None:
        """Take over changed settings; what is under way goes on."""
        self.spec = spec

    # --- for the datasource ---

    @property
    def room(self) -> bool:
        """Whether uplinks are taken now."""
        return bool(self.gateway.room)

    def receive(
        self,
        payload: bytes,
        metadata: Metadata,
        answer: Callable[[Answer], None],
        received_ms: int = 0,
        listens: bool = True,
    ) -> int:
        """See `IIntake.receive`; returns the uplink's position, 0 when it was refused."""
        gateway = self.gateway
        if not gateway.room:
            self.counts["refused"] += 1
            answer(gateway.busy)
            return 0
        if len(payload) > gateway.max_payload:
            self.counts["refused"] += 1
            answer(Answer(Status.TOO_LARGE))
            return 0
        if self.spec.metadata:
            metadata = {**self.spec.metadata, **metadata}
        text = _encode(metadata)
        uplink = Uplink(self.tenant, self.id, received_ms or gateway.now_ms(), payload, text)
        seq: int = gateway.journal.append(uplink, (answer, metadata.get("identity", "") if listens else None))
        return seq

    def receive_and_hold(
        self, payload: bytes, metadata: Metadata, answer: Callable[[Answer], None], ttd: float
    ) -> Callable[[], None]:
        """See `IIntake.receive_and_hold`."""
        let_go: Callable[[], None] = self.gateway.held.receive(self, payload, metadata, answer, ttd)
        return let_go

    def reject(self, payload: bytes, metadata: Metadata, reason: str) -> None:
        """See `IIntake.reject`."""
        self.receive(payload, {**metadata, "rejected": reason}, _nobody, listens=False)

    def when_room(self, callback: Callable[[], None]) -> None:
        """See `IIntake.when_room`."""
        self.gateway.when_room(callback)

    def event(self, type: str, message: str, severity: str = "info", **detail: Any) -> None:
        """See `IIntake.event`."""
        self.gateway.event(type, "datasource", self.spec.name, message, self.tenant, severity, **detail)

    def downlink_sent(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_sent`."""
        self.gateway.downlinks.outcome(downlink.id, "sent")

    def downlink_delivered(self, downlink: Downlink, is_certain: bool = True) -> None:
        """See `IIntake.downlink_delivered`."""
        self.gateway.downlinks.outcome(downlink.id, "delivered" if is_certain else "answered")

    def downlink_lost(self, downlink: Downlink, reason: str) -> None:
        """See `IIntake.downlink_lost`."""
        self.gateway.downlinks.outcome(downlink.id, "lost", reason)

    def downlink_returned(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_returned`."""
        self.gateway.downlinks.outcome(downlink.id, "returned")

    def downlink_offered(self, downlink: Downlink) -> None:
        """See `IIntake.downlink_offered`."""
        self.gateway.downlinks.outcome(downlink.id, "offered", "offered to the network")

    def downlink_confirmed(self, device: str, delivered: bool, reason: str = "") -> None:
        """See `IIntake.downlink_confirmed`."""
        state = "delivered" if delivered else "lost"
        self.gateway.downlinks.confirmed(self.tenant, device, state, reason)

    def downlinks(self, device: str, limit: int = 1) -> Any:
        """See `IIntake.downlinks`."""
        return self.gateway.take_downlinks(self, device, limit)

    def reachable(self, device: str, send: Callable[[tuple[Downlink, ...]], None]) -> Callable[[], None]:
        """See `IIntake.reachable`."""
        return self.gateway.downlinks.reachable(self.tenant, device, self.id, send)

    # --- for the gateway ---

    @property
    def converts(self) -> bool:
        """Whether uplinks are converted, or only stored."""
        return bool(self.spec.converter or self.spec.converters)

    def start(self) -> None:
        """Go on where the journal says."""
        self._tail.fill()

    def stop(self) -> None:
        """Hand nothing more to the converters."""
        self._tail.close()

    def remove(self) -> None:
        """The datasource is deleted: what is under conversion ends, the rest stays as it was received. Its
        cursor goes to the end, so that the journal keeps nothing for it."""
        self.stop()
        self._removed = True
        self._settle()

    def stored(self, uplinks: list[StoredUplink]) -> None:
        """These uplinks of this datasource are durable."""
        self.counts["received"] += len(uplinks)
        self._tail.offer(uplinks)

    def pump(self) -> None:
        """Hand the next batches to the converters."""
        while len(self._batches) < BATCHES_IN_FLIGHT:
            uplinks = self._tail.take(BATCH)
            if not uplinks:
                return
            self._convert(uplinks)

    @property
    def idle(self) -> bool:
        """Whether nothing is under conversion, nor known to wait for it (once closed, nothing more begins)."""
        return not self._batches and (self._tail.closed or self._tail.caught_up)

    @property
    def pending(self) -> int:
        """Uplinks in memory that are not converted yet."""
        return len(self._tail) + sum(len(batch.uplinks) for batch in self._batches)

    # --- conversion ---

    def _read(self, after: int, limit: int) -> Any:
        return self.gateway.journal.read_uplinks(self.id, after, limit)

    def _convert(self, uplinks: list[StoredUplink]) -> None:
        batch = _Batch(uplinks)
        self._batches.append(batch)
        if not self.converts:
            self._keep(batch)
            return
        jobs: list[Job] = []
        ready: dict[int, Outcome] = {}
        version = self._only_version()
        for stored in uplinks:
            job = self._job(stored, version)
            if isinstance(job, Outcome):
                ready[stored.seq] = job
            else:
                jobs.append(job)

        def done(conversions: list[Conversion]) -> None:
            for job, conversion in zip(jobs, conversions, strict=True):
                if conversion.acks:
                    self._acknowledged(job, conversion)
            results = iter(zip(jobs, conversions, strict=True))
            batch.outcomes = [
                ready[stored.seq] if stored.seq in ready else self._outcome(*next(results))
                for stored in uplinks
            ]
            self.gateway.converted(batch.outcomes)
            self._settle()

        if jobs:
            self.gateway.converters.convert(jobs, done)
        else:
            done([])

    def _keep(self, batch: _Batch) -> None:
        """Nothing is converted here: only what a datasource has objected to ends as something."""
        batch.outcomes = [
            _failed(stored.seq, objection)
            for stored in batch.uplinks
            if (objection := _objection(stored.uplink)) is not None
        ]
        batch.kept = len(batch.uplinks) - len(batch.outcomes)
        self._settle()

    def _job(self, stored: StoredUplink, version: ConverterVersion | None) -> Job | Outcome:
        """The conversion that an uplink needs, or its outcome where it can have none. ``version`` None: its
        metadata says which converter."""
        uplink = stored.uplink
        if (objection := _objection(uplink)) is not None:
            return _failed(stored.seq, objection)
        if version is None:
            if not self.spec.converter and not self.spec.converters:
                return Outcome(stored.seq, State.FILTERED, "")  # it is only to be stored
            try:
                version = self._converter(uplink)
            except NotFound as error:
                return _failed(stored.seq, ConversionError(str(error), name="NoConverter"))
        return Job(version, uplink.payload, uplink.metadata, uplink.received_ms, stored.seq)

    def _only_version(self) -> ConverterVersion | None:
        """The converter version of every uplink, where there is one for all."""
        if self.spec.converters or not self.spec.converter:
            return None
        try:
            version: ConverterVersion = self.gateway.versions.active(self.tenant, self.spec.converter)
        except NotFound:
            return None
        return version

    async def convert_again(self, stored: StoredUplink) -> Outcome:
        """Convert one stored uplink by itself."""
        job = self._job(stored, None)
        if isinstance(job, Outcome):
            return job
        done: Deferred[list[Conversion]] = Deferred()
        self.gateway.converters.convert([job], done.callback)
        return self._outcome(job, (await done)[0])

    def _converter(self, uplink: Uplink) -> ConverterVersion:
        name = self.spec.converter
        if self.spec.converters:
            model = _routing(uplink.metadata).deviceModel
            name = self.spec.converters.get(model, name)
            if not name:
                raise NotFound(
                    f"no converter for device model {model!r}: expected one of "
                    f"{', '.join(sorted(self.spec.converters))} in `converters`, or a `converter` for the rest"
                )
        return self.gateway.versions.active(self.tenant, name)

    def _outcome(self, job: Job, conversion: Conversion) -> Outcome:
        key = job.converter.key
        if conversion.error is not None:
            return Outcome(job.seq, State.FAILED, key, (), conversion.error)
        if not conversion.outputs:
            return Outcome(job.seq, State.FILTERED, key)
        if self.guard is not None and (objection := self.guard(job.metadata, conversion.outputs)):
            error = ConversionError(objection, stage="datasource", name="IdentityMismatch")
            return Outcome(job.seq, State.FAILED, key, (), error)
        return Outcome(job.seq, State.CONVERTED, key, conversion.outputs, None, job.received_ms)

    def _acknowledged(self, job: Job, conversion: Conversion) -> None:
        """The converter read receipts for downlinks: each of the device beside it, or of the sender. Who may
        not speak for a device can't confirm what was sent to it."""
        if self.guard is not None and self.guard(job.metadata, conversion.outputs):
            return
        identity = _routing(job.metadata).identity
        sender = identity or next((output.device_name for output in conversion.outputs), "")
        for text in conversion.acks:
            ack = msgspec.json.decode(text)
            device = ack.pop("deviceName", "") or sender
            self.gateway.downlinks.acknowledged(self.tenant, device, identity, ack)

    def _settle(self) -> None:
        batches = self._batches
        while batches and (outcomes := batches[0].outcomes) is not None:
            batch = batches.popleft()
            self.position = batch.uplinks[-1].seq
            counts = self.counts
            counts["filtered"] += batch.kept
            for outcome in outcomes:
                if outcome.state is State.CONVERTED:
                    counts["converted"] += 1
                elif outcome.state is State.FAILED:
                    counts["failed"] += 1
                else:
                    counts["filtered"] += 1
            self.gateway.journal.settle(
                self.id, self.position, outcomes, haste=bool(outcomes), kept=batch.kept
            )
        if not self._removed:
            self.pump()
        elif not batches:
            self.gateway.journal.settle(self.id, self.gateway.journal.last_uplink, [])


def _objection(uplink: Uplink) -> ConversionError | None:
    """Why the datasource itself says that an uplink is none."""
    if _REJECTED in uplink.metadata and (reason := _routing(uplink.metadata).rejected):
        return ConversionError(reason, stage="datasource", name="Rejected")
    return None


def _failed(seq: int, error: ConversionError) -> Outcome:
    return Outcome(seq, State.FAILED, "", (), error)


def _nobody(answer: Answer) -> None:
    """A rejected frame has nobody to answer."""
