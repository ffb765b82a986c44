"""Where in the user's script an error is: the engines' stacks, in the script's own lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from iotgw.converters.engines import FAR
from iotgw.core.model import ConversionError

_FRAME = re.compile(r"(?:compile|<input>):(\d{1,9})(?::(\d{1,9}))?", re.ASCII)
_FUNCTION = re.compile(r"at ([\w$.<>\[\]]+) \(")
_PARSE_LINE = re.compile(r"\(line (\d{1,9})\)", re.ASCII)
_FRAMES = 10
VAGUE = "<input>:1:1)"
"""QuickJS's place of a loop that it interrupts: the position is kept only across calls."""


Places = Sequence[tuple[int, int]]
"""Line and column of a script for each line, from 1 on, of the JavaScript that it was translated to."""


def frames(stack: str, offset: int, places: Places = ()) -> list[tuple[str, int, int | None]]:
    """The frames of a stack that are in the script: (function, line, column), innermost first."""
    found: list[tuple[str, int, int | None]] = []
    for text in stack.splitlines():
        match = _FRAME.search(text)
        if match is None or "(native)" in text or (text.endswith(" internal") and "compile:" not in text):
            continue
        line = int(match[1]) - FAR - offset
        if line >= 1:
            function = _FUNCTION.search(text)
            name = function[1] if function else ""
            if places:
                # a translation's names have a `_` before them; its own function has none
                found.append((name[1:] if name[:1] == "_" else "", *places[min(line, len(places) - 1)]))
                continue
            found.append((name, line, int(match[2]) if match[2] else None))
    return found


def explain(answer: str, offset: int, places: Places = ()) -> tuple[ConversionError, tuple[str, ...]]:
    """The runtime's ``!{…}`` as an error, and the lines that the script had logged."""
    seen: dict[str, Any] = msgspec.json.decode(answer[1:])
    found = frames(seen.get("stack", ""), offset, places)
    line, column = (found[0][1], found[0][2]) if found else (None, None)
    message = _PARSE_LINE.sub(
        lambda match: f"(line {max(int(match[1]) - FAR - offset, 1)})", seen.get("message") or "no message"
    )
    error = ConversionError(
        message=message,
        name=seen.get("name") or "Error",
        line=line,
        column=column,
        stack=stack(found),
    )
    return error, tuple(seen.get("logs") or ())


def of_result(script: str, entry: str) -> tuple[int, int] | None:
    """Where a script makes its result, for a result that is refused: its entry, or a body's last return."""
    name = re.escape(entry) if entry else "return"
    found = list(re.finditer(rf"(?<![\w$]){name}(?![\w$])", script))
    if not found:
        return None
    at = found[0 if entry else -1].start()
    return script.count("\n", 0, at) + 1, at - script.rfind("\n", 0, at)


def stack(places: list[tuple[str, int, int | None]]) -> str:
    """A stack as a person reads it."""
    lines = [
        f"at {function or 'script'} ({line}" + (f":{column})" if column else ")")
        for function, line, column in places[:_FRAMES]
    ]
    return "\n".join(lines)
