"""One target for the records of several partitions, where one node delivers those of all.

Each partition has an outbox of its own, with cursor, accounts and parked records. What they send goes to the same target, in the order in which they send
it, and never more at a time than the target takes. For the target, records have places, so that no two are called alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.epochs import Epochs
from iotgw.core.model import TelemetryRecord
from iotgw.core.placed_epochs import PlacedEpochs, placed
from iotgw.core.places import seq_of
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import IIntegration, Settle, Tell
from iotgw.core.specs import IntegrationSpec
from iotgw.core.verdict import Verdict, unforeseen
from iotgw.delivery.rate import Rate

Make = Callable[
    [
        str,
        str,
        str,
        IntegrationSpec,
        Tell,
        Callable[[], None],
        Callable[[str], None],
        Epochs,
        Callable[[], bool],
    ],
    IIntegration,
]
"""Makes a target, as `iotgw.delivery.targets.Targets.make` does."""


class Share(Struct, frozen=True):
    """A partition's part in a target: its number, and what hears of the target, as in `IntegrationContext`."""

    part: int
    epochs: Epochs
    tell: Tell
    available: Callable[[], None]
    warn: Callable[[str], None]


class SharedTargets:
    """The targets of a node's `single` integrations, by id. ``make`` is set by the deliveries of the node's own partition, by whose ``epochs`` test messages
    are called. ``is_ours(id)`` tells whether an integration is this node's, at this moment."""

    def __init__(self, is_ours: Callable[[str], bool] = lambda id_: True) -> None:
        self._is_ours = is_ours
        self.make: Make
        self.epochs: Epochs
        self._parts: dict[int, Epochs] = {}
        self._targets: dict[str, _Shared] = {}
        self._rates: dict[str, tuple[float, Rate]] = {}

    def join(self, id_: str, name: str, tenant: str, spec: IntegrationSpec, member: Share) -> IIntegration:
        """A partition's share of the target that an integration has by these settings. Raises SettingsError as ``make`` does."""
        self._parts[member.part] = member.epochs
        settings, before = (name, tenant, spec), self._targets.get(id_)
        if before is not None and before.settings == settings and not before.is_over:
            shared = before
        else:
            shared = _Shared(settings, before, partial(self._is_ours, id_))
            shared.target = self.make(
                id_, name, tenant, spec, shared.tell, shared.drain, shared.warn, PlacedEpochs(self.epochs, self._parts), shared.is_ours,
            )  # fmt: skip
            self._targets[id_] = shared
        return SharedTarget(shared, member)

    def rate(self, id_: str, spec: IntegrationSpec) -> Rate:
        """What all partitions together may send in a second."""
        per_second, rate = self._rates.get(id_, (-1.0, Rate(0)))
        if per_second != spec.queue.rate:
            rate = Rate(spec.queue.rate)
            self._rates[id_] = spec.queue.rate, rate
        return rate


class _Sent(Struct, frozen=True):
    """Records that wait until the target has room for them, with their places."""

    member: SharedTarget
    records: list[TelemetryRecord]
    settle: Settle


class _Shared:
    """A target and who sends to it. It starts when the one ``before`` it has stopped."""

    def __init__(
        self, settings: tuple[str, str, IntegrationSpec], before: _Shared | None, is_ours: Callable[[], bool]
    ) -> None:
        self.settings = settings
        self.is_ours = is_ours
        self.target: IIntegration
        self.is_over = False
        self._before = before
        self._members: list[SharedTarget] = []
        self._tells: list[Tell] = []
        self._warnings: list[str] = []
        self._waiting: deque[_Sent] = deque()
        self._in_flight = 0
        self._is_draining = False
        self._start: Failure | bool | None = None
        """How the start ended; None before, False while it is under way."""
        self._starting: list[Deferred[None]] = []
        self._stopped: list[Deferred[None]] = []
        self._is_stopping = self._has_stopped = False

    # --- what the target says

    def tell(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """See `Tell`: once, and not once for each partition."""
        if self._tells:
            self._tells[0](type, message, severity, **detail)

    def warn(self, text: str) -> None:
        """See `IntegrationContext.warn`."""
        self._warnings.append(text)

    # --- life

    def begin(self, member: Share) -> None:
        """A partition is told what the target says."""
        self._tells.append(member.tell)
        for text in self._warnings:
            member.warn(text)

    def start(self, member: SharedTarget) -> Deferred[None]:
        """A partition sends from now on; fires when the target has started."""
        self._members.append(member)
        if self._start is True:
            return succeed(None)
        if isinstance(self._start, Failure):
            return fail(self._start)
        started: Deferred[None] = Deferred()
        self._starting.append(started)
        if self._start is None:
            self._start = False
            before, self._before = self._before, None
            over = before.over() if before is not None else succeed(None)
            over.addCallback(lambda _: maybeDeferred(self.target.start)).addBoth(self._started)
        return started

    def _started(self, result: object) -> None:
        self._start = result if isinstance(result, Failure) else True
        self.is_over = self.is_over or isinstance(result, Failure)
        starting, self._starting = self._starting, []
        for each in starting:
            if isinstance(result, Failure):
                each.errback(result)
            else:
                each.callback(None)

    def over(self) -> Deferred[None]:
        """Fires when the target has stopped."""
        if self._has_stopped or self._start is None:
            return succeed(None)
        self._stopped.append(Deferred())
        return self._stopped[-1]

    def stop(self, member: SharedTarget) -> Deferred[None]:
        """A partition sends no more. Fires when it has no part in it; the last one stops the target."""
        if member in self._members:
            self._members.remove(member)
        if member.member.tell in self._tells:
            self._tells.remove(member.member.tell)
        self._waiting = deque(each for each in self._waiting if each.member is not member)
        if self._members or self._is_stopping:
            return succeed(None)
        self.is_over = self._is_stopping = True

        def stopped(result: object) -> object:
            self._has_stopped = True
            for each in self._stopped:
                each.callback(None)
            self._stopped = []
            return result

        return maybeDeferred(self.target.stop).addBoth(stopped)

    # --- sending

    def send(self, sent: _Sent) -> None:
        """Hand records over when the target has room."""
        self._waiting.append(sent)
        self._go_on()

    def drain(self) -> None:
        """The target has room, or a connection."""
        self._go_on()
        for each in list(self._members):
            each.member.available()

    def _go_on(self) -> None:
        if self._is_draining:
            return
        self._is_draining = True
        try:
            while self._waiting and self._has_room(len(self._waiting[0].records)):
                self._hand_over(self._waiting.popleft())
        finally:
            self._is_draining = False

    def _has_room(self, count: int) -> bool:
        has_room = not self._in_flight or self._in_flight + count <= self.target.capacity
        return has_room and self.is_ours()

    def _hand_over(self, sent: _Sent) -> None:
        left = {record.seq for record in sent.records}
        self._in_flight += len(left)

        def settle(seqs: Sequence[int], verdict: Verdict) -> None:
            left.difference_update(seqs)
            self._in_flight -= len(seqs)
            sent.settle([seq_of(seq) if seq > 0 else seq for seq in seqs], verdict)
            self._go_on()

        try:
            self.target.send(sent.records, settle)
        except Exception as error:  # a type may be anybody's
            if left:
                settle(sorted(left), unforeseen("sending", error))


@implementer(IIntegration)
class SharedTarget:
    """A partition's share of a target, which is an `IIntegration` for it."""

    def __init__(self, shared: _Shared, member: Share) -> None:
        self._shared = shared
        self.member = member
        shared.begin(member)

    @property
    def capacity(self) -> int:
        """See `IIntegration.capacity`."""
        return self._shared.target.capacity

    @property
    def max_batch(self) -> int:
        """See `IIntegration.max_batch`."""
        return self._shared.target.max_batch

    @property
    def whole(self) -> bool:
        """See `IIntegration.whole`."""
        return self._shared.target.whole

    def start(self) -> Deferred[None]:
        """See `IIntegration.start`."""
        return self._shared.start(self)

    def stop(self) -> Deferred[None]:
        """See `IIntegration.stop`."""
        return self._shared.stop(self)

    def send(self, records: list[TelemetryRecord], settle: Settle) -> None:
        """See `IIntegration.send`."""
        part = self.member.part
        self._shared.send(_Sent(self, [placed(record, part) for record in records], settle))

    def check(self) -> Deferred[dict[str, Any]]:
        """See `IIntegration.check`."""
        return self._shared.target.check()

    def status(self) -> dict[str, Any]:
        """See `IIntegration.status`."""
        return self._shared.target.status()
