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
    """Expressions, the results of which are wanted together. Those that are no plain paths are evaluated one by one; of alternatives, where their first
    path leads to nothing."""

    __slots__ = ("_defaults", "_doubtful", "_others", "_places", "_steps")

    def __init__(self, expressions: Iterable[Expression]) -> None:
        self._steps: list[tuple[int, tuple[str, ...], tuple[None, ...]]] = []
        """Of each node of the tree that has some below it, parents before their children: its place, the names of those, and what there is instead if
        it is no object. The root's place is 0."""
        self._defaults: list[tuple[int, Any]] = []
        """What stands in for false results, by their numbers."""
        self._doubtful: list[tuple[int, Evaluate]] = []
        """What is evaluated for false results."""
        self._others: list[tuple[int, Evaluate]] = []
        paths: list[tuple[str, ...]] = []
        for number, expression in enumerate(expressions):
            path: tuple[str, ...] = ()
            if expression.path is not None:
                path, otherwise = expression.path
                if otherwise is not None:
                    self._defaults.append((number, otherwise))
            elif expression.first:
                path = expression.first
                self._doubtful.append((number, expression.run))
            else:
                self._others.append((number, expression.run))
            paths.append(path)
        known = self._known(paths)
        self._places = [known[path] for path in paths]
        """Of each expression: its node's."""

    def _known(self, paths: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
        """The places of all nodes of a tree, by their paths; makes the steps to them."""
        below: dict[tuple[str, ...], dict[str, None]] = {}
        for path in paths:
            for length, name in enumerate(path):
                below.setdefault(path[:length], {})[name] = None
        known: dict[tuple[str, ...], int] = {(): 0}
        for parent in sorted(below, key=len):
            names = tuple(below[parent])
            self._steps.append((known[parent], names, (None,) * len(names)))
            for name in names:
                known[*parent, name] = len(known)
        return known

    def run(self, value: Any) -> list[Any]:
        """The results, in the order of the expressions. Never raises."""
        nodes = [value]
        for place, names, nothing in self._steps:
            held = nodes[place]
            nodes += map(held.get, names) if type(held) is dict else nothing
        found = list(map(nodes.__getitem__, self._places))
        for number, otherwise in self._defaults:
            if not (held := found[number]) and is_false(held):
                found[number] = otherwise
        for number, run in self._doubtful:
            if not (held := found[number]) and is_false(held):
                found[number] = run(value)
        for number, run in self._others:
            found[number] = run(value)
        return found
