"""What stores do when a tenant leaves."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from zope.interface import Interface


class IForgetsTenants(Interface):
    """A store that keeps something of tenants."""

    def forget_tenant(tenant: str) -> Deferred[int]:
        """Remove all that is kept of a tenant; fires with about how many rows that was. It may be done again after a kill. Nothing of the tenant
        comes meanwhile."""


class IErasures(IForgetsTenants):
    """Forgets tenants in the partitions of all nodes: each in those that it has, and whoever deletes one waits for all."""

    def start() -> None:
        """Begin to forget what this process is asked to."""

    def stop() -> Deferred[None]:
        """End."""

    def hold(part: int, means: Sequence[IForgetsTenants]) -> None:
        """This process has a partition: ``means`` are what forgets a tenant in it."""

    def let_go(part: int) -> None:
        """It has it no more."""

    def erased() -> Deferred[list[str]]:
        """The tenants that were deleted, but for those that have something again."""
