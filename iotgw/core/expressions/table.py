"""Many expressions evaluated at once: what they share of their paths is walked once.

Most expressions of presets are paths of plain names, some with something behind ``||``. The names of all of them make one tree.
That is written down as Python source, a line for each name, and compiled, which costs a message a third of what a walk over the tree does. The
source has nothing of the expressions but their names, as literals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from iotgw.core.expressions.language import Expression
from iotgw.core.expressions.nodes import is_false

MOST_NAMES = 256
"""Names of a tree that is compiled, which takes a few ms. Expressions with more are evaluated one by one; the largest of the presets that come with the
gateway has a fifth."""
DEEPEST = 20
"""Names of a path in a tree that is compiled: Python indents no deeper than a hundred times."""

_Tree = dict[str, "_Tree"]


class ExpressionTable:
    """Expressions, the results of which are wanted together."""

    __slots__ = ("run",)

    def __init__(self, expressions: Iterable[Expression]) -> None:
        self.run: Callable[[Any], list[Any]] = _compiled(list(expressions))
        """``run(value)``: the results, in the order of the expressions. Never raises."""


def _compiled(expressions: list[Expression]) -> Callable[[Any], list[Any]]:
    tree: _Tree = {}
    if any(len(_path(each)) > DEEPEST for each in expressions):
        return _one_by_one(expressions)
    for path in map(_path, expressions):
        node = tree
        for name in path:
            node = node.setdefault(name, {})
    variables: dict[tuple[str, ...], str] = {(): "value"}
    lines = list(_walk(tree, (), variables))
    if len(variables) > MOST_NAMES:
        return _one_by_one(expressions)
    known: dict[str, Any] = {"is_false": is_false}
    results = [
        _result(number, each, variables[_path(each)], known) for number, each in enumerate(expressions)
    ]
    source = ["def run(value):", *(f" {name} = None" for name in variables.values() if name != "value")]
    source += [*lines, f" return [{', '.join(results)}]"]
    exec(compile("\n".join(source), "<expressions>", "exec"), known)
    run: Callable[[Any], list[Any]] = known["run"]
    return run


def _one_by_one(expressions: list[Expression]) -> Callable[[Any], list[Any]]:
    return lambda value: [each.run(value) for each in expressions]


def _path(expression: Expression) -> tuple[str, ...]:
    """The names that lead to the result, or to its first alternative; none for an expression of another form."""
    return expression.path[0] if expression.path is not None else expression.first


def _walk(tree: _Tree, path: tuple[str, ...], variables: dict[tuple[str, ...], str]) -> Iterator[str]:
    """The lines that put what is at each path below one into a variable; notes their names."""
    if not tree:
        return
    indent, held = " " * (len(path) + 1), variables[path]
    yield f"{indent}if type({held}) is dict:"
    for name, below in tree.items():
        inner = (*path, name)
        variables[inner] = variable = f"v{len(variables)}"
        yield f"{indent} {variable} = {held}.get({name!r})"
        yield from _walk(below, inner, variables)


def _result(number: int, expression: Expression, found: str, known: dict[str, Any]) -> str:
    """The result as Python has it; what that needs is added to what is known."""
    if expression.path is None:
        known[f"run{number}"] = expression.run
        otherwise = f"run{number}(value)"
        if not expression.first:
            return otherwise
    else:
        literal = expression.path[1]
        if literal is None:
            return found
        known[otherwise := f"literal{number}"] = literal
    return f"{found} if {found} or not is_false({found}) else {otherwise}"
