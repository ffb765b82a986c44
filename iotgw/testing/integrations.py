"""A target and its type that a test controls, and an integration's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.epochs import Epochs
from iotgw.core.model import DEFAULT_TENANT, TelemetryRecord
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import (
    IIntegration,
    IIntegrationType,
    IntegrationContext,
    QueueDownlink,
    Settle,
    Show,
)
from iotgw.core.ports.reactor import IReactor
from iotgw.core.specs import IntegrationSpec
from iotgw.core.times import DateMs
from iotgw.core.verdict import DELIVERED, Verdict
from iotgw.testing.reactor import MemoryReactor


class Told:
    """The events of one integration (`Tell`): ``events`` are pairs of type and message."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def __call__(self, type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        """See `Tell`."""
        self.events.append((type, message))


class Verdicts:
    """What a target said of its records (`Settle`): ``of`` maps a position to its verdict.

    Settling a position twice is an error of the target and raises.
    """

    def __init__(self) -> None:
        self.of: dict[int, Verdict] = {}

    def __call__(self, seqs: Sequence[int], verdict: Verdict) -> None:
        """See `Settle`."""
        for seq in seqs:
            if seq in self.of:
                raise AssertionError(
                    f"expected one verdict on record {seq}, got {self.of[seq]} and {verdict}"
                )
            self.of[seq] = verdict


def integration_context(
    spec: IntegrationSpec | None = None,
    reactor: IReactor | None = None,
    *,
    id: str = "i1",
    name: str = "out",
    tenant: str = DEFAULT_TENANT,
    epoch: str = "e1",
    datasource_name: Callable[[str], str] = lambda id: id,
    event: Told | None = None,
    downlink: QueueDownlink | None = None,
    data_dir: str = "",
    available: Callable[[], None] = lambda: None,
    show: Show = lambda record, request, answer: None,
) -> IntegrationContext:
    """An integration's context, made of doubles unless given otherwise."""
    return IntegrationContext(
        id=id, name=name, tenant=tenant,
        spec=IntegrationSpec(name=name, type="fake") if spec is None else spec,
        epochs=Epochs(epoch),
        reactor=MemoryReactor() if reactor is None else reactor,
        datasource_name=datasource_name,
        event=Told() if event is None else event,
        downlink=downlink, data_dir=data_dir, available=available, show=show,
    )  # fmt: skip


def telemetry(
    seq: int = 1,
    device: str = "d1",
    device_type: str = "default",
    received_ms: int = 0,
    body: bytes = b"",
    **more: Any,
) -> TelemetryRecord:
    """A record as delivery hands it to a target; without a ``body`` its telemetry is ``n``, the position."""
    document = {
        "deviceName": device, "deviceType": device_type, "attributes": {},
        "telemetry": [{"ts": received_ms, "values": {"n": seq}}],
    }  # fmt: skip
    body = body or msgspec.json.encode(document)
    more = {"uplink": seq, "tenant": DEFAULT_TENANT, "datasource": "ds1", **more}
    return TelemetryRecord(
        seq=seq,
        received_ms=DateMs(received_ms),
        device_name=device,
        device_type=device_type,
        body=body,
        **more,
    )


class FakeSettings(Struct):
    """``batch``: records that one send may carry; ``window``: records that may be in flight."""

    batch: int = 1
    window: int = 4


@implementer(IIntegration)
class FakeIntegration:
    """A target that settles at once with the result of ``says(records)``, or when a test calls `answer`.

    ``sent`` are the positions of each send, ``got`` those that were delivered, ``open`` what is not settled.
    """

    def __init__(self, settings: FakeSettings, context: IntegrationContext) -> None:
        self.settings = settings
        self.context = context
        self.max_batch = settings.batch
        self.whole = settings.batch > 1
        self.capacity = settings.window
        self.sent: list[list[int]] = []
        self.got: list[int] = []
        self.open: list[tuple[list[TelemetryRecord], Settle]] = []
        self.says: Callable[[list[TelemetryRecord]], Verdict | None] | None = None
        self.stopped = False

    def start(self) -> Deferred[None]:
        """See `IIntegration.start`."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IIntegration.stop`."""
        self.stopped = True
        return succeed(None)

    def send(self, records: list[TelemetryRecord], settle: Settle) -> None:
        """See `IIntegration.send`."""
        assert len(records) <= self.max_batch
        self.sent.append([record.seq for record in records])
        verdict = self.says(records) if self.says is not None else None
        if verdict is None:
            self.open.append((records, settle))
        else:
            self._settle(records, settle, verdict)

    def answer(self, verdict: Verdict = DELIVERED, which: int = 0) -> None:
        """Settle one send."""
        self._settle(*self.open.pop(which), verdict)

    def _settle(self, records: list[TelemetryRecord], settle: Settle, verdict: Verdict) -> None:
        seqs = [record.seq for record in records]
        if verdict is DELIVERED:
            self.got += seqs
        settle(seqs, verdict)

    def answer_all(self, verdict: Verdict = DELIVERED) -> None:
        """Settle all sends, and those that follow from it."""
        while self.open:
            self.answer(verdict)

    def check(self) -> Deferred[dict[str, Any]]:
        """See `IIntegration.check`."""
        return succeed({"ok": True, "detail": "fine"})

    def status(self) -> dict[str, Any]:
        """See `IIntegration.status`."""
        return {"state": "connected"}


@implementer(IIntegrationType)
class FakeIntegrationType:
    """The type of `FakeIntegration`, or of settings alone. ``targets`` are those it built for an integration with an id:
    what is built to be tried out has none."""

    def __init__(self, name: str = "fake", settings: type[Struct] = FakeSettings) -> None:
        self.name = name
        self.settings = settings
        self.targets: list[FakeIntegration] = []

    def build(self, settings: Any, context: IntegrationContext) -> FakeIntegration:
        """See `IIntegrationType.build`."""
        target = FakeIntegration(settings, context)
        if context.id:
            self.targets.append(target)
        return target
