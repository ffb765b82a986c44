"""Texts that recur (tenants, datasources, converters, integrations), and their numbers in the journal."""

from __future__ import annotations

import sqlite3


class NameTable(dict[str, int]):
    """Text → number. Used by the writer's thread; other threads may read names that they were told of.

    A new text gets the next number at once and is written with the next commit. If that commit fails the number stays,
    so nothing has to be undone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[int, str] = {}
        self._unsaved: list[object] = []
        self._last = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Read the names in the database."""
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
        """Insert new names. Call `saved` after the commit."""
        rows = len(self._unsaved) // 2
        if rows:
            for start in range(0, rows * 2, 2):
                connection.execute(
                    "INSERT OR IGNORE INTO name VALUES (?, ?)", self._unsaved[start : start + 2]
                )

    def saved(self) -> None:
        """The new names are committed."""
        if self._unsaved:
            self._unsaved = []
