"""How many resources a tenant may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from iotgw.core.errors import Conflict, NotFound
from iotgw.core.ports.registry import IRegistry
from iotgw.core.specs import TENANT


class Quotas:
    """What the registry says that tenants may have. ``kind`` is ``datasource``, ``integration``, ``converter`` or ``device``."""

    def __init__(self, registry: IRegistry) -> None:
        self._registry = registry
        self._coming: Counter[tuple[str, str]] = Counter()

    def room(self, tenant: str, kind: str, have: int) -> int | None:
        """How many more a tenant may have that has so many; None where there is no quota."""
        quota = self._quota(tenant, kind)
        return None if quota is None else max(0, quota - have - self._coming[tenant, kind])

    def _quota(self, tenant: str, kind: str) -> int | None:
        try:
            quota = self._registry.get(TENANT, tenant, tenant).body["quota"].get(f"{kind}s")
        except NotFound:
            return None
        return None if quota is None else int(quota)

    def expect_room(self, tenant: str, kind: str, have: int) -> None:
        """Raise Conflict if the tenant has as many as it may have."""
        if self.room(tenant, kind, have) == 0:
            raise Conflict(f"tenant {tenant!r} has as many {kind}s as its quota lets it have: {have}")

    @contextmanager
    def making(self, tenant: str, kind: str) -> Iterator[None]:
        """One more is being made, of a kind that the registry has: it counts until it is there. Raises Conflict if it may not."""
        if (
            self._quota(tenant, kind) is not None
        ):  # to list them takes a while where there are many, which nobody limits
            self.expect_room(tenant, kind, len(self._registry.list(kind, tenant)))
        self._coming[tenant, kind] += 1
        try:
            yield
        finally:
            self._coming[tenant, kind] -= 1
