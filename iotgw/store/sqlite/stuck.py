"""Rows that can't be deleted because their page, or one beside it, is damaged.

They stay where they are. Trimming goes on behind them, and what lies on the damaged page itself is passed by. Nothing of
this is stored: the next start finds the same rows again, with a few statements that fail.
"""

from __future__ import annotations

import sqlite3

from iotgw.store.sqlite.damage import Tell, is_damage

MOST_DOUBLINGS = 40
"""Steps of the search for what lies behind a damaged page: 1, 2, 4, … positions."""


_UPLINK = {"uplink": "seq", "telemetry": "uplink"}
"""Where each table's rows have the position of their uplink. Times would not do to compare two streams: clocks jump."""


class StuckRows:
    """Where the rows of ``table`` begin that can be deleted."""

    def __init__(self, connection: sqlite3.Connection, table: str, tell: Tell) -> None:
        self._connection = connection
        self._table = table
        self._tell = tell
        self.past = 0
        """Up to this position nothing is deleted any more."""
        self._run = 0
        """The first position of those that were stepped over and not told of yet; 0 if there are none."""
        self._reason = ""

    def first(self) -> tuple[int, int]:
        """The position of the first row that may be deleted, and that of its uplink, 0 for an event; zeros if there is none."""
        try:
            return self._after(self.past)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return self._behind(error)

    def step_over(self, first: int, last: int, error: Exception) -> None:
        """Leave the rows between these positions, and all before them, where they are."""
        self._run = self._run or first
        self._reason = str(error)
        self.past = last

    def report(self) -> None:
        """The damage lies behind: tell which rows were stepped over."""
        if self._run:
            rows = f"{self._table}: rows between positions {self._run} and {self.past}"
            self._tell(self._table, self._run, self.past, f"{rows} can't be deleted: {self._reason}")
            self._run = 0

    def _after(self, position: int) -> tuple[int, int]:
        row = self._connection.execute(
            f"SELECT seq, {_UPLINK[self._table]} FROM {self._table} WHERE seq > ? ORDER BY seq LIMIT 1",
            (position,),
        ).fetchone()
        return row or (0, 0)

    def _behind(self, error: Exception) -> tuple[int, int]:
        """The first row behind a damaged page: steps that double, then bisection."""
        found = (0, 0)
        fails, works = self.past, 0
        for step in range(MOST_DOUBLINGS):
            try:
                found = self._after(self.past + (1 << step))
            except sqlite3.Error as again:
                if not is_damage(again):
                    raise
                fails = self.past + (1 << step)
            else:
                works = self.past + (1 << step)
                break
        while works - fails > 1:
            middle = (works + fails) // 2
            try:
                found = self._after(middle)
            except sqlite3.Error as again:
                if not is_damage(again):
                    raise
                fails = middle
            else:
                works = middle
        if found[0]:
            self.step_over(max(self.past, self._run) + 1, found[0] - 1, error)
        return found
