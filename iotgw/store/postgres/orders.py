"""Orders for the deliveries of all partitions: rows that each partition's owner carries out, and notes that it has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from iotgw.core.errors import Conflict, IotgwError, NotFound
from iotgw.core.orders import ONCE, carry_out
from iotgw.core.ports.delivery import IDeliveries
from iotgw.core.ports.orders import Given, IOrders, Order
from iotgw.core.ports.reactor import IThreadedClock
from iotgw.store.postgres.changes import count_up
from iotgw.store.postgres.chores import PartitionChores
from iotgw.store.postgres.connection import Address, Connection

EVERY = 1.0
"""Seconds between two looks at what is ordered."""
LOOKS = 0.2
"""Seconds between two looks at what others have done."""
PATIENCE = 5.0
"""Seconds that whoever gives an order waits for the others."""
KEPT = "1 day"
"""How long orders are kept that all partitions have carried out."""
_GIVE = "INSERT INTO delivery_order (id, integration, body, stays) VALUES (%s, %s, %s, %s)"
_BEGIN = "INSERT INTO delivery_order_done VALUES (%s, %s, NULL) ON CONFLICT DO NOTHING"
_DONE = """INSERT INTO delivery_order_done VALUES (%s, %s, %s)
ON CONFLICT (id, part) DO UPDATE SET count = excluded.count"""
_WANTED = """SELECT o.id, o.integration, o.body, p.part FROM delivery_order o CROSS JOIN unnest(%s::int[]) AS p (part)
WHERE o.integration = ANY(SELECT resource.id FROM resource) AND NOT EXISTS (
    SELECT FROM delivery_order_done d WHERE d.id = o.id AND d.part = p.part) ORDER BY o.id, p.part"""
_HOW = """SELECT coalesce(sum(d.count) FILTER (WHERE p.id <> %s), 0)::bigint, count(*) FILTER (WHERE d.count IS NULL)
FROM partition p LEFT JOIN delivery_order_done d ON d.part = p.id AND d.id = %s WHERE p.owner_epoch > 0"""
_NO_LONGER = "UPDATE delivery_order SET stays = false WHERE integration = %s AND id < %s AND stays"
_FORGET = f"""DELETE FROM delivery_order o WHERE o.integration <> ALL(SELECT resource.id FROM resource) OR NOT o.stays
AND o.at < now() - interval '{KEPT}' AND NOT EXISTS (SELECT FROM partition p WHERE p.owner_epoch > 0 AND NOT EXISTS (
    SELECT FROM delivery_order_done d WHERE d.id = o.id AND d.part = p.id))"""


@implementer(IOrders)
class PostgresOrders(PartitionChores[IDeliveries]):
    """Orders in the database at ``address``. ``own`` tells the number of this node's partition."""

    def __init__(self, reactor: IThreadedClock, address: Address, own: Callable[[], int]) -> None:
        super().__init__(reactor, address, "orders", EVERY, "what was ordered could not be done")
        self._own = own

    def give(self, id: str, order: Order, is_done: bool = True) -> Deferred[Given]:
        """See `IOrders.give`."""
        return Deferred.fromCoroutine(self._give(id, order, self._own() if is_done else 0))

    async def _give(self, id: str, order: Order, own: int) -> Given:
        number = await self._run(partial(_note, id=id, order=order, own=own))
        self._look()
        until = self._reactor.seconds() + PATIENCE
        while True:
            ((count, left),) = await self._run(lambda db: db.execute(_HOW, (own, number)).fetchall())
            if not left or self._reactor.seconds() >= until:
                return Given(int(count), int(left))
            await deferLater(self._reactor, LOOKS, lambda: None)

    async def _follow(self) -> None:
        held, stuck = sorted(self._held), set()
        wanted = await self._run(lambda db: db.execute(_WANTED, (held,)).fetchall())
        for number, integration, body, part in wanted:
            if (integration, part) in stuck or part not in self._held:
                continue  # what comes after it waits for it
            try:
                order = msgspec.json.decode(body, type=Order)
                await self._carry_out(number, integration, order, part)
            except (NotFound, Conflict):  # this node hears of it in a moment, or another one delivers for it
                stuck.add((integration, part))
            except (IotgwError, msgspec.ValidationError) as error:
                stuck.add((integration, part))
                self._log.warn("order {number} waits: {reason}", number=number, reason=error)

    async def _carry_out(self, number: int, integration: str, order: Order, part: int) -> None:
        delivery = self._held[part]
        delivery.stats(integration)  # whether it runs, before it is begun
        if order.action in ONCE:
            await self._run(lambda db: db.execute(_BEGIN, (number, part)).rowcount)
        count = await carry_out(delivery, integration, order)
        await self._run(lambda db: db.execute(_DONE, (number, part, count)).rowcount)


def _note(db: Connection, id: str, order: Order, own: int) -> int:
    """The number of the order, which the partition ``own`` has carried out; 0 for none."""
    number = count_up(db, "orders")
    stays = order.action in ("pause", "resume")
    db.execute(_FORGET)
    db.execute(_GIVE, (number, id, msgspec.json.encode(order), stays))
    if stays:
        db.execute(_NO_LONGER, (id, number))
    if own:
        db.execute(_DONE, (number, own, 0))
    return number
