"""`IKept` in a dict."""

from __future__ import annotations

from collections.abc import Collection

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.ports.kept import IKept, Rows


@implementer(IKept)
class MemoryKept:
    """``owners`` are what is written: what another one of the same dict begins with. While ``problem`` is set, nothing can be
    written, and `save` fails with it; what failed is written with the next change."""

    def __init__(self, owners: dict[str, dict[str, bytes]] | None = None) -> None:
        self.owners = {} if owners is None else owners
        self.problem: Exception | None = None
        self._pending: list[tuple[str, Rows]] = []

    def start(self) -> Deferred[None]:
        """See `IKept.start`."""
        return succeed(None)

    def stop(self) -> Deferred[None]:
        """See `IKept.stop`."""
        return self.save("", {})

    def rows(self, owner: str) -> Deferred[dict[str, bytes]]:
        """See `IKept.rows`."""
        return succeed(dict(self.owners.get(owner, {})))

    def save(self, owner: str, rows: Rows) -> Deferred[None]:
        """See `IKept.save`."""
        self._pending.append((owner, dict(rows)))
        if self.problem is not None:
            return fail(self.problem)
        pending, self._pending = self._pending, []
        for whose, changed in pending:
            kept = self.owners.setdefault(whose, {})
            for key, value in changed.items():
                if value is None:
                    kept.pop(key, None)
                else:
                    kept[key] = value
        return succeed(None)

    def drop(self, owner: str) -> Deferred[None]:
        """See `IKept.drop`."""
        self.owners.pop(owner, None)
        return succeed(None)

    def drop_others(self, owners: Collection[str]) -> Deferred[list[str]]:
        """See `IKept.drop_others`."""
        gone = sorted({*self.owners} - {*owners})
        for owner in gone:
            del self.owners[owner]
        return succeed(gone)
