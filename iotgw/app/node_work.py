"""What this process does as one of several nodes."""

from __future__ import annotations

from collections.abc import Callable, Collection

from iotgw.app.borrowing import Borrowing
from iotgw.app.flows import AdoptedFlow
from iotgw.core.model import DEFAULT_TENANT
from iotgw.core.recorder import Recorder
from iotgw.delivery.service import DeliveryService
from iotgw.pipeline.pipeline import Pipeline

MakeFlow = Callable[[int, str, Callable[[], None]], AdoptedFlow]
"""Makes the flow of an adopted partition, which was this node's; the function is called when the partition is lost."""


class NodeWork:
    """See `IWork`. ``lost(part)`` says that an adopted partition was taken by another node."""

    def __init__(
        self, pipeline: Pipeline, delivery: DeliveryService, make: MakeFlow, recorder: Recorder, lost: Callable[[int], None],
        borrowing: Borrowing,
    ) -> None:  # fmt: skip
        self._pipeline = pipeline
        self._delivery = delivery
        self._make = make
        self._recorder = recorder
        self._lost = lost
        self._borrowing = borrowing
        self._flows: dict[int, AdoptedFlow] = {}

    async def begin(self, part: int, home: str) -> None:
        """See `IWork.begin`."""
        await self._borrowing.end(part)
        flow = self._flows[part] = self._make(part, home, lambda: self._lost(part))
        await flow.start()
        text = f"its partition {part} goes on here, as it is not heard of"
        self._recorder.note("adopted", "node", home, text, DEFAULT_TENANT, "warning", partition=part)

    async def end(self, part: int) -> None:
        """See `IWork.end`."""
        flow = self._flows.pop(part, None)
        if flow is not None:
            await flow.stop()
            self._recorder.note(
                "handed-back",
                "node",
                flow.home,
                f"its partition {part} goes on elsewhere",
                DEFAULT_TENANT,
                partition=part,
            )

    def figures(self) -> tuple[int, int]:
        """See `IWork.figures`."""
        flows = self._flows.values()
        waiting = self._pipeline.waiting + sum(flow.waiting for flow in flows)
        return waiting, self._delivery.waiting + sum(flow.undelivered for flow in flows)

    def others(self, parts: Collection[int]) -> None:
        """See `IWork.others`."""
        self._borrowing.look(parts)

    def drain(self, drains: bool) -> None:
        """See `IWork.drain`."""
        self._pipeline.drain(drains)
