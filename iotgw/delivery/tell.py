"""How an integration says what happened to it: an event under the name that it has then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iotgw.core.model import Event
from iotgw.core.ports.events import IEvents
from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import Tell


def teller(events: IEvents, now_ms: Callable[[], int], who: Callable[[], tuple[str, str] | None]) -> Tell:
    """A `Tell` for the integration whose name and tenant ``who()`` gives, or None once it was removed.
    ``now_ms()`` is milliseconds since 1970."""

    def tell(type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        found = who()
        if found is not None:
            name, tenant = found
            events.emit(Event(now_ms(), type, "integration", name, message, tenant, severity, detail=detail))

    return tell
