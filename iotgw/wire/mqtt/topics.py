"""Topics and topic filters (§4.7)."""

from __future__ import annotations

from collections.abc import Sequence


def matches(filter_: str, topic: str) -> bool:
    """Whether a topic matches a topic filter (§4.7)."""
    wanted: Sequence[str] = filter_.split("/")
    levels = topic.split("/")
    if topic.startswith("$") and wanted[0] in ("#", "+"):
        return False
    for place, level in enumerate(wanted):
        if level == "#":
            return True
        if place >= len(levels) or level not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
