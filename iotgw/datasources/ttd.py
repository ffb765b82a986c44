"""``ttd``, time till disconnect: for how many seconds a device listens. The name is from Eclipse Hono."""

from __future__ import annotations

from typing import Any

from iotgw.core.numbers import real

NAMES = ("hono-ttd", "ttd")
"""As a header (HTTP) or in the query."""


def seconds(said: Any, longest: float) -> float:
    """How long an answer may be held back, in seconds; 0 for anything that is not a positive number."""
    ttd = real(said, 0.0)
    return 0.0 if ttd is None else min(ttd, longest)


def in_query(query: dict[str, Any]) -> Any:
    """Its value in a query, or None."""
    return next((query[name] for name in NAMES if name in query), None)
