"""Records events of an integration under its current name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from iotgw.core.ports.intake import Severity
from iotgw.core.ports.integrations import Tell
from iotgw.core.recorder import Recorder


def teller(recorder: Recorder, who: Callable[[], tuple[str, str] | None]) -> Tell:
    """A `Tell` for one integration. ``who()`` gives its name and tenant, or None once it was removed."""

    def tell(type: str, message: str, severity: Severity = "info", **detail: Any) -> None:
        found = who()
        if found is not None:
            name, tenant = found
            recorder.note(type, "integration", name, message, tenant, severity, **detail)

    return tell
