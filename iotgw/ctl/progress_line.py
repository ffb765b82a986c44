"""How far something is, on a line of the terminal's standard error; nothing elsewhere."""

from __future__ import annotations

import sys


class ProgressLine:
    """A line that is written over and over."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._is_on = sys.stderr.isatty()

    def show(self, count: int, share: float | None = None) -> None:
        """So many are done, and that share of all, where it is known."""
        if not self._is_on:
            return
        text = f"{count} {self._what}"
        if share is not None:
            done = round(min(1.0, share) * 30)
            text = f"[{'#' * done}{'.' * (30 - done)}] {min(1.0, share):4.0%} {text}"
        print(f"\r{text}", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clear the line."""
        if self._is_on:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
