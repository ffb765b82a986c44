"""QuickJS through quickjs-ng: the whole modern language, with limits of its own."""

from __future__ import annotations

from collections.abc import Callable

from quickjs import Context, JSException

from iotgw.converters.engines import ENTRIES, LOADING, LOADING_PER_CHARACTER, Stopped, source

_READING = ("load", "compile", "program")
"""Entries that are given a script, which may be long."""


class QuickJS:
    """A QuickJS context. ``time_limit`` is CPU seconds per call, ``memory_limit`` bytes of its heap."""

    name = "quickjs"
    line_offset = 2

    def __init__(self, time_limit: float, memory_limit: int, script: str) -> None:
        context = Context()
        context.set_memory_limit(memory_limit)
        context.eval(source(script))
        self._entries = {entry: context.get("__iotgw_" + entry) for entry in ENTRIES}
        context.eval(";".join(f"delete globalThis.__iotgw_{entry}" for entry in ENTRIES))
        context.set_time_limit(time_limit)
        self._time_limit = time_limit
        self._context = context
        self.run = self._guarded(self._entries["run"])

    @staticmethod
    def _guarded(function: Callable[[str], object]) -> Callable[[str], str]:
        def run(args: str) -> str:
            try:
                answer = function(args)
            except JSException as error:  # "interrupted" can't be caught by a script
                raise Stopped(str(error)) from None
            except TypeError as error:  # a value that the binding has no Python for
                raise Stopped(f"the script broke the runtime it runs in: {error}") from None
            if type(answer) is not str:
                raise Stopped("the script broke the runtime it runs in")
            return answer

        return run

    def call(self, entry: str, args: str) -> str:
        """See `Engine.call`."""
        if entry in _READING:
            self._context.set_time_limit(self._time_limit + LOADING + LOADING_PER_CHARACTER * len(args))
            try:
                return self._guarded(self._entries[entry])(args)
            finally:
                self._context.set_time_limit(self._time_limit)
        return self._guarded(self._entries[entry])(args)
