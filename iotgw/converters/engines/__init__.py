"""JavaScript engines behind one `ConverterEngine`; the same runtime runs in each.

Only the worker program makes engines. An engine that can't be imported is left out (pyduktape2 has no
wheel for Python 3.14; QuickJS then runs everything).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol

RUNTIME = Path(__file__).resolve().parent.parent / "runtime"
PARTS = ("lockdown.js", "guard.js", "host.js", "dialects.js", "realm.js")
TBEL = "tbel"
"""The parts in runtime/tbel as one, in a scope of its own: for translations of TBEL scripts, which name it."""
TBEL_PARTS = ("values", "json", "numbers", "dates", "texts", "members", "classes", "functions", "entry")
_CRYPTO = re.compile(r"\brequire\s*\(\s*['\"`](?:node:)?crypto['\"`]")
ON_DEMAND = {
    TBEL: re.compile(r"\b__tbel\b"),
    "lobaro.js": re.compile(r"\b(?:Parse|Parser|Device|Record|u?int(?:16|32)[BL]E|float32[BL]E)\b"),
    "buffer.js": re.compile(rf"\bBuffer\b|\bmsg\s*\.\s*payload\b|{_CRYPTO.pattern}"),
    "dates.js": re.compile(r"\bDate\b|\btoLocale"),
    "akenza.js": re.compile(r"\b(?:consume|emit|Bits|Hex)\b"),
    "platforms.js": re.compile(
        r"\b(?:variable|msg|converter|node|flow|context)\b|\breturn encode\b|\bsensor\b"
    ),
    "loraobject.js": re.compile(r"\bLoRaObject\b"),
    "modules.js": re.compile(r"\brequire\b"),
    "crypto.js": _CRYPTO,
    "codecs.js": re.compile(r"\brequire\s*\(\s*['\"`](?:cbor|msgpack|@msgpack|cayenne)"),
}
"""Parts for scripts that name what is in them: a context costs what its runtime does, in time and memory."""

LOADING = 0.05
"""CPU seconds that it may take to make a context ready, on top of the limit of a call."""
LOADING_PER_CHARACTER = 5e-6
"""CPU seconds to read each character of a script, on top of `LOADING`."""
FAR = 1000
"""The runtime moves the script's lines this far down (``far`` in guard.js)."""


class ConverterEngine(Protocol):
    """A context of its own with the runtime in it: what the worker program knows of an engine.

    Nothing but texts crosses. An engine bounds the time and the memory of a script where it can; the kernel does
    where it can't (`iotgw.converters.sandbox`).
    """

    name: str
    line_offset: int
    """Lines that ``new Function`` puts above a script, by this engine's count, without `FAR`."""

    run: Callable[[str], str]
    """The runtime's ``run``, as `call` but without the look-up; may raise `Stopped`."""

    def call(self, entry: str, args: str) -> str:
        """Call one of the runtime's functions (guard.js) with a text; returns a text."""


Make = Callable[[float, int, str], ConverterEngine]
"""``make(time_limit, memory_limit, script)``: seconds per call, bytes of heap (where the engine can limit it),
and the script that is to run there."""


class Stopped(Exception):
    """The engine stopped the script at a limit it can't catch; ``args[0]`` is the engine's stack."""


def source(script: str, *more: str) -> str:
    """The runtime for a script, with ``more`` parts, as one function, which leaves its entries in ``__iotgw``."""
    return _assembled(*PARTS, *(part for part, named in ON_DEMAND.items() if named.search(script)), *more)


_REMARKS = re.compile(r"^\s*(?://.*)?\n|^\s+", re.MULTILINE)
_UNENDED = re.compile(r"^((?:(?!//).)*[;{,])\n", re.MULTILINE)


def _text(path: Path) -> str:
    """A part without its remarks, which is read faster, and on few lines: a context costs 20 KB for each thousand in `FAR`."""
    return _UNENDED.sub(r"\1 ", _REMARKS.sub("", path.read_text("utf-8")))


# a worker can open no file
_TEXTS = {path.name: _text(path) for path in RUNTIME.glob("*.js")}
_TEXTS[TBEL] = "\n".join(
    ("(function () {", *(_text(RUNTIME / "tbel" / f"{part}.js") for part in TBEL_PARTS), "})();")
)


@cache
def _assembled(*parts: str) -> str:
    code = "\n".join(_TEXTS[part] for part in parts)
    entries = " ".join(f"globalThis.__iotgw_{entry} = {entry};" for entry in ENTRIES)
    return f"(function () {{\n'use strict';\nvar globalThis = (0, eval)('this');\n{code}\n{entries}\n}})();"


ENTRIES = ("run", "load", "ascii", "program", "compile", "mark", "names")


def available() -> dict[str, Make]:
    """The engines that can be made here, by name."""
    found: dict[str, Make] = {}
    for name, place in (("duktape", "Duktape"), ("quickjs", "QuickJS")):
        try:
            found[name] = getattr(import_module(f"iotgw.converters.engines.{name}"), place)
        except ImportError:
            continue
    return found
