"""Many expressions evaluated at once: what they share of their paths is walked once.

Most expressions of presets are paths of plain names, some with a literal behind ``||``. The names of all of them make one
tree. It is walked in a single loop, which costs a message less than a function for each expression.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from iotgw.core.expressions.language import Expression
from iotgw.core.expressions.nodes import Evaluate, is_false


class ExpressionTable:
    """Expressions, the results of which are wanted together. Those that are no plain paths are evaluated one by one."""

    __slots__ = ("_defaults", "_others", "_places", "_steps")

    def __init__(self, expressions: Iterable[Expression]) -> None:
        self._steps: list[tuple[int, str]] = []
        """Of each node of the tree, in order: the place of its parent, and its name there. The root's place is 0."""
        self._places: list[int] = []
        """Of each expression: its node's."""
        self._defaults: list[tuple[int, Any]] = []
        """What stands in for false results, by their numbers."""
        self._others: list[tuple[int, Evaluate]] = []
        known: dict[tuple[str, ...], int] = {(): 0}
        for number, expression in enumerate(expressions):
            if expression.path is None:
                self._places.append(0)
                self._others.append((number, expression.run))
                continue
            path, otherwise = expression.path
            for length in range(1, len(path) + 1):
                if path[:length] not in known:
                    self._steps.append((known[path[: length - 1]], path[length - 1]))
                    known[path[:length]] = len(self._steps)
            self._places.append(known[path])
            if otherwise is not None:
                self._defaults.append((number, otherwise))

    def run(self, value: Any) -> list[Any]:
        """The results, in the order of the expressions. Never raises."""
        nodes = [value]
        for parent, key in self._steps:
            held = nodes[parent]
            nodes.append(held.get(key) if type(held) is dict else None)
        found = [nodes[place] for place in self._places]
        for number, otherwise in self._defaults:
            if not (held := found[number]) and is_false(held):
                found[number] = otherwise
        for number, run in self._others:
            found[number] = run(value)
        return found
