"""Paths and conditions over JSON values, in JMESPath's syntax (jmespath.org/specification.html).

An expression is compiled once, where a user saves it. Its evaluation never fails: what is missing, has the wrong
type, or costs too much is None. So an expression is safe on whatever a stranger sends.

Beside JMESPath's own functions there are those of `iotgw.core.expressions.functions`. What differs from the
specification: a wrong argument gives null instead of an error, ``to_string`` takes no objects or lists, and a part of a negation
is refused: ``!a.b`` is ``(!a).b`` there, which is null whatever comes.
"""

from __future__ import annotations

from typing import Any

from jmespath.exceptions import JMESPathError
from jmespath.parser import Parser

from iotgw.core.expressions.functions import FUNCTIONS
from iotgw.core.expressions.nodes import (
    Evaluate,
    EvaluationBudget,
    Node,
    Spent,
    compiled,
    first_path,
    is_false,
    plain_path,
)

LONGEST = 1024
"""Characters of an expression."""
DEEPEST = 32
"""Levels of its syntax tree."""
MOST_NODES = 256
LARGEST = 64
"""How many times larger than its input a result may be: lists and objects that an expression makes can hold the same
value many times over."""
STEPS = 10_000
"""List items and object members that one evaluation may look at. One that needs more gives None."""


class Expression:
    """A compiled expression.

    ``text`` is its source. ``names`` are the members of the value at the root that it reads. ``run`` is the same as
    calling it, and costs less where the expression looks at no lists. ``path`` is the names that lead to the result, and what it
    is where that is false (None is nothing else), of an expression that is no more than that; else it is None. ``first`` is the names that lead to
    the result unless it is false there, of other alternatives that begin with a path. ``is_part`` says whether the result is about as large as a part of the
    input, and none that is made of several.
    """

    __slots__ = ("_evaluate", "_left", "_steps", "first", "is_part", "names", "path", "run", "text")

    def __init__(
        self,
        text: str,
        evaluate: Evaluate,
        left: EvaluationBudget,
        names: frozenset[str],
        is_bounded: bool,
        steps: int = STEPS,
        path: tuple[tuple[str, ...], Any] | None = None,
        first: tuple[str, ...] = (),
        is_part: bool = False,
    ) -> None:
        self.text = text
        self.is_part = is_part
        self.path = path
        self.first = first
        self.names = names
        self._steps = steps
        self._evaluate = evaluate
        self._left = left
        self.run: Evaluate = evaluate if is_bounded else self

    def __call__(self, value: Any) -> Any:
        """The result for a JSON value, as a JSON value; None where there is none. Never raises."""
        self._left.left = self._steps
        try:
            return self._evaluate(value)
        except Spent:
            return None

    def whole(self, value: Any) -> Any:
        """As calling it, for what must not be taken for nothing because it is too much: raises Spent."""
        self._left.left = self._steps
        return self._evaluate(value)

    def holds(self, value: Any) -> bool:
        """Whether the result is true as JMESPath has it: neither null, false, nor empty. 0 is true."""
        return not is_false(self(value))

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"


def compile_expression(text: str, steps: int = STEPS) -> Expression:
    """Compile an expression; raises ValueError that says in one line what is wrong with it. ``steps`` bounds one
    evaluation, as `STEPS`."""
    if len(text) > LONGEST:
        raise ValueError(f"expected an expression of at most {LONGEST} characters, got {len(text)}")
    try:
        tree: Node = Parser()._do_parse(text).parsed  # parse() would keep what it parsed
        count = _Count()
        _measure(tree, count, 1)
    except (JMESPathError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else "no expression"
        raise ValueError(f"expected a JMESPath expression: {reason[:200]}") from error
    except RecursionError:
        raise ValueError(f"expected an expression of at most {DEEPEST} levels") from None
    left = EvaluationBudget(steps)
    return Expression(
        text, compiled(tree, left), left, frozenset(_roots(tree)), not _loops(tree), steps, plain_path(tree),
        first_path(tree), not _makes(tree),
    )  # fmt: skip


_PATHS = frozenset(
    ("subexpression", "index_expression", "projection", "value_projection", "filter_projection", "flatten")
)
"""Parts that look into their first part. All bind more loosely than ``!``, but for an index in brackets."""


class _Count:
    nodes = 0


def _measure(node: Node, count: _Count, level: int) -> int:
    """Check a tree; returns how many times its result may be larger than its input. Raises ValueError."""
    count.nodes += 1
    if count.nodes > MOST_NODES:
        raise ValueError(f"expected at most {MOST_NODES} parts")
    if level > DEEPEST:
        raise ValueError(f"expected at most {DEEPEST} levels")
    if node["type"] in _PATHS and node["children"][0].get("type") == "not_expression":
        raise ValueError("expected !(a.b), as !a.b is (!a).b, which is nothing")
    sizes = [
        _measure(child, count, level + 1) for child in node.get("children", ()) if isinstance(child, dict)
    ]
    growth = 1
    if node["type"] in _MAKES:
        growth = sum(sizes) or 1
    else:
        for size in sizes:
            growth *= size
    if growth > LARGEST:
        raise ValueError(f"its result may be more than {LARGEST} times as large as its input")
    return growth


_LOOPS = frozenset(
    ("projection", "value_projection", "filter_projection", "flatten", "multi_select_list", "multi_select_dict", "comparator")
)  # fmt: skip
"""Parts that look at lists or objects, or make them."""


def _loops(node: Node) -> bool:
    """Whether an evaluation may take more steps than its expression has parts."""
    if (node["type"] in _LOOPS and not _is_of_scalar(node)) or (
        node["type"] == "function_expression" and FUNCTIONS[node["value"]].loops
    ):
        return True
    return any(_loops(child) for child in node.get("children", ()) if isinstance(child, dict))


_MAKES = frozenset(("multi_select_list", "multi_select_dict", "function_expression"))
"""Parts that make a value."""
_GROWS = frozenset(("join", "replace"))
"""Functions whose result may be much larger than what they are given."""


def _makes(node: Node) -> bool:
    """Whether a result may be much larger than any part of its input."""
    if node["type"] in _MAKES and (node["type"] != "function_expression" or node["value"] in _GROWS):
        return True
    return any(_makes(child) for child in node.get("children", ()) if isinstance(child, dict))


def _is_of_scalar(node: Node) -> bool:
    """Whether a node compares with a number, a text, true, false or null, so that no list is looked at."""
    return node["type"] == "comparator" and any(
        child["type"] == "literal" and not isinstance(child["value"], list | dict)
        for child in node["children"]
    )


def _roots(node: Node) -> set[str]:
    """The names that an expression reads at its root. Too many are no harm."""
    kind = node["type"]
    if kind == "field":
        return {node["value"]}
    children = [child for child in node.get("children", ()) if isinstance(child, dict)]
    if kind in (
        "subexpression",
        "index_expression",
        "pipe",
        "projection",
        "value_projection",
        "filter_projection",
    ):
        children = children[:1]
    return {name for child in children for name in _roots(child)}
