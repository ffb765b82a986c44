"""Where in the user's script an error is: the engines' stacks, in the script's own lines."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from iotgw.converters.engines import FAR
from iotgw.converters.jsontext import decode
from iotgw.core.model import ConversionError

_FRAME = re.compile(r"(?:compile|<input>):(\d{1,9})(?::(\d{1,9}))?", re.ASCII)
_FUNCTION = re.compile(r"at ([\w$.<>\[\]]+) \(")
_PARSE_LINE = re.compile(r"\(line (\d{1,9})\)", re.ASCII)
_FRAMES = 10
VAGUE = "<input>:1:1)"
"""QuickJS's place of a loop that it interrupts: the position is kept only across calls."""


class StackFrame(NamedTuple):
    """A place in a stack: the function's name, line and column from 1, and the file, empty for the script itself."""

    function: str
    line: int
    column: int | None
    file: str


Place = Callable[[StackFrame], StackFrame]
"""The frame in the converter's own files, of one as the engine counts lines and columns and names functions."""


def _of_script(frame: StackFrame) -> StackFrame:
    return frame


def frames(stack: str, offset: int, place: Place = _of_script) -> list[StackFrame]:
    """The frames of a stack that are in the script, innermost first."""
    found = []
    for text in stack.splitlines():
        match = _FRAME.search(text)
        if match is None or "(native)" in text or (text.endswith(" internal") and "compile:" not in text):
            continue
        counted = int(match[1]) - FAR - offset
        if counted >= 1:
            function = _FUNCTION.search(text)
            column = int(match[2]) if match[2] else None
            found.append(place(StackFrame(function[1] if function else "", counted, column, "")))
    return found


class _Thrown(Struct):
    """What the runtime says of an error."""

    message: str | None = None
    name: str | None = None
    stack: str | None = None
    logs: tuple[str, ...] | None = None


def innermost(places: list[StackFrame]) -> tuple[int | None, int | None, str]:
    """Line, column and file of the first frame, if there is one."""
    return (places[0].line, places[0].column, places[0].file) if places else (None, None, "")


def explain(answer: str, offset: int, place: Place = _of_script) -> tuple[ConversionError, tuple[str, ...]]:
    """The runtime's ``!{…}`` as an error, and the lines that the script had logged."""
    try:
        seen = msgspec.convert(decode(answer[1:]), _Thrown)
    except (msgspec.DecodeError, RecursionError):  # a script may change how objects are written
        seen = _Thrown("the script threw something that can't be read")
    places = frames(seen.stack or "", offset, place)
    line, column, file = innermost(places)
    message = _PARSE_LINE.sub(
        lambda match: f"(line {max(place(StackFrame('', int(match[1]) - FAR - offset, None, '')).line, 1)})",
        seen.message or "no message",
    )
    error = ConversionError(
        message=message,
        name=seen.name or "Error",
        line=line,
        column=column,
        stack=stack(places),
        file=file,
    )
    return error, seen.logs or ()


def of_result(script: str, entry: str) -> tuple[int, int] | None:
    """Where a script makes its result, for a result that is refused: its entry, or a body's last return."""
    name = re.escape(entry.rpartition(".")[2]) if entry else "return"
    found = list(re.finditer(rf"(?<![\w$]){name}(?![\w$])", script))
    if not found:
        return None
    at = found[0 if entry else -1].start()
    return script.count("\n", 0, at) + 1, at - script.rfind("\n", 0, at)


def stack(places: list[StackFrame]) -> str:
    """A stack as a person reads it."""
    lines = []
    for frame in places[:_FRAMES]:
        where = f"{frame.file}:" if frame.file else ""
        column = f":{frame.column}" if frame.column else ""
        lines.append(f"at {frame.function or 'script'} ({where}{frame.line}{column})")
    return "\n".join(lines)
