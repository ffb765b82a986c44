"""Orders for the deliveries of all nodes."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from twisted.internet.defer import Deferred
from zope.interface import Interface

from iotgw.core.ports.delivery import IDeliveries

Action = Literal["pause", "resume", "drain", "purge", "seek", "retry", "dismiss"]


class Order(Struct, frozen=True):
    """``since`` is where to `IDeliveries.seek`, in milliseconds since 1970; the others are which dead letters to `IDeliveries.dismiss`."""

    action: Action
    since: int = 0
    device: str = ""
    before: int = 0
    error: str = ""


class Given(Struct, frozen=True):
    """What became of an order at the other nodes: how many deliveries it concerned there, and how many partitions are ``left``. They do it when
    their node can, or the one that adopts them."""

    count: int = 0
    left: int = 0


class IOrders(Interface):
    """Has each partition's deliveries carry out what was ordered on one node."""

    def start() -> None:
        """Begin to carry out what others order."""

    def stop() -> Deferred[None]:
        """End."""

    def hold(part: int, means: IDeliveries) -> None:
        """This process delivers what is in a partition, by these ``means``."""

    def let_go(part: int) -> None:
        """It does no more."""

    def give(id: str, order: Order, is_done: bool = True) -> Deferred[Given]:
        """The own partition has done it for the integration ``id``, unless ``is_done`` is False; have all others do it. Fires when they have, or after a few
        seconds."""
