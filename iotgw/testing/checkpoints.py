"""`ICheckpoints` in a dict."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from iotgw.core.ports.checkpoints import ICheckpoints


@implementer(ICheckpoints)
class MemoryCheckpoints:
    """Positions in memory. ``writes`` is how often they were written."""

    def __init__(self) -> None:
        self._stream = ""
        self.positions: dict[str, str] = {}
        self.writes = 0

    def read(self, stream: str) -> dict[str, str]:
        """See `ICheckpoints.read`."""
        return dict(self.positions) if stream == self._stream else {}

    def write(self, stream: str, positions: Mapping[str, str]) -> Deferred[None]:
        """See `ICheckpoints.write`."""
        self._stream, self.positions = stream, dict(positions)
        self.writes += 1
        return succeed(None)

    def forget(self) -> Deferred[None]:
        """See `ICheckpoints.forget`."""
        self.positions = {}
        return succeed(None)
