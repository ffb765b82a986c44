"""How long usage is kept, by hour and by day."""

from __future__ import annotations

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
HOURS = 40 * 24
"""Hours of which the usage by hour is kept."""
DAYS = 730
DEVICE_DAYS = 40
