"""Texts that recur (tenants, datasources, converters, integrations) and the numbers they have in the journal."""

from __future__ import annotations

import sqlite3


class NameTable(dict[str, int]):
    """Text → number. Used by the writer's thread; others may read what they were told of.

    An unknown text gets the next number at once and is written with the next commit. A number outlives a
    commit that failed, so nothing has to be taken back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[int, str] = {}
        self._unsaved: list[object] = []
        self._last = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Read what the database has."""
        for number, text in connection.execute("SELECT id, text FROM name"):
            self[text] = number
            self.texts[number] = text
            self._last = max(self._last, number)

    def __missing__(self, text: str) -> int:
        text.encode()  # a lone surrogate has no place in a database: fails here, before it has a number
        self._last = number = self._last + 1
        self.texts[number] = text
        self[text] = number
        self._unsaved += (number, text)
        return number

    def write(self, connection: sqlite3.Connection) -> None:
        """Insert what is new; call `saved` after the commit."""
        rows = len(self._unsaved) // 2
        if rows:
            for start in range(0, rows * 2, 2):
                connection.execute(
                    "INSERT OR IGNORE INTO name VALUES (?, ?)", self._unsaved[start : start + 2]
                )

    def saved(self) -> None:
        """What was new is committed."""
        if self._unsaved:
            self._unsaved = []
