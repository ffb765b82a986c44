"""The way of single messages, as debug lines that share a message id. When off, it costs one check per batch."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.model import Outcome, TelemetryRecord
from iotgw.core.ports.journal import Entries, IMessages
from iotgw.core.ports.pipeline import UplinkListener
from iotgw.core.ports.sources import ISources
from iotgw.core.ports.trace import ITrace


@implementer(ITrace)
class Trace(UplinkListener):
    """Writes the lines while ``on``."""

    _log = Logger()

    def __init__(self, journal: IMessages, sources: ISources, on: bool = False) -> None:
        self.on = on
        self._journal = journal
        self._sources = sources

    def stored(self, datasource: str, entries: Entries) -> None:
        """These uplinks are durable."""
        if self.on:
            name, epochs = self._sources.name(datasource), self._journal.epochs
            for stored, _ in entries:
                self._log.debug(
                    "{message_id}: {size} bytes from {datasource} are stored",
                    message_id=epochs.message_id(stored.seq), size=len(stored.uplink.payload), datasource=name,
                )  # fmt: skip

    def settled(self, outcomes: list[Outcome], records: list[TelemetryRecord]) -> None:
        """These uplinks were converted, filtered or failed, with these outputs."""
        if self.on:
            epochs = self._journal.epochs
            for outcome in outcomes:
                self._log.debug(
                    "{message_id}: {state} by {converter}{error}",
                    message_id=epochs.message_id(outcome.seq), state=outcome.state.name.lower(),
                    converter=outcome.converter or "no converter",
                    error=f": {outcome.error.message}" if outcome.error is not None else "",
                )  # fmt: skip
            for record in records:
                self._log.debug(
                    "{message_id}: telemetry {seq} of {device} waits for the integrations",
                    message_id=epochs.id_of(record), seq=record.seq, device=record.device_name,
                )  # fmt: skip

    def delivered(self, records: Iterable[TelemetryRecord], integration: str, verdict: str) -> None:
        """A target took these, or did not."""
        for record in records:
            self._log.debug(
                "{message_id}: telemetry {seq} at {integration}: {verdict}",
                message_id=self._journal.epochs.id_of(record), seq=record.seq,
                integration=integration, verdict=verdict,
            )  # fmt: skip
