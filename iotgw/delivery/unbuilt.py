"""Stands for a target that can't be made of what is saved: its secrets can't be read, its type isn't installed any more, or a newer version refuses its settings."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.integrations import IIntegration, Settle
from iotgw.core.verdict import Unavailable


@implementer(IIntegration)
class Unbuilt:
    """A target that can't start, for this reason; what is to be delivered waits until somebody mends its settings."""

    capacity = 1
    max_batch = 1
    whole = False

    def __init__(self, reason: Exception) -> None:
        self._reason = reason

    def start(self) -> Deferred[None]:
        """See `IIntegration.start`. Fails."""
        return fail(self._reason)

    def stop(self) -> Deferred[None]:
        """See `IIntegration.stop`."""
        return succeed(None)

    def send(self, records: list[TelemetryRecord], settle: Settle) -> None:
        """See `IIntegration.send`. Nobody calls it, as it has not started."""
        settle([record.seq for record in records], Unavailable(str(self._reason)))

    def check(self) -> Deferred[dict[str, Any]]:
        """See `IIntegration.check`."""
        return succeed({"ok": False, "detail": str(self._reason)})

    def status(self) -> dict[str, Any]:
        """See `IIntegration.status`."""
        return {"state": "failed", "lastError": str(self._reason)}
