"""What is probably not meant, in an output that breaks no rule: a warning each, once for all of its places."""

from __future__ import annotations

from typing import Any

EARLY_MS = 946_684_800_000
"""The beginning of 2000: a time before it is more likely to be seconds."""


class Doubts:
    """The doubts about one output."""

    def __init__(self) -> None:
        self._early: list[str] = []
        self._clashes: list[str] = []
        self._seen: dict[tuple[str, int], dict[str, Any]] = {}

    def early(self, at: str) -> None:
        """There is a time before 2000 at this place."""
        self._early.append(at)

    def compare(self, name: str, entries: list[dict[str, Any]], at: str) -> None:
        """Look for entries of a device that would take another's place: one time, and a common key."""
        for index, entry in enumerate(entries):
            other = self._seen.setdefault((name, entry["ts"]), entry["values"])
            if other is not entry["values"] and not other.keys().isdisjoint(entry["values"]):
                self._clashes.append(f"{at}[{index}]" if len(entries) > 1 else at)

    def warnings(self) -> list[str]:
        """As a person reads them."""
        found = []
        if self._early:
            found.append(f"{_places(self._early)}: a time before 2000; is it seconds? ts is ms since 1970")
        if self._clashes:
            found.append(
                f"{_places(self._clashes)}: a further entry with the device, the time and a key of another: "
                "most targets keep only one of them"
            )
        return found


def _places(places: list[str]) -> str:
    return places[0] + (f" and {len(places) - 1} more" if len(places) > 1 else "")
