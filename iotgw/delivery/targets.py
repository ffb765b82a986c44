"""Makes targets from saved specs, and gives them access to the gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from iotgw.core import own_file
from iotgw.core.epochs import Epochs
from iotgw.core.errors import Full, NoSpace, Unavailable
from iotgw.core.model import TelemetryRecord
from iotgw.core.parts import Part, PartEpochs
from iotgw.core.placed_epochs import original
from iotgw.core.places import part_of
from iotgw.core.ports.clock import ICalendar
from iotgw.core.ports.debug import IDebug
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import (
    QUEUED,
    IIntegration,
    IIntegrationType,
    IntegrationContext,
    Queued,
    Show,
    Tell,
)
from iotgw.core.ports.journal import ITelemetryStream
from iotgw.core.ports.reactor import IReactor
from iotgw.core.recorder import Recorder
from iotgw.core.specs import DownlinkSpec, IntegrationSpec
from iotgw.core.types import Types
from iotgw.core.validate import convert
from iotgw.delivery.accepted_parts import AcceptedParts
from iotgw.delivery.parted_target import PartedTarget
from iotgw.delivery.rate import RateOf, own_rate
from iotgw.delivery.shared_target import Share, SharedTargets

Unseal = Callable[[str], str]
"""The clear text of a sealed secret; see `iotgw.core.ports.registry.IRegistry.unseal`."""
Queue = Callable[[str, str, DownlinkSpec], Awaitable[object]]
"""Queues a downlink for a tenant's device; see `iotgw.core.ports.downlinks.IDownlinkQueue.push`."""


def untold(type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
    """A `Tell` that does nothing."""


class Targets:
    """Makes targets. ``datasource_name``, ``data_dir`` and ``show`` are as in `IntegrationContext`. Those of `single` integrations are the node's, ``shared`` by all
    partitions to whose records it delivers; ``part`` tells the number of this one."""

    _log = Logger()

    def __init__(
        self,
        types: Types[IIntegrationType],
        journal: ITelemetryStream,
        reactor: IReactor,
        recorder: Recorder,
        datasource_name: Callable[[str], str],
        queue: Queue | None,
        unseal: Unseal | None,
        data_dir: str,
        calendar: ICalendar,
        show: Show,
        seal: Unseal | None = None,
        *,
        debug: IDebug | None = None,
        shared: SharedTargets | None = None,
        part: Callable[[], int] = lambda: 0,
    ) -> None:
        self._shared = shared
        self._part = part
        self._types = types
        self._journal = journal
        self._reactor = reactor
        self._recorder = recorder
        self._datasource_name = datasource_name
        self._queue = queue
        self._unseal = unseal
        self._seal = seal
        self._data_dir = data_dir
        self._calendar = calendar
        self._show = show
        self._debug = debug

    def build(
        self,
        id_: str,
        name: str,
        tenant: str,
        spec: IntegrationSpec,
        tell: Tell = untold,
        available: Callable[[], None] = lambda: None,
        warn: Callable[[str], None] = lambda text: None,
    ) -> IIntegration:
        """The target of an integration, not started. Raises SettingsError if the spec is invalid.

        The target records events by ``tell``, and calls ``available()`` when it can be reached again. ``warn`` is told what a user should
        know of the settings."""
        epochs = self._journal.epochs
        if not (spec.single and self._shared is not None and id_):
            return self.make(id_, name, tenant, spec, tell, available, warn, epochs)
        return self._shared.join(id_, name, tenant, spec, Share(self._part(), epochs, tell, available, warn))

    def make(
        self, id_: str, name: str, tenant: str, spec: IntegrationSpec, tell: Tell, available: Callable[[], None],
        warn: Callable[[str], None], epochs: Epochs, is_ours: Callable[[], bool] = lambda: True,
    ) -> IIntegration:  # fmt: skip
        """The same, for records that are called by ``epochs``. ``is_ours`` is as in `IntegrationContext`."""
        settings = self._types.configure(spec.type, spec.configuration, self._unseal)
        context = IntegrationContext(
            id=id_, name=name, tenant=tenant, spec=spec, reactor=self._reactor,
            epochs=epochs if spec.split == "device" else PartEpochs(epochs, spec.split),
            datasource_name=self._datasource_name, event=tell, downlink=self._downlink,
            data_dir=self._data_dir, available=available, calendar=self._calendar, warn=warn, show=partial(self._exchanged, tenant, name), shown=partial(self._shown, tenant, id_),
            seal=self._seal or str, unseal=self._unseal or str, is_ours=is_ours,
        )  # fmt: skip
        target = self._types.get(spec.type).build(settings, context)
        if spec.split == "device":
            return target
        path = own_file.path_of(self._data_dir, "parts", id_)
        accepted = AcceptedParts(path, spec.split, self._reactor)
        return PartedTarget(target, spec.split, spec.route.wants, accepted, epochs.key, self._reactor)

    def rate_of(self, id_: str, spec: IntegrationSpec) -> RateOf:
        """What gives the limit of an integration's rate: all partitions together have one where they share the target."""
        shared = self._shared
        return own_rate if shared is None or not spec.single else lambda spec: shared.rate(id_, spec)

    def _shown(self, tenant: str, id_: str, records: Sequence[TelemetryRecord]) -> TelemetryRecord | None:
        if records[0].seq < 0:
            return records[0]  # a test message
        if self._debug is None or part_of(whole_of(records[0]).seq) not in (0, self._part()):
            return None  # debugging is each node's own
        return self._debug.shown(tenant, id_, records)

    def _exchanged(self, tenant: str, name: str, record: TelemetryRecord, request: str, answer: str) -> None:
        if record.seq < 0:
            self._show(record, request, answer)
        elif self._debug is not None:
            is_placed = part_of(whole_of(record).seq)
            self._debug.exchanged(tenant, name, original(record) if is_placed else record, request, answer)

    def forget(self, id_: str) -> None:
        """Remove the files that the target of an integration kept; the integration is being deleted, and its target has stopped."""
        try:
            own_file.remove_all(self._data_dir, id_)
        except OSError as error:
            self._log.warn("a file of a deleted integration could not be removed: {error}", error=error)

    def _downlink(self, tenant: str, device: str, item: dict[str, Any]) -> Deferred[Queued]:
        """A `QueueDownlink`. Anything invalid becomes an event."""
        if self._queue is None:
            return succeed(Queued("this gateway queues no downlinks"))

        def failed(failure: Failure) -> Queued:
            reason = failure.getErrorMessage()
            return self._refused(tenant, device, reason) if _is_final(failure) else Queued(reason, False)

        try:
            spec = convert(item, DownlinkSpec)
        except (
            Exception
        ):  # a target's answer may contain anything; it must not affect the outcome of the message
            return succeed(self._refused(tenant, device, Failure().getErrorMessage()))
        queued = maybeDeferred(self._queue, tenant, device, spec)
        return queued.addCallbacks(lambda _: QUEUED, failed)

    def _refused(self, tenant: str, device: str, reason: str) -> Queued:
        self._recorder.note("downlink.refused", "device", device, reason, tenant, "warning", device=device)
        return Queued(reason)


def whole_of(record: TelemetryRecord) -> TelemetryRecord:
    """The record of a part; any other one itself."""
    return record.whole if isinstance(record, Part) else record


def _is_final(failure: Failure) -> bool:
    """Whether the queue would refuse an item again: because of what it is, or since too many wait. A disk or a database may recover."""
    return bool(failure.check(Full)) or not failure.check(NoSpace, Unavailable, OSError, MemoryError)
