"""`IPlatformNameRows` in a dict."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.ports.platform_names import Claimed, IPlatformNameRows, NameClaim


@implementer(IPlatformNameRows)
class MemoryPlatformNames:
    """Rows in memory, ``most`` of a tenant. While `fault` is set, nothing can be read or written; `held` makes whoever claims wait for `let_go`."""

    def __init__(self, most: int = 250_000) -> None:
        self.stored: dict[tuple[str, str], str] = {}
        self.fault: Exception | None = None
        self.claims = 0
        """How often somebody claimed."""
        self.held: list[Deferred[None]] | None = None
        self._most = most

    def let_go(self) -> None:
        """Answer those who wait."""
        held, self.held = self.held or [], None
        for each in held:
            each.callback(None)

    def claim(self, claims: Sequence[NameClaim]) -> Deferred[list[Claimed]]:
        """See `IPlatformNameRows.claim`."""
        self.claims += 1
        if self.held is not None:
            waits: Deferred[None] = Deferred()
            self.held.append(waits)
            return waits.addCallback(lambda _: self._claim(claims))
        return self._claim(claims)

    def _claim(self, claims: Sequence[NameClaim]) -> Deferred[list[Claimed]]:
        if self.fault is not None:
            return fail(self.fault)
        found: list[Claimed] = []
        for tenant, name, identity in claims:
            if (tenant, name) in self.stored:
                found.append(Claimed(self.stored[tenant, name]))
            elif sum(each == tenant for each, _ in self.stored) >= self._most:
                found.append(Claimed(""))
            else:
                self.stored[tenant, name] = identity
                found.append(Claimed(identity, True))
        return succeed(found)

    def owner(self, tenant: str, name: str) -> Deferred[str]:
        """See `IPlatformNameRows.owner`."""
        return fail(self.fault) if self.fault is not None else succeed(self.stored.get((tenant, name), ""))

    def forget_tenant(self, tenant: str) -> Deferred[int]:
        """See `IForgetsTenants.forget_tenant`."""
        gone = [key for key in self.stored if key[0] == tenant]
        for key in gone:
            del self.stored[key]
        return succeed(len(gone))
