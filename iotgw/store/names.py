"""Texts that recur (tenants, datasources, converters, integrations), and their numbers in the journal."""

from __future__ import annotations

from collections.abc import Iterable


class NameTable(dict[str, int]):
    """Text → number. Used by the writer's thread; other threads may read names that they were told of.

    A new text gets the next number at once and is written with the next commit. If that commit fails the number stays,
    so nothing has to be undone.
    """

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[int, str] = {}
        self.unsaved: list[tuple[int, str]] = []
        """To be written with the next commit; then call `saved`."""
        self._last = 0

    def load(self, rows: Iterable[tuple[int, str]]) -> None:
        """Take over the names in the database: numbers and texts."""
        for number, text in rows:
            self[text] = number
            self.texts[number] = text
            self._last = max(self._last, number)

    def __missing__(self, text: str) -> int:
        text.encode()  # a lone surrogate has no place in a database: fails here, before it has a number
        self._last = number = self._last + 1
        self.texts[number] = text
        self[text] = number
        self.unsaved.append((number, text))
        return number

    def saved(self) -> None:
        """The new names are committed."""
        if self.unsaved:
            self.unsaved = []
