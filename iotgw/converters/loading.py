"""How a converter gets into a context: its files as JavaScript, and what the runtime is told of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from msgspec import Struct

from iotgw.converters import tbel
from iotgw.converters.dialect import BESIDE, Dialect
from iotgw.converters.engines import LOADING, LOADING_PER_CHARACTER, ConverterEngine, Make
from iotgw.converters.options import read
from iotgw.converters.position import StackFrame
from iotgw.converters.source.analysis import Analysis, analyse
from iotgw.converters.translation import MAIN, Piece, pieces
from iotgw.core.model import ConverterVersion

HEAP = 64 << 20
"""Bytes of a QuickJS context's heap."""
TRANSLATING_PER_CHARACTER = 1.2e-5
"""CPU seconds to translate one from TBEL as well."""
_REQUIRES = re.compile(r"\brequire\b")


def loading_time(length: int, dialect: str = "") -> float:
    """CPU seconds that it may take to make so many characters of script ready, on top of a call's own limit."""
    each = TRANSLATING_PER_CHARACTER if dialect == tbel.DIALECT else LOADING_PER_CHARACTER
    return LOADING + each * length


class ScriptCode(Struct, frozen=True):
    """A converter's files, ready for an engine; the script comes first."""

    parts: tuple[Piece, ...]

    @property
    def script(self) -> str:
        """The script itself."""
        return self.parts[0].source

    @property
    def text(self) -> str:
        """All of it: what the parts of the runtime are chosen by."""
        return "\n".join(part.source for part in self.parts)

    def place(self, frame: StackFrame) -> StackFrame:
        """The frame in the converter's own files, of one as the engine has it."""
        places = self.parts[0].places
        if places:
            line, column = places[min(max(frame.line, 0), len(places) - 1)]
            # a translation's names have a `_` before them; its own function has none
            return StackFrame(frame.function[1:] if frame.function[:1] == "_" else "", line, column, "")
        for part in reversed(self.parts[1:]):
            if frame.line > part.above:
                return frame._replace(line=frame.line - part.above, file=part.name)
        return frame


def checker(engine: ConverterEngine) -> Callable[[str], bool]:
    """Whether a text compiles in an engine."""
    return lambda text: engine.call("compile", json.dumps(text)) == "{}"


def sources(version: ConverterVersion, make: Make) -> ScriptCode:
    """A version's files as JavaScript for the engines that ``make`` makes. Raises SettingsError, TbelError."""
    if version.dialect == tbel.DIALECT:
        translation = tbel.translated(version.script, version.direction)
        return ScriptCode((Piece(MAIN, translation.source, places=translation.places),))
    made: list[ConverterEngine] = []

    def compiles(text: str) -> bool:
        if not made:
            made.append(make(version.time_limit or 1.0, HEAP, ""))
        return checker(made[0])(text)

    return ScriptCode(tuple(pieces(version.script, version.files, compiles)))


def load_order(dialect: Dialect, version: ConverterVersion, code: ScriptCode) -> tuple[str, bool]:
    """The argument of the runtime's ``load``, and whether each call needs a context of its own."""
    if dialect.name == tbel.DIALECT:  # its variables are those of one function, which a message calls
        order = {
            "shape": "functions",
            "dialect": dialect.adapter,
            "names": [tbel.ENTRY],
            "entry": tbel.ENTRY,
            "source": code.script,
            "sealed": True,
        }
        return json.dumps(order), False
    options = read(version.options)
    is_fresh = not options.state
    found = analyse(code.script, "" if dialect.entry else dialect.parameters)
    others = {part.name: analyse(part.source) for part in code.parts[1:] if not part.name.endswith(".json")}
    analysis = _all_of(found, list(others.values())) if is_fresh else Analysis()
    names = [dialect.entry] if dialect.entry != "module.exports" else []
    if dialect.entry and dialect.adapter.startswith("ts013"):
        names += [dialect.entry.rpartition(".")[0] + "." * ("." in dialect.entry) + name for name in BESIDE]
    order = {
        "shape": "functions" if dialect.entry else "body",
        "dialect": dialect.adapter,
        "parameters": dialect.parameters,
        "returns": dialect.returns,
        "names": names,
        "entry": dialect.entry,
        "variables": options.variables,
        "normalized": options.normalized,
        "sealed": is_fresh and analysis.is_understood,
        "anew": is_fresh and analysis.is_understood and not analysis.is_stateless,
        "open": analysis.open,
        "overrides": analysis.overrides,
        **_told(code, found if is_fresh else Analysis(), found, others),
    }
    return json.dumps(order), not analysis.is_understood


def look_order(names: tuple[str, ...], code: ScriptCode) -> str:
    """The argument of ``load`` that only asks which of the names a script defines."""
    others = {part.name: Analysis() for part in code.parts[1:] if not part.name.endswith(".json")}
    found = analyse(code.script)
    return json.dumps({"shape": "functions", "names": names, **_told(code, Analysis(), found, others)})


def _told(
    code: ScriptCode, analysis: Analysis, found: Analysis, others: dict[str, Analysis]
) -> dict[str, object]:
    """What of an order is said of the files themselves."""
    return {
        "source": code.script,
        "undeclared": analysis.undeclared,
        "reachesItself": analysis.reaches_itself,
        "exposed": found.exposed,
        "usesThis": found.uses_this,
        "strict": found.is_strict,
        "needs": _REQUIRES.search(code.text) is not None,
        "files": [
            {
                "name": part.name,
                "source": part.source,
                "above": part.above,
                "undeclared": others.get(part.name, Analysis()).undeclared,
                "reachesItself": others.get(part.name, Analysis()).reaches_itself,
            }
            for part in code.parts[1:]
        ],
    }


def _all_of(found: Analysis, others: list[Analysis]) -> Analysis:
    """What holds for a script with other files: they are run anew with it, since they may have a state of their own."""
    if not others:
        return found
    return Analysis(
        found.is_understood and all(other.is_understood for other in others),
        is_stateless=False,
        open=(*found.open, *(one for other in others for one in other.open)),
        overrides=(*found.overrides, *(one for other in others for one in other.overrides)),
    )
