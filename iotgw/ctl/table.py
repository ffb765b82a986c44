"""Values as text for a terminal. What devices sent is shown harmless: no control character gets through."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

CELL = 60
"""Characters of one cell; longer ones end in an ellipsis."""


def table(head: Sequence[str], rows: Sequence[Sequence[Any]], widest: int = CELL) -> str:
    """Columns under their heads, as wide as they need, up to ``widest`` characters; a line per row."""
    cells = [[cell(value, widest) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *cells, strict=True)]
    lines = [list(head), *cells]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def cell(value: Any, widest: int = CELL) -> str:
    """One value on one line."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return text if len(text) <= widest else text[: widest - 1] + "…"


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
    """The telemetry and attributes of a message's output, short."""
    shown = []
    for device in output:
        found = dict(device.get("attributes") or {})
        for entry in device.get("telemetry") or []:
            found.update(entry["values"])
        pairs = " ".join(f"{key}={cell(value)}" for key, value in found.items())
        shown.append(f"{device['deviceName']}: {pairs}" if pairs else str(device["deviceName"]))
    return "; ".join(shown)
