"""A second look at a script that died: where does it hang?

QuickJS can stop a script and say which function it was in, but not which loop; so the script runs once with
a mark in the condition of every loop. What comes of that run is only used when it shows the script to hang.
"""

from __future__ import annotations

import re

import msgspec

from iotgw.converters.protocol import Call
from iotgw.converters.script import HEAP, LIMITS, Arm, Engines, LoadFailed, Script
from iotgw.model import Conversion, ConverterVersion

_MARK = "__iotgw_at"
# comments, strings and templates are skipped; a loop's keyword with its parenthesis is what is looked for
_TOKEN = re.compile(
    r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`"
    r"|(?<![\w$.])(while|for)\s*\(|[();]",
    re.DOTALL,
)


def careful(
    version: ConverterVersion, call: Call, state: bytes, engines: Engines, arm: Arm
) -> Conversion | None:
    """The conversion of a script that hangs, with the place; None when it seems to come to an end."""
    make = engines.get("quickjs")
    if make is None:
        return None
    script, marks = instrument(version.script)
    for source, places in ((script, marks), (version.script, [])):
        suspect = msgspec.structs.replace(version, engine="quickjs", script=source)
        arm(version.time_limit * 2 + 0.2)
        engine = make(version.time_limit, HEAP)
        try:
            run = Script(suspect, engine)
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
            if reached.isdigit() and int(reached) < len(places):
                line, column = places[int(reached)]
                error = msgspec.structs.replace(error, line=line, column=column)
        return Conversion(error=error)
    return None


def instrument(script: str) -> tuple[str, list[tuple[int, int]]]:
    """The script with a mark in each loop's condition, and the (line, column) of each mark's loop."""
    places: list[tuple[int, int]] = []
    inserts: list[tuple[int, str]] = []
    open_: list[tuple[str, int, int]] = []  # (keyword or "", mark, semicolons seen)
    for match in _TOKEN.finditer(script):
        token = match[0]
        if match[1]:
            mark = len(places)
            before = script[: match.start()]
            places.append((before.count("\n") + 1, match.start() - before.rfind("\n")))
            if match[1] == "while":
                inserts.append((match.end(), f"{_MARK}({mark}),"))
            open_.append((match[1], mark, 0))
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
