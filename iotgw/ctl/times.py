"""Times as people type them: ``2h`` ago, ``yesterday``, or a date."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

_AGO = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)(s|m|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
EXPECTED = "a duration such as 90s, 30m, 2h, 3d or 1w, today, yesterday, or a date such as 2026-11-28 or 2026-11-28T14:30"


def duration(text: str) -> float:
    """Seconds: ``90s``, ``10m``, ``2h``, ``3d``, ``1w``. Raises ValueError."""
    found = _AGO.fullmatch(text)
    if found is None or not float(found[1]):
        raise ValueError(f"expected a duration such as 90s, 10m, 2h or 3d, got {text!r}")
    return float(found[1]) * _SECONDS[found[2]]


def coming_ms(text: str) -> int:
    """Milliseconds since 1970 of a time that lies so far ahead (``+2h``), or of a date as in `moment_ms`."""
    if text.startswith("+"):
        return int((time.time() + duration(text[1:])) * 1000)
    return moment_ms(text)


def moment_ms(text: str) -> int:
    """Milliseconds since 1970 of a time that lies so far back, of a day's beginning, or of a date in local time unless it says its zone.
    Raises ValueError."""
    if _AGO.fullmatch(text):
        return max(0, int((time.time() - duration(text)) * 1000))
    midnight = datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    days = {"today": midnight, "yesterday": midnight - timedelta(days=1)}
    try:
        date = days[text] if text in days else datetime.fromisoformat(text)
        found = int(date.timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        found = -1
    if found < 0:
        raise ValueError(f"expected {EXPECTED}, got {text!r}")
    return found
