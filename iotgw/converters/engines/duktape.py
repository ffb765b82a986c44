"""Duktape through pyduktape2 (GPL-2.0-only: this module is imported by the worker program alone)."""

from __future__ import annotations

from collections.abc import Callable

from pyduktape2 import DuktapeContext, JSError

from iotgw.converters.engines import ENTRIES, Stopped, source


class Duktape:
    """A Duktape 2.7 context: ES5.1 and parts of ES6; it has no time or memory limit of its own.

    Nothing but text may cross: any Python object in a script is a way out of the sandbox, and any
    exception or odd value that leaves a script can abort the process (see ``runtime/guard.js``).
    """

    name = "duktape"
    line_offset = 0

    def __init__(self, time_limit: float, memory_limit: int, script: str) -> None:
        context = DuktapeContext()
        context.eval_js(source(script, "polyfill.js"))
        self._entries = {entry: context.get_global("__iotgw_" + entry) for entry in ENTRIES}
        context.eval_js(";".join(f"delete this.__iotgw_{entry}" for entry in ENTRIES))
        self._context = context
        self.run = self._guarded(self._entries["run"])

    @staticmethod
    def _guarded(function: Callable[[str], object]) -> Callable[[str], str]:
        def run(args: str) -> str:
            try:
                answer = function(args)
            except JSError as error:  # the guard itself ran out of memory or stack
                raise Stopped(str(error)) from None
            if type(answer) is not str:
                raise Stopped("the script broke the runtime it runs in")
            return answer

        return run

    def call(self, entry: str, args: str) -> str:
        """See `Engine.call`."""
        return self._guarded(self._entries[entry])(args)
