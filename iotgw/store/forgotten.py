"""A tenant's messages are taken out of the journal, a few at a time between commits."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from iotgw.core.ports.tenants import IForgetsTenants

Erase = Callable[[str, int, Callable[[tuple[int, int] | Failure], None]], None]
"""``erase(tenant, after, erased)``: see `iotgw.store.writing.GroupWriter.erase`."""


@implementer(IForgetsTenants)
class ForgottenMessages:
    """Takes a tenant's messages out of a journal by its ``erase``."""

    def __init__(self, erase: Erase, clock: IReactorTime) -> None:
        self._erase = erase
        self._clock = clock

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        return Deferred.fromCoroutine(self._forget(tenant))

    async def _forget(self, tenant: str) -> int:
        after, count = 0, 0
        while True:
            after, gone = await self._piece(tenant, after)
            count += gone
            if not after:
                return count
            await deferLater(
                self._clock, 0, lambda: None
            )  # so that what devices send is committed in between

    def _piece(self, tenant: str, after: int) -> Deferred[tuple[int, int]]:
        done: Deferred[tuple[int, int]] = Deferred()

        def erased(result: tuple[int, int] | Failure) -> None:
            if isinstance(result, Failure):
                done.errback(result)
            else:
                done.callback(result)

        self._erase(tenant, after, erased)
        return done
