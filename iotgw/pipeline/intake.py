"""One datasource's side of the spine: it takes uplinks, and hands what becomes of them back.

An intake gives each uplink to the journal; its `Conversions` take them from there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from zope.interface import implementer

from iotgw.core.model import Answer, Downlink, Metadata, Output, Status, Uplink
from iotgw.core.ports.intake import IIntake
from iotgw.core.specs import DatasourceSpec
from iotgw.pipeline.conversions import Conversions

_encode = msgspec.json.Encoder().encode


@implementer(IIntake)
class Intake:
    """What a datasource sees of the gateway.

    ``gateway`` is the `iotgw.pipeline.pipeline.Gateway`; ``position`` the place up to which this datasource's
    uplinks were converted, as the journal tells.
    """

    def __init__(self, gateway: Any, id: str, tenant: str, spec: DatasourceSpec, position: int) -> None:
        self.gateway = gateway
        self.id = id
        self.tenant = tenant
        self.spec = spec
        self.guard: Callable[[bytes, Sequence[Output]], str] | None = None
        self.counts = {"received": 0, "converted": 0, "filtered": 0, "failed": 0, "refused": 0}
        self.conversions = Conversions(self, position)

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
    ) -> None:
        """See `IIntake.receive`."""
        self.accept(payload, metadata, answer, received_ms, listens)

    def accept(
        self,
        payload: bytes,
        metadata: Metadata,
        answer: Callable[[Answer], None],
        received_ms: int = 0,
        listens: bool = True,
    ) -> int:
        """As `receive`; returns the uplink's position, 0 when it was refused."""
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


def _nobody(answer: Answer) -> None:
    """A rejected frame has nobody to answer."""
