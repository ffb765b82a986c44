"""`ITrace` in a list."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import implementer

from iotgw.core.model import TelemetryRecord
from iotgw.core.ports.trace import ITrace


@implementer(ITrace)
class MemoryTrace:
    """``lines`` are ``(position, integration, verdict)``."""

    def __init__(self, on: bool = True) -> None:
        self.on = on
        self.lines: list[tuple[int, str, str]] = []

    def delivered(self, records: Iterable[TelemetryRecord], integration: str, verdict: str) -> None:
        """See `ITrace.delivered`."""
        self.lines += [(record.seq, integration, verdict) for record in records]
