"""The table of rows: each a claim of an RFC, and a function that asks a server for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    name: str
    reference: str
    level: str
    check: Callable


ROWS: list[Row] = []


def row(reference, level="MUST", name=None):
    """Adds a function to the table under its own name."""

    def add(check):
        ROWS.append(Row(name or check.__name__.replace("_", " "), reference, level, check))
        return check

    return add


def all_rows():
    """The whole table."""
    from . import rows_blockwise, rows_messages, rows_observe, rows_options  # noqa: F401

    assert len({row.name for row in ROWS}) == len(ROWS)
    return ROWS
