"""What an operator orders an integration's deliveries to do, in one partition."""

from __future__ import annotations

from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.orders import Action, Order

ONCE: frozenset[Action] = frozenset({"purge", "seek", "dismiss"})
"""What would do harm where it is done a second time, as more has come meanwhile."""


async def carry_out(delivery: IDeliveries, id: str, order: Order) -> int:
    """Have the deliveries of one partition do it for the integration ``id``. Returns how many deliveries that concerned, where that is known.
    Raises what `IDeliveries` raises."""
    match order.action:
        case "pause":
            await delivery.pause(id)
        case "resume":
            await delivery.resume(id)
        case "drain":
            delivery.drain(id)
        case "purge":
            return await delivery.purge(id)
        case "seek":
            await delivery.seek(id, order.since)
        case "retry":
            await delivery.retry(id)
        case "dismiss":
            return await delivery.dismiss(id, None, order.device, order.before, order.error)
    return 0
