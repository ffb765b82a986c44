"""``ttd``, time till disconnect: a device says for how many seconds it listens, in words of Eclipse Hono's."""

from __future__ import annotations

from typing import Any

from iotgw.core.numbers import real

NAMES = ("hono-ttd", "ttd")
"""As a header (HTTP) or in the query."""


def seconds(said: Any, longest: float) -> float:
    """How long an answer may be held back; 0 for what is no number of seconds, or below."""
    ttd = real(said, 0.0)
    return 0.0 if ttd is None else min(ttd, longest)


def in_query(query: dict[str, Any]) -> Any:
    """What a query says of it, or None."""
    return next((query[name] for name in NAMES if name in query), None)
