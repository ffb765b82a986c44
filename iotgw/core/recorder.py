"""Records events with the current time; used by all rooms to report what happened."""

from __future__ import annotations

from typing import Any

from iotgw.core.model import Event
from iotgw.core.ports.clock import IDates
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.intake import Severity


class Recorder:
    """Gives each event its date."""

    def __init__(self, events: IEvents, dates: IDates) -> None:
        self._events = events
        self._dates = dates

    def note(
        self,
        type: str,
        source: str,
        name: str,
        message: str,
        tenant: str,
        severity: Severity = "info",
        /,
        *,
        device: str = "",
        message_id: str = "",
        **detail: Any,
    ) -> None:
        """Record what happened to the thing of kind ``source`` that is called ``name``; ``detail`` are JSON values."""
        now_ms = int(self._dates.seconds() * 1000)
        self._events.emit(
            Event(now_ms, type, source, name, message, tenant, severity, str(device), str(message_id), detail)
        )
