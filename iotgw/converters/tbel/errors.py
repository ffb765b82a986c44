"""What is wrong with a TBEL script, and where."""

from __future__ import annotations

from iotgw.core.model import ConversionError


class TbelError(Exception):
    """A script that can't be translated; ``at`` is an offset in its text."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.message = message
        self.at = at

    def placed(self, script: str) -> ConversionError:
        """The error with line and column, both from 1."""
        line, column = place(script, self.at)
        return ConversionError(self.message, name="SyntaxError", line=line, column=column)


def place(script: str, at: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1."""
    return script.count("\n", 0, at) + 1, at - script.rfind("\n", 0, at)
