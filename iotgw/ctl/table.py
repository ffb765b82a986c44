"""Values as text for a terminal. What devices sent is shown harmless: no control character gets through.

A table on a terminal is as wide as that. Its last column is where reasons stand: it is never cut, but goes on in further lines. Elsewhere, as in
a pipe, a row is one line.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime
from textwrap import wrap
from typing import Any

CELL = 60
"""Characters of one cell that isn't in the last column; longer ones end in an ellipsis."""
NARROW = 8
"""Characters to which a column may be cut where the terminal is too narrow."""
REASON = 24
"""Characters that the last column has at least."""
_GAP = 2


class Table(str):
    """A table as text, which remembers its cells."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


def table(
    head: Sequence[str], rows: Sequence[Sequence[Any]], widest: int = CELL, width: int | None = None
) -> Table:
    """Columns under their heads. ``widest`` bounds all but the last; ``width`` is that of the terminal that standard output is, if it is one."""
    width = terminal_width() if width is None else width
    cells = [
        [cell(value, widest) for value in row[:-1]] + [cell(value, 0) for value in row[-1:]] for row in rows
    ]
    widths = [max(map(columns, column)) for column in zip(head, *cells, strict=True)]
    if width:
        _fit(widths, [columns(name) for name in head], width)
    lines = [line for row in [list(head), *cells] for line in _lines(row, widths, width)]
    made = Table("\n".join(lines))
    made.head, made.rows = head, rows
    return made


def terminal_width() -> int:
    """The width of the terminal that standard output is, in characters; 0 where it is none."""
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError):
        return 0


def _fit(widths: list[int], heads: list[int], width: int) -> None:
    """Make columns narrower until all fit, the widest first; the last one has what is left."""
    room = width - _GAP * (len(widths) - 1)
    last = min(widths[-1], max(REASON, room - sum(widths[:-1])))
    while sum(widths[:-1]) + last > room:
        wide = max(
            range(len(widths) - 1),
            key=lambda index: widths[index] - max(NARROW, heads[index]),
            default=None,
        )
        if wide is None or widths[wide] <= max(NARROW, heads[wide]):
            break
        widths[wide] -= 1
    widths[-1] = min(widths[-1], max(REASON, room - sum(widths[:-1])))


def _lines(row: list[str], widths: list[int], width: int) -> Iterator[str]:
    first = [_padded(_cut(text, size), size) for text, size in zip(row[:-1], widths[:-1], strict=True)]
    last = row[-1:]
    if last and width and columns(last[0]) > widths[-1]:
        last = wrap(last[0], widths[-1], break_on_hyphens=False) or last
    yield (" " * _GAP).join([*first, *last[:1]]).rstrip()
    indent = " " * (sum(widths[:-1]) + _GAP * (len(widths) - 1))
    for line in last[1:]:
        yield indent + line


def columns(text: str) -> int:
    """How wide a text is on a terminal, in characters of which ideographs take two and combining marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _padded(text: str, size: int) -> str:
    return text + " " * max(0, size - columns(text))


def _cut(text: str, size: int) -> str:
    if columns(text) <= size:
        return text
    while columns(text) > size - 1:
        text = text[:-1]
    return text + "…"


def cell(value: Any, widest: int = CELL) -> str:
    """One value on one line; ``widest`` 0 is as long as it is."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return _cut(text, widest) if widest else text


def printable(text: str) -> str:
    """A text with everything that could move the cursor or change colours written out."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def moment(ms: int | None) -> str:
    """A time in milliseconds since 1970, in the zone of whoever reads it."""
    return datetime.fromtimestamp(ms / 1000).strftime("%Y-%m-%d %H:%M:%S") if ms else "-"


def payload(encoded: str) -> str:
    """A base64 payload: as text where it is text, else in hexadecimal."""
    raw = base64.b64decode(encoded)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return raw.hex()
    return text if text.isprintable() else raw.hex()


def values(output: Sequence[dict[str, Any]]) -> str:
    """What a message says, short: its readings, then its attributes."""
    shown = []
    for device in output:
        found: dict[str, Any] = {}
        for entry in device.get("telemetry") or []:
            found.update(entry["values"])
        found = {
            **found,
            **{key: item for key, item in (device.get("attributes") or {}).items() if key not in found},
        }
        pairs = " ".join(f"{key}={cell(value)}" for key, value in found.items())
        shown.append(f"{device['deviceName']}: {pairs}" if pairs else str(device["deviceName"]))
    return "; ".join(shown)
