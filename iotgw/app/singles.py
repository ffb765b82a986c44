"""Where integrations are delivered to that run on one node: by lease, the messages of all partitions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

from iotgw.core.ports.nodes import ILeases, lease_of
from iotgw.core.specs import IntegrationSpec, Resource
from iotgw.delivery.lending import Place
from iotgw.delivery.service import DeliveryService
from iotgw.delivery.shared_target import SharedTargets

Moved = Callable[[str], None]
"""``moved(id)``: the answer may be another one now, for an integration."""


class Singles:
    """Which `single` integrations are this process's. `targets` are theirs, for what is delivered of all partitions."""

    def __init__(self, leases: ILeases) -> None:
        self._leases = leases
        self._sought: set[str] = set()
        self._watchers: list[Moved] = []
        self.targets = SharedTargets(lambda id: leases.holds(lease_of(id)))

    def watch(self, moved: Moved) -> Callable[[], None]:
        """``moved(id)`` is called when an integration comes to this node, or leaves it. Returns what ends that."""
        self._watchers.append(moved)
        return lambda: self._watchers.remove(moved)

    def is_here(self, id: str, spec: IntegrationSpec) -> bool:
        """Whether this node delivers to an integration, now that its settings are these; if it isn't single, each node does."""
        if not spec.single:
            self.gone(id)
            return True
        if id not in self._sought:
            self._sought.add(id)
            self._leases.seek(lease_of(id), partial(self._moved, id), stays=True)
        return self.holds(id)

    def holds(self, id: str) -> bool:
        """Whether an integration that is single is this node's."""
        return id in self._sought and self._leases.holds(lease_of(id))

    def holds_any(self) -> bool:
        """Whether any is."""
        return any(self._leases.holds(lease_of(id)) for id in self._sought)

    def gone(self, id: str) -> None:
        """An integration is deleted, or isn't single any more."""
        if id in self._sought:
            self._sought.discard(id)
            self._leases.give_up(lease_of(id))

    def _moved(self, id: str) -> None:
        for moved in list(self._watchers):
            moved(id)


class ITenure(Protocol):
    """Whether what is in a partition is delivered by this process."""

    def listen(self, moved: Moved) -> Callable[[], None]:
        """``moved(id)`` is called when `begins` may come to something else. Returns what ends that."""

    async def begins(self, resource: Resource, spec: IntegrationSpec) -> bool:
        """Whether it is for an integration now. Then nobody else delivers it any more, and the delivery service knows where it stands; or else this process doesn't
        deliver it any more. Raises Unavailable."""

    def gone(self, id: str) -> None:
        """An integration is deleted."""


class Always:
    """A process that has its data for itself."""

    def listen(self, moved: Moved) -> Callable[[], None]:
        """See `ITenure.listen`: it never changes."""
        return lambda: None

    async def begins(self, resource: Resource, spec: IntegrationSpec) -> bool:
        """See `ITenure.begins`."""
        return True

    def gone(self, id: str) -> None:
        """See `ITenure.gone`."""


class Owned:
    """A partition that this process owns. It lends out what another node delivers."""

    def __init__(self, singles: Singles, delivery: DeliveryService) -> None:
        self._singles = singles
        self._delivery = delivery

    def listen(self, moved: Moved) -> Callable[[], None]:
        """See `ITenure.listen`."""
        return self._singles.watch(moved)

    async def begins(self, resource: Resource, spec: IntegrationSpec) -> bool:
        """See `ITenure.begins`."""
        if self._singles.is_here(resource.id, spec):
            await self._delivery.take_back(resource.id)
            return True
        await self._delivery.lend(resource.id, resource.name, resource.tenant, spec)
        return False

    def gone(self, id: str) -> None:
        """See `ITenure.gone`."""
        self._singles.gone(id)


class Loans(Protocol):
    """What the owner of another partition has lent."""

    def borrow(self, integration: str) -> Awaitable[Place | None]:
        """Take it; None where there is nothing."""

    def is_lost(self, integration: str) -> bool:
        """Whether what was taken is another's now."""

    def give_back(self, integration: str) -> None:
        """Let go of it."""


class Borrowed:
    """A partition that another node owns. This one delivers what is lent of it, of integrations that are this node's. ``listens`` is told who hears of loans."""

    def __init__(
        self, singles: Singles, delivery: DeliveryService, loans: Loans, listens: Callable[[Moved], None]
    ) -> None:
        self._singles = singles
        self._delivery = delivery
        self._loans = loans
        self._listens = listens

    def listen(self, moved: Moved) -> Callable[[], None]:
        """See `ITenure.listen`."""
        self._listens(moved)
        return self._singles.watch(moved)

    async def begins(self, resource: Resource, spec: IntegrationSpec) -> bool:
        """See `ITenure.begins`."""
        id, delivery = resource.id, self._delivery
        is_here = spec.single and self._singles.holds(id)
        if is_here and delivery.runs(id) and not self._loans.is_lost(id):
            return True
        if delivery.runs(id):
            await delivery.withdraw(id)
            self._loans.give_back(id)
        place = await self._loans.borrow(id) if is_here else None
        if place is None:
            return False
        delivery.keep(id, place)
        return True

    def gone(self, id: str) -> None:
        """See `ITenure.gone`: the owner hears of it, too."""
