"""A second run of a script that hangs or fails, to find out where.

QuickJS can stop a script and say which function it was in, but not which loop; Duktape knows the lines of errors
but not their columns; and what is thrown without being an Error (``throw "too short"``) has no place in either. So
the script runs once more in QuickJS, with a mark in the condition of every loop and in every ``throw``. Nothing
but the place is taken from that run.
"""

from __future__ import annotations

import re

import msgspec

from iotgw.converters.loading import HEAP, sources
from iotgw.converters.protocol import ScriptCall
from iotgw.converters.script import LIMITS, Arm, Engines, LoadFailed, Script
from iotgw.converters.tbel import DIALECT
from iotgw.core.model import Conversion, ConversionError, ConverterVersion
from iotgw.core.numbers import whole

SLOWER = 4
"""How many times as long the marked script may take in QuickJS, before it is taken for one that hangs."""
MARGIN = 1.0
"""CPU seconds until the kernel ends what QuickJS can't, and the time to make two contexts."""
_MARK = "__iotgw_at"
# comments, strings and templates are skipped; a loop's keyword with its parenthesis is what is looked for
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
    r"|(?<![\w$.])(while|for)\s*\(|(?<![\w$.])(throw)(?=[\s({\"'`\[])|[();]",
    re.DOTALL,
)


def careful(
    version: ConverterVersion, call: ScriptCall, state: bytes, engines: Engines, arm: Arm
) -> Conversion | None:
    """The conversion of a script that hangs, with the place; None when it seems to come to an end."""
    make = engines.get("quickjs")
    if make is None:
        return None
    script, marks = _marked(version)
    for source, places in ((script, marks), (version.script, [])):
        suspect = msgspec.structs.replace(version, engine="quickjs", script=source)
        arm(version.time_limit * SLOWER + MARGIN)
        code = sources(suspect, make)
        engine = make(version.time_limit * SLOWER, HEAP, code.text)
        try:
            run = Script(suspect, engine, code)
            error = run.convert(call.payload, call.metadata, call.received_ms, state)[0].error
            is_vague = run.is_place_vague
        except LoadFailed as failed:
            error, is_vague = failed.error, True
            if error.name == "SyntaxError" and places:
                continue  # the marks broke it: run it as it is
        if error is None or error.name not in LIMITS:
            return None
        if is_vague:
            reached = engine.call("mark", "")
            mark = whole(reached, 0, len(places) - 1)
            if mark is not None:
                line, column, _ = places[mark]
                error = msgspec.structs.replace(error, line=line, column=column)
        return Conversion(error=error)
    return None


_known: dict[tuple[str, int | None, str, str], tuple[int, int] | None] = {}
_KNOWN = 256
MOST_MARKS = 1 << 24
"""More than a script has."""


def placed(
    script: Script, conversion: Conversion, call: ScriptCall, state: bytes, engines: Engines, arm: Arm
) -> Conversion:
    """The same conversion with line and column in its error, where they were missing and can be found."""
    error = conversion.error
    if error is None or error.column is not None or error.name in LIMITS or "quickjs" not in engines:
        return conversion
    # errors with a line are of one kind per line; others are told by what they say
    kind = (
        script.version.key + error.file,
        error.line,
        error.name,
        "" if error.line else error.message[:100],
    )
    if kind not in _known:
        if len(_known) >= _KNOWN:
            _known.clear()
        _known[kind] = _find(script.version, error, call, state, engines, arm)
    place = _known[kind]
    if place is None:
        return conversion
    stack = error.stack.replace(f"({error.line})", f"({place[0]}:{place[1]})", 1)
    error = msgspec.structs.replace(error, line=place[0], column=place[1], stack=stack)
    return msgspec.structs.replace(conversion, error=error)


def _find(
    version: ConverterVersion,
    error: ConversionError,
    call: ScriptCall,
    state: bytes,
    engines: Engines,
    arm: Arm,
) -> tuple[int, int] | None:
    """Where another run of the script, in QuickJS, fails in the same way."""

    def fails(source: str) -> tuple[ConversionError | None, int | None]:
        """The error of such a run, and the last mark that it reached."""
        twin_version = msgspec.structs.replace(version, engine="quickjs", script=source)
        arm(version.time_limit * SLOWER + MARGIN)
        code = sources(twin_version, engines["quickjs"])
        engine = engines["quickjs"](version.time_limit * SLOWER, HEAP, code.text)
        try:
            twin = Script(twin_version, engine, code)
            again = twin.convert(call.payload, call.metadata, call.received_ms, state)[0].error
        except LoadFailed as failed:
            again = failed.error
        return again, whole(engine.call("mark", ""), 0, MOST_MARKS)

    again, _ = fails(version.script)
    if again is None:
        return None
    if error.line is not None:
        is_same = (again.file, again.line) == (error.file, error.line)
        return (again.line, again.column) if is_same and again.line and again.column else None
    if again.message != error.message:
        return None
    if (
        again.line and again.column and again.file == error.file
    ):  # Duktape forgets who makes a last call (`return f()`)
        return again.line, again.column
    source, places = _marked(version)
    again, reached = fails(source)
    if again is None or again.message != error.message or reached is None or reached >= len(places):
        return None
    line, column, keyword = places[reached]
    return (line, column) if keyword == "throw" else None


def _marked(version: ConverterVersion) -> tuple[str, list[tuple[int, int, str]]]:
    """A version's script with marks. A translation needs none: there is a call in each of its loops."""
    return (version.script, []) if version.dialect == DIALECT else instrument(version.script)


def instrument(script: str) -> tuple[str, list[tuple[int, int, str]]]:
    """The script with its marks, and the (line, column, keyword) of each: a loop's or a ``throw``'s."""
    places: list[tuple[int, int, str]] = []
    inserts: list[tuple[int, str]] = []
    open_: list[tuple[str, int, int]] = []  # (keyword or "", mark, semicolons seen)
    for match in _TOKEN.finditer(script):
        token = match[0]
        keyword = match[1] or match[2]
        if keyword:
            mark = len(places)
            at = match.start()
            places.append((script.count("\n", 0, at) + 1, at - script.rfind("\n", 0, at), keyword))
            if keyword == "throw":
                inserts.append((match.end(), f" {_MARK}({mark}),"))
                continue
            if keyword == "while":
                inserts.append((match.end(), f"{_MARK}({mark}),"))
            open_.append((keyword, mark, 0))
        elif token == "(":
            open_.append(("", -1, 0))
        elif token == ";" and open_:
            keyword, mark, seen = open_[-1]
            open_[-1] = (keyword, mark, seen + 1)
            if keyword == "for" and seen == 0:
                # for (a;b;c): the condition may be empty, which means true
                after = script[match.end() :].lstrip()
                inserts.append((match.end(), f"{_MARK}({mark})" + ("" if after.startswith(";") else ",")))
        elif token == ")" and open_:
            open_.pop()
    for at, text in reversed(inserts):
        script = script[:at] + text + script[at:]
    return script, places
