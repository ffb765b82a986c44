"""From TBEL's syntax tree to JavaScript: statements and functions. Expressions are `iotgw.converters.tbel.values`.

Operators, properties and methods become calls of runtime/tbel, each on a line of its own, so that the engine's line numbers tell
which place in the script an error is from.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from msgspec import Struct

from iotgw.converters.tbel import syntax, types
from iotgw.converters.tbel.parser import parse
from iotgw.converters.tbel.scopes import Scope, assignments, functions
from iotgw.converters.tbel.syntax import Statement
from iotgw.converters.tbel.values import ValueEmitter

ENTRY = "tbel"
"""The function that a translation defines."""
_MARK = re.compile("\x01(\\d+)\x02")


class Translation(Struct, frozen=True):
    """A script as JavaScript. ``places`` are the line and column of the TBEL script for each line, from 1 on."""

    source: str
    places: tuple[tuple[int, int], ...]


class Emitter(ValueEmitter):
    """Writes one script."""

    def __init__(
        self, body: tuple[Statement, ...], parameters: Sequence[str], calls: dict[str, int] | None = None
    ) -> None:
        found = list(assignments(body))
        super().__init__(Scope(None, dict.fromkeys(one.name for one in found), parameters), functions(body))
        self._body = body
        self._parameters = parameters
        self._above = {one.name: one.at for one in reversed(found) if one.is_top}
        counts: dict[str, int] = {}
        for one in found:
            counts[one.name] = counts.get(one.name, 0) + 1
        self._assigned_once = {
            name for name, count in counts.items() if count == 1 and name not in parameters
        }
        self._shadows = 0
        self._calls = calls or {}

    def script(self) -> str:
        """The whole of it, with marks in place of line breaks."""
        scope = self.scope
        inner = self._statements(self._body)
        if not self._has_value(self._body):
            entry = next((name for name in _ENTRIES if name in self.functions), "")
            inner += (
                f"return _{entry}({', '.join('_' + name for name in self._parameters)});" if entry else ""
            )
        head = f"function {ENTRY}({', '.join('_' + name for name in self._parameters)}) {{"
        used = ",".join(f"{name}: ${name}" for name in sorted(self.used))
        constants = "".join(f"const $c{number} = {code};" for number, code in enumerate(self.constants))
        return f"const {{{used}}} = __tbel;{constants}\n{head}{_hoisted(scope)}{inner}return null;}}"

    def _has_value(self, body: Sequence[Statement]) -> bool:
        return any(not isinstance(one, syntax.FunctionDefinition) for one in body)

    # --- statements ---

    def _statements(self, body: Sequence[Statement], is_last: bool = True) -> str:
        """``is_last``: the value of the last one is the function's."""
        parts = [self._statement(one, is_last and index == len(body) - 1) for index, one in enumerate(body)]
        return "".join(parts)

    def _statement(self, node: Statement, is_last: bool) -> str:
        write = getattr(self, f"_{type(node).__name__.lower()}")
        made: str = write(node, is_last)
        return made

    def _statementblock(self, node: syntax.StatementBlock, is_last: bool) -> str:
        self.scope.enter()
        made = self._statements(node.body, is_last)
        self.scope.leave()
        return f"{{{made}}}"

    def _evaluate(self, node: syntax.Evaluate, is_last: bool) -> str:
        value = self.value(node.value, is_used=is_last)
        return f"return ({value});" if is_last else f"{value};"

    def _declare(self, node: syntax.Declare, is_last: bool) -> str:
        self.declare(node.name, node.at)
        made = self.assigned(syntax.Name(node.at, node.name), node.value, node.type)
        return f"return ({made});" if is_last else f"{made};"

    def _if(self, node: syntax.If, is_last: bool) -> str:
        made = f"\x01{node.at}\x02"
        for index, (condition, then) in enumerate(node.branches):
            test = self.condition(condition)
            made += f"{'else ' if index else ''}if ({test}) {self._inner(then, is_last)}"
        return made + (f"else {self._inner(node.other, is_last)}" if node.other is not None else "")

    def _inner(self, node: Statement, is_last: bool) -> str:
        made = self._statement(node, is_last)
        return made if isinstance(node, syntax.StatementBlock) else f"{{{made}}}"

    def _while(self, node: syntax.While, is_last: bool) -> str:
        test = self.condition(node.condition)
        test = f"!({test})" if node.is_until else test
        body = self._inner(node.body, False)
        here = self._here(node.at)
        return (
            f"{here}do {{{here}{body}}} while ({test});"
            if node.is_after
            else f"{here}while ({test}) {{{here}{body}}}"
        )

    def _here(self, at: int) -> str:
        """A call that does nothing: it tells where the script is when it has to be stopped in a loop.

        It stands before the loop, where the engine jumps back to, and in it.
        """
        return f"{self.call('loop', at)};"

    def _for(self, node: syntax.For, is_last: bool) -> str:
        first = self._statements(node.first, False)
        test = self.condition(node.condition) if node.condition is not None else "true"
        self.scope.enter()
        body = self._inner(node.body, False)
        step = ",".join(self._statement(one, False).rstrip(";") for one in node.step)
        self.scope.leave()
        here = self._here(node.at)
        return f"{first}{here}for (;{test};{step}) {{{here}{body}}}"

    def _foreach(self, node: syntax.Foreach, is_last: bool) -> str:
        of = self.value(node.of)
        self._shadows += 1
        variable = self.scope.shadow(node.name, self._shadows)
        self.scope.enter()
        self.scope.mark_set(node.name)
        if node.type:
            variable.type, variable.is_typed = types.OF_NAME.get(node.type, types.UNKNOWN), True
        body = self._inner(node.body, False)
        self.scope.leave()
        self.scope.reveal()
        return f"for (let {variable.js} of {self.call('each', node.at, of)}) {body}"

    def _switch(self, node: syntax.Switch, is_last: bool) -> str:
        subject = self.scope.temporary()
        made = f"{subject} = {self.value(node.of)};switch (true) {{"
        for values, body in node.cases:
            for value in values:
                if value is None:
                    made += "default:"
                else:
                    made += f"case {self.call('eq', value.at, subject, self.value(value))}:"
            self.scope.enter()
            made += f"{{{self._statements(body, False)}}}"
            self.scope.leave()
        return made + "}"

    def _return(self, node: syntax.Return, is_last: bool) -> str:
        return f"return ({self.value(node.value) if node.value is not None else 'null'});"

    def _leave(self, node: syntax.Leave, is_last: bool) -> str:
        return f"{node.word};"

    # --- functions ---

    def _functiondefinition(self, node: syntax.FunctionDefinition, is_last: bool) -> str:
        found = list(assignments(node.body))
        outer = self.scope
        names = [name for name in dict.fromkeys(one.name for one in found) if not self._is_above(name, node)]
        self.scope = Scope(outer, names, node.parameters, self._calls.get(node.name, len(node.parameters)))
        known = self.functions
        self.functions = {**known, **{one.name: one for one in functions(node.body)}}
        inner = self._statements(node.body)
        self.functions = known
        made = f"function _{node.name}({', '.join('_' + name for name in node.parameters)}) {{{_hoisted(self.scope)}{inner}return null;}}"
        self.scope = outer
        return made

    def _is_above(self, name: str, node: syntax.FunctionDefinition) -> bool:
        """Whether a name that a function assigns is the script's."""
        return name not in node.parameters and (
            self._above.get(name, node.at) < node.at or name in self._parameters
        )

    def declare(self, name: str, at: int) -> None:
        """What is known of a variable from its declaration on."""
        variable = self.scope.variables.get(name)
        if variable is not None and self.scope.is_script and name in self._assigned_once:
            variable.is_certain = True


_ENTRIES = ("Decoder", "Encoder", "decodeUplink", "decoder", "encoder")


def _hoisted(scope: Scope) -> str:
    return f"let {', '.join(scope.hoisted)};" if scope.hoisted else ""


def translate(script: str, parameters: Sequence[str]) -> Translation:
    """A TBEL script as JavaScript that defines `ENTRY` with these parameters. Raises TbelError."""
    body, calls = parse(script)
    marked = Emitter(body, parameters, calls).script()
    places: list[tuple[int, int]] = []
    starts = [0]
    starts.extend(match.end() for match in re.finditer("\n", script))
    offsets = [0, 0, 0]  # no line has the number 0, and two stand above the first mark
    offsets.extend(int(match[1]) for match in _MARK.finditer(marked))
    cache: dict[int, tuple[int, int]] = {}
    for offset in offsets:
        if offset not in cache:
            cache[offset] = place_in(starts, offset)
        places.append(cache[offset])
    return Translation(_MARK.sub("\n", marked), tuple(places))


def place_in(starts: list[int], offset: int) -> tuple[int, int]:
    """Line and column, both from 1, of an offset in a text whose lines begin at ``starts``."""
    line = bisect_right(starts, offset)
    return line, offset - starts[line - 1] + 1
