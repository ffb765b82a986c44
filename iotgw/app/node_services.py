"""What one of several nodes does for the others, as services around the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from twisted.application.service import Service

from iotgw.app.borrowing import Borrowing
from iotgw.app.draining import stop_and_drain
from iotgw.app.flows import FlowMaker
from iotgw.app.node_work import NodeWork
from iotgw.app.ordered import PartService
from iotgw.app.parts import Gateway
from iotgw.app.storage import IPartitions
from iotgw.config.settings import Settings
from iotgw.core.ports.orders import IOrders
from iotgw.core.ports.reactor import IReactor
from iotgw.core.ports.tenants import IErasures
from iotgw.observe.elsewhere import LookElsewhere
from iotgw.store.forgotten import ForgottenMessages


def as_node(gateway: Gateway, settings: Settings, data_dir: Path, reactor: IReactor) -> Iterator[Service]:
    """The pipeline, and around it what one of several nodes does for the others. It says that it stops when its datasources are closed."""
    pipeline, partitions = gateway.pipeline, gateway.storage.partitions
    stop = partial(stop_and_drain, pipeline, reactor, settings.drain)
    if partitions is None:
        yield PartService("pipeline", pipeline.start, stop)
        return
    yield PartService("node-ends", stop=partitions.leave)
    if (history := gateway.storage.history) is not None:
        yield PartService("history", stop=history.stop)
        elsewhere = LookElsewhere(history, gateway.live, reactor)
        yield PartService("elsewhere", elsewhere.start, elsewhere.stop)
    yield PartService("pipeline", pipeline.start, stop)
    maker = FlowMaker(gateway, partitions, settings, data_dir, reactor)
    if (erasures := gateway.storage.erasures) is not None:
        yield PartService(
            "erasures", lambda: begin_erasures(gateway, erasures, partitions, reactor), erasures.stop
        )
    if (orders := gateway.storage.orders) is not None:
        yield PartService("orders", partial(begin_orders, gateway, orders, partitions), orders.stop)
    borrowing = Borrowing(maker.borrow, gateway.singles.holds_any)
    work = NodeWork(pipeline, gateway.delivery, maker.make, gateway.recorder, partitions.lost, borrowing)

    async def end() -> None:
        await partitions.end()
        await borrowing.stop()

    yield PartService("nodes", partial(partitions.begin, work), end)


def begin_orders(gateway: Gateway, orders: IOrders, partitions: IPartitions) -> None:
    """Carry out in this node's partition what others order."""
    orders.hold(partitions.own, gateway.delivery)
    orders.start()


async def begin_erasures(
    gateway: Gateway, erasures: IErasures, partitions: IPartitions, reactor: IReactor
) -> None:
    """Forget deleted tenants in this node's partition, and what its own files have of those that were deleted while it was away."""
    erasures.hold(partitions.own, [ForgottenMessages(gateway.journal.erase, reactor), gateway.debug_store])
    erasures.start()
    for tenant in await erasures.erased():
        await gateway.debug_store.forget_tenant(tenant)
