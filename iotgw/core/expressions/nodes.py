"""Compiles JMESPath's syntax trees, as the package ``jmespath`` parses them, to Python closures.

Each node is a function of the current value. Paths of plain names, which is most of what presets have, become one
loop over their names.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from iotgw.core.expressions.functions import FUNCTIONS, is_number

Node = dict[str, Any]
Evaluate = Callable[[Any], Any]


class Spent(Exception):
    """An evaluation looked at more than it may."""


class EvaluationBudget:
    """What an evaluation may still look at."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self, steps: int) -> None:
        """Look at so many more values; raises Spent."""
        self.left -= steps
        if self.left < 0:
            raise Spent


def is_false(value: Any) -> bool:
    """Whether JMESPath takes a value for false: null, false, and an empty text, list or object."""
    return value is None or value is False or (not value and isinstance(value, (str, list, dict)))


def compiled(node: Node, budget: EvaluationBudget) -> Evaluate:
    """The function of a tree. Raises ValueError for what the language doesn't have."""
    return _NODES[node["type"]](node, budget)


def plain_path(node: Node) -> tuple[tuple[str, ...], Any] | None:
    """The names of a tree that is a path of names, and the literal behind ``||``, if any; None for any other tree."""
    otherwise = None
    if node["type"] == "or_expression" and node["children"][1]["type"] == "literal":
        otherwise = node["children"][1]["value"]
        node = node["children"][0]
        if otherwise is None:
            return None
    names = _names_of(node)
    return (names, otherwise) if names else None


def first_path(node: Node) -> tuple[str, ...]:
    """The names of the path that a tree begins with, where it is alternatives with ``||``; empty for any other tree. Unless it is false there, what it
    leads to is the result."""
    if node["type"] != "or_expression":
        return ()
    while node["type"] == "or_expression":
        node = node["children"][0]
    return _names_of(node)


def _names_of(node: Node) -> tuple[str, ...]:
    """The names of a path that has nothing else; empty for any other."""
    if node["type"] == "field":
        return (node["value"],)
    if node["type"] != "subexpression":
        return ()
    parts = [_names_of(child) for child in node["children"]]
    return tuple(name for part in parts for name in part) if all(parts) else ()


def _path(node: Node, budget: EvaluationBudget) -> Evaluate:
    steps = _steps(node, budget)
    if all(isinstance(step, str) for step in steps):
        return _names(steps)

    def walk(value: Any) -> Any:
        for step in steps:
            if type(step) is str:
                value = value.get(step) if type(value) is dict else None
            elif type(step) is int:
                value = value[step] if type(value) is list and -len(value) <= step < len(value) else None
            else:
                value = step(value)
        return value

    return walk


def _steps(node: Node, budget: EvaluationBudget) -> list[Any]:
    """The steps of a path: a name, a place in a list, or what has to be evaluated."""
    kind = node["type"]
    if kind in ("subexpression", "index_expression"):
        return [step for child in node["children"] for step in _steps(child, budget)]
    if kind in ("field", "index"):
        return [node["value"]]
    if kind in ("identity", "current"):
        return []
    return [compiled(node, budget)]


def _names(names: list[str]) -> Evaluate:
    if not names:
        return lambda value: value
    first, *rest = names
    if not rest:
        return lambda value: value.get(first) if type(value) is dict else None
    if len(rest) == 1:
        (second,) = rest

        def two(value: Any) -> Any:
            if type(value) is dict and type(inner := value.get(first)) is dict:
                return inner.get(second)
            return None

        return two
    if len(rest) == 2:
        second, third = rest

        def three(value: Any) -> Any:
            if type(value) is dict and type(inner := value.get(first)) is dict:
                inner = inner.get(second)
                if type(inner) is dict:
                    return inner.get(third)
            return None

        return three

    def walk(value: Any) -> Any:
        for name in names:
            if type(value) is not dict:
                return None
            value = value.get(name)
        return value

    return walk


def _literal(node: Node, budget: EvaluationBudget) -> Evaluate:
    value = node["value"]
    return lambda _: value


def _pipe(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right = (compiled(child, budget) for child in node["children"])
    return lambda value: right(left(value))


def _projection(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right = (compiled(child, budget) for child in node["children"])

    def project(value: Any) -> Any:
        base = left(value)
        if type(base) is not list:
            return None
        budget.spend(len(base))
        return [found for item in base if (found := right(item)) is not None]

    return project


def _value_projection(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right = (compiled(child, budget) for child in node["children"])

    def project(value: Any) -> Any:
        base = left(value)
        if type(base) is not dict:
            return None
        budget.spend(len(base))
        return [found for item in base.values() if (found := right(item)) is not None]

    return project


def _filter_projection(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right, condition = (compiled(child, budget) for child in node["children"])

    def project(value: Any) -> Any:
        base = left(value)
        if type(base) is not list:
            return None
        budget.spend(len(base))
        chosen = [item for item in base if not is_false(condition(item))]
        return [found for item in chosen if (found := right(item)) is not None]

    return project


def _flatten(node: Node, budget: EvaluationBudget) -> Evaluate:
    (inner,) = (compiled(child, budget) for child in node["children"])

    def flatten(value: Any) -> Any:
        base = inner(value)
        if type(base) is not list:
            return None
        budget.spend(len(base))
        merged: list[Any] = []
        for item in base:
            if type(item) is list:
                budget.spend(len(item))
                merged += item
            else:
                merged.append(item)
        return merged

    return flatten


def _slice(node: Node, budget: EvaluationBudget) -> Evaluate:
    start, end, step = node["children"]
    if step == 0:
        raise ValueError("expected a step other than 0")
    part = slice(start, end, step)
    return lambda value: value[part] if type(value) is list else None


def _comparator(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right = (compiled(child, budget) for child in node["children"])
    name = node["value"]
    if name in ("eq", "ne"):
        is_wanted = name == "eq"
        return lambda value: _equal(left(value), right(value), budget) is is_wanted
    compare = _ORDER[name]

    def ordered(value: Any) -> Any:
        a, b = left(value), right(value)
        are_texts = isinstance(a, str) and isinstance(b, str)
        return compare(a, b) if are_texts or (is_number(a) and is_number(b)) else None

    return ordered


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "lt": operator.lt, "lte": operator.le, "gt": operator.gt, "gte": operator.ge,
}  # fmt: skip


def _equal(a: Any, b: Any, budget: EvaluationBudget) -> bool:
    """Whether two JSON values are equal; true is not 1."""
    if type(a) is list and type(b) is list:
        budget.spend(len(a))
        return len(a) == len(b) and all(_equal(x, y, budget) for x, y in zip(a, b, strict=True))
    if type(a) is dict and type(b) is dict:
        budget.spend(len(a))
        return a.keys() == b.keys() and all(_equal(item, b[key], budget) for key, item in a.items())
    return isinstance(a, bool) is isinstance(b, bool) and bool(a == b)


def _or(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right = (compiled(child, budget) for child in node["children"])
    if node["children"][1]["type"] == "literal":
        otherwise = node["children"][1]["value"]

        def or_else(value: Any) -> Any:
            found = left(value)
            return otherwise if not found and is_false(found) else found

        return or_else

    def either(value: Any) -> Any:
        found = left(value)
        return right(value) if not found and is_false(found) else found

    return either


def _and(node: Node, budget: EvaluationBudget) -> Evaluate:
    left, right = (compiled(child, budget) for child in node["children"])

    def both(value: Any) -> Any:
        found = left(value)
        return found if is_false(found) else right(value)

    return both


def _not(node: Node, budget: EvaluationBudget) -> Evaluate:
    (inner,) = (compiled(child, budget) for child in node["children"])
    return lambda value: is_false(inner(value))


def _list(node: Node, budget: EvaluationBudget) -> Evaluate:
    parts = [compiled(child, budget) for child in node["children"]]

    def select(value: Any) -> Any:
        budget.spend(len(parts))
        return None if value is None else [part(value) for part in parts]

    return select


def _object(node: Node, budget: EvaluationBudget) -> Evaluate:
    parts = [(child["value"], compiled(child["children"][0], budget)) for child in node["children"]]

    def select(value: Any) -> Any:
        budget.spend(len(parts))
        return None if value is None else {name: part(value) for name, part in parts}

    return select


def _call(node: Node, budget: EvaluationBudget) -> Evaluate:
    name, children = node["value"], node["children"]
    function = FUNCTIONS.get(name)
    if function is None:
        raise ValueError(f"expected one of the functions {', '.join(sorted(FUNCTIONS))}, got {name}")
    if not function.least <= len(children) <= function.most:
        raise ValueError(f"{name}: expected {function.takes} arguments, got {len(children)}")
    for place, child in enumerate(children):
        if (child["type"] == "expref") is not (place == function.by):
            raise ValueError(f"{name}: expected a value, or `&` and a path, as its argument {place + 1}")
    arguments = [
        compiled(child["children"][0] if child["type"] == "expref" else child, budget) for child in children
    ]
    run, by = function.run, function.by
    if by is not None:
        of, path = arguments

        def chosen(value: Any) -> Any:
            items = of(value)
            if type(items) is not list:
                return None
            budget.spend(len(items))
            return run(items, path)

        return chosen
    if function.weighs:

        def weighed(value: Any) -> Any:
            found = [argument(value) for argument in arguments]
            budget.spend(sum(len(each) for each in found if isinstance(each, (list, dict))))
            return run(*found)

        return weighed
    if len(arguments) == 1:
        (only,) = arguments
        return lambda value: run(only(value))
    return lambda value: run(*[argument(value) for argument in arguments])


def _unknown(node: Node, budget: EvaluationBudget) -> Evaluate:
    raise ValueError("expected `&` only as an argument of a function")


_NODES: dict[str, Callable[[Node, EvaluationBudget], Evaluate]] = {
    "subexpression": _path,
    "index_expression": _path,
    "field": _path,
    "index": _path,
    "identity": _path,
    "current": _path,
    "literal": _literal,
    "pipe": _pipe,
    "projection": _projection,
    "value_projection": _value_projection,
    "filter_projection": _filter_projection,
    "flatten": _flatten,
    "slice": _slice,
    "comparator": _comparator,
    "or_expression": _or,
    "and_expression": _and,
    "not_expression": _not,
    "multi_select_list": _list,
    "multi_select_dict": _object,
    "function_expression": _call,
    "expref": _unknown,
}
