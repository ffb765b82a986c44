"""Hands uplinks to the conversions of their datasource."""

from __future__ import annotations

from iotgw.core.model import StoredUplink
from iotgw.core.ports.journal import Entries
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.pipeline.datasource_runner import DatasourceRunner


class AllConversions(UplinkListener):
    """Hands uplinks to the conversions of their datasource."""

    def __init__(self, running: dict[str, DatasourceRunner]) -> None:
        self._running = running

    def storing(self, datasource: str, uplinks: list[StoredUplink]) -> None:
        """Start converting them while they are being stored."""
        runner = self._running.get(datasource)
        if runner is not None:
            runner.conversions.storing(uplinks)

    def stored(self, datasource: str, entries: Entries) -> None:
        """Let their conversions take effect."""
        runner = self._running.get(datasource)
        if runner is not None:
            runner.conversions.stored([stored for stored, _ in entries])

    def postponed(self, datasource: str, uplinks: list[StoredUplink]) -> None:
        """Drop them for now."""
        runner = self._running.get(datasource)
        if runner is not None:
            runner.conversions.refused({stored.seq for stored in uplinks}, come_again=True)

    def refused(self, datasource: str, entries: Entries, reason: str) -> None:
        """Drop them."""
        runner = self._running.get(datasource)
        if runner is not None:
            runner.source.counts["refused"] += len(entries)
            runner.conversions.refused({stored.seq for stored, _ in entries})
