"""JavaScript engines behind `iotgw.interfaces.IConverterEngine`; the same runtime runs in each.

Only the worker program makes engines. An engine that can't be imported is left out (pyduktape2 has no
wheel for Python 3.14; QuickJS then runs everything).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Protocol

RUNTIME = Path(__file__).resolve().parent.parent / "runtime"
PARTS = ("lockdown.js", "guard.js", "host.js", "dialects.js")

FAR = 2000
"""The runtime moves the script's lines this far down (``far`` in guard.js)."""


class Engine(Protocol):
    """A context of its own with the runtime in it. See `iotgw.interfaces.IConverterEngine`."""

    name: str
    line_offset: int
    """Lines that ``new Function`` puts above a script, by this engine's count, without `FAR`."""

    run: Callable[[str], str]
    """The runtime's ``run``, as `call` but without the look-up; may raise `Stopped`."""

    def call(self, entry: str, args: str) -> str:
        """Call one of the runtime's functions (guard.js) with a text; returns a text."""


class Stopped(Exception):
    """The engine stopped the script at a limit it can't catch; ``args[0]`` is the engine's stack."""


def source() -> str:
    """The runtime: the parts as one function, which leaves its entries in ``__iotgw``."""
    code = "\n".join((RUNTIME / part).read_text("utf-8") for part in PARTS)
    code += "\n(function () {\n" + (RUNTIME / "polyfill.js").read_text("utf-8") + "})();\n"
    return (
        "(function () {\n'use strict';\nvar globalThis = (0, eval)('this');\n" + code + "\n"
        "globalThis.__iotgw_run = run; globalThis.__iotgw_load = load; globalThis.__iotgw_ascii = ascii;\n"
        "globalThis.__iotgw_program = program; globalThis.__iotgw_compile = compile;\n"
        "globalThis.__iotgw_mark = mark; globalThis.__iotgw_names = names;\n"
        "})();"
    )


ENTRIES = ("run", "load", "ascii", "program", "compile", "mark", "names")


def available() -> dict[str, Callable[[float, int], Engine]]:
    """The engines that can be made here: name → ``factory(time_limit, memory_limit)``."""
    found: dict[str, Callable[[float, int], Engine]] = {}
    for name, place in (("duktape", "Duktape"), ("quickjs", "QuickJS")):
        try:
            found[name] = getattr(import_module(f"iotgw.converters.engines.{name}"), place)
        except ImportError:
            continue
    return found
