"""The way of single messages, as debug lines that share a message id. Off, it costs a look per batch."""

from __future__ import annotations

from collections.abc import Iterable

from twisted.logger import Logger
from zope.interface import implementer

from iotgw.core.model import Outcome, StoredUplink, TelemetryRecord
from iotgw.core.ports.delivery import IDeliveryTrace


@implementer(IDeliveryTrace)
class Trace:
    """Writes the lines while ``on``. ``epoch`` is the journal's, part of every message id."""

    _log = Logger()

    def __init__(self) -> None:
        self.on = False
        self.epoch = ""

    def stored(self, uplinks: Iterable[StoredUplink], datasource: str) -> None:
        """These uplinks are durable."""
        for stored in uplinks:
            self._log.debug(
                "{message_id}: {size} bytes from {datasource} are stored",
                message_id=f"{self.epoch}-{stored.seq}", size=len(stored.uplink.payload), datasource=datasource,
            )  # fmt: skip

    def settled(self, outcomes: Iterable[Outcome], records: Iterable[TelemetryRecord]) -> None:
        """These are converted, filtered or failed, and this came of them."""
        for outcome in outcomes:
            self._log.debug(
                "{message_id}: {state} by {converter}{error}",
                message_id=f"{self.epoch}-{outcome.seq}", state=outcome.state.name.lower(),
                converter=outcome.converter or "no converter",
                error=f": {outcome.error.message}" if outcome.error is not None else "",
            )  # fmt: skip
        for record in records:
            self._log.debug(
                "{message_id}: telemetry {seq} of {device} waits for the integrations",
                message_id=f"{self.epoch}-{record.uplink}", seq=record.seq, device=record.device_name,
            )  # fmt: skip

    def delivered(self, records: Iterable[TelemetryRecord], integration: str, verdict: str) -> None:
        """A target took these, or did not."""
        for record in records:
            self._log.debug(
                "{message_id}: telemetry {seq} at {integration}: {verdict}",
                message_id=f"{self.epoch}-{record.uplink}", seq=record.seq, integration=integration,
                verdict=verdict,
            )  # fmt: skip
