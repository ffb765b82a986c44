"""What a template may be, checked when it is saved: its size, depth, literals and parts of the language.

The text is looked at token by token before anything parses it, and the tree before anything compiles it: neither parsing
nor compiling takes long, whatever somebody wrote.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

from jinja2 import Environment, TemplateError, nodes
from jinja2.visitor import NodeTransformer

from iotgw.core.errors import SettingsError
from iotgw.integrations.template_data import CHECKS
from iotgw.integrations.template_filters import FILTERS

LONGEST = 32 << 10
"""Characters of a template."""
TOKENS = 2000
"""Words, numbers and signs within its expressions."""
NODES = 800
"""Parts of all expressions together."""
DEPTH = 40
"""How deep expressions and blocks are nested; a sum of as many terms is."""
LOOPS = 2
"""Loops within each other: two can visit everything in a message."""
LONGEST_INTEGER = 20
LONGEST_FLOAT = 40
"""Characters of a number."""

_NEWLINE = re.compile(r"\r\n|\r|\n")
_BEGIN = frozenset("([{")
_END = frozenset(")]}")
_LANGUAGE = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Dict, nodes.Pair,
    nodes.Tuple, nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Filter, nodes.Test, nodes.Compare, nodes.Operand,
    nodes.And, nodes.Or, nodes.Not, nodes.Add, nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg,
    nodes.Pos, nodes.Concat, nodes.CondExpr, nodes.If, nodes.For, nodes.Keyword,
)  # fmt: skip
"""What a template may consist of: no calls, no assignments, no powers, nothing from other templates."""


def parsed(environment: Environment, text: str, place: str) -> nodes.Template:
    """The tree of a template that may be saved. Raises SettingsError, whose path is ``place``."""
    if len(text) > LONGEST:
        raise SettingsError(place, f"expected at most {LONGEST} characters, got {len(text)}")
    if "{" not in text:  # Jinja takes long to find that out
        data = nodes.TemplateData(_NEWLINE.sub("\n", text), lineno=1)
        plain = nodes.Template([nodes.Output([data], lineno=1)] if text else [], lineno=1)
        plain.set_environment(environment)
        return plain
    try:
        _check_text(environment, text, place)
        tree = environment.parse(text)
        _check_tree(tree, place)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        raise SettingsError(place, f"{error.message}" + (f" (line {line})" if line else "")) from error
    except RecursionError:
        raise SettingsError(place, _too_deep(0)) from None
    return tree


def priced(tree: nodes.Template, environment: Environment) -> nodes.Template:
    """The same tree with a price on loops, comparisons, tests, slices and concatenations."""
    made: nodes.Template = _Pricing(environment).visit(tree)
    return made


def _too_deep(line: int) -> str:
    where = f" (line {line})" if line else ""
    return f"expected at most {DEPTH} levels of nesting, got more{where}"


def _check_text(environment: Environment, text: str, place: str) -> None:
    count = depth = 0
    for line, kind, value in environment.lex(text):
        if kind in ("data", "whitespace"):
            continue
        count += 1
        if count > TOKENS:
            raise SettingsError(place, f"expected at most {TOKENS} words and signs in expressions, got more")
        if kind == "operator":
            depth += (value in _BEGIN) - (value in _END)
            if depth > DEPTH:
                raise SettingsError(place, _too_deep(line))
        elif kind == "integer" and len(value) > LONGEST_INTEGER:
            raise SettingsError(
                place,
                f"expected a number of at most {LONGEST_INTEGER} digits, got one of {len(value)} (line {line})",
            )
        elif kind == "float" and (
            len(value) > LONGEST_FLOAT or not math.isfinite(float(value.replace("_", "")))
        ):
            raise SettingsError(place, f"expected a shorter or smaller number (line {line})")


def _below(tree: nodes.Node) -> Iterator[tuple[nodes.Node, int, int]]:
    """Every node of a tree, with its depth and the number of loops around it."""
    waiting = [(tree, 0, 0)]
    while waiting:
        node, depth, loops = waiting.pop()
        yield node, depth, loops
        loops += isinstance(node, nodes.For)
        waiting += [(child, depth + 1, loops) for child in node.iter_child_nodes()]


def _check_tree(tree: nodes.Template, place: str) -> None:
    for count, (node, depth, loops) in enumerate(_below(tree), 1):
        line = node.lineno
        if not isinstance(node, _LANGUAGE):
            raise SettingsError(place, f"a template may not use {type(node).__name__.lower()} (line {line})")
        if count > NODES:
            raise SettingsError(place, f"expected at most {NODES} parts of expressions, got more")
        if depth > DEPTH:
            raise SettingsError(place, _too_deep(line))
        if isinstance(node, nodes.For):
            if loops >= LOOPS:
                raise SettingsError(place, f"at most two loops within each other (line {line})")
            if node.recursive:
                raise SettingsError(place, f"a template may not use recursive loops (line {line})")
        if isinstance(node, nodes.Filter | nodes.Test) and (node.dyn_args or node.dyn_kwargs):
            raise SettingsError(place, f"a template may not use lists of arguments (line {line})")
        if isinstance(node, nodes.Filter) and node.name not in FILTERS:
            raise SettingsError(
                place,
                f"there is no filter {node.name!r}; there are {', '.join(sorted(FILTERS))} (line {line})",
            )
        if isinstance(node, nodes.Filter) and node.name in CHECKS:
            _check_arguments(node, place)


def _check_arguments(node: nodes.Filter, place: str) -> None:
    """Refuse wrong arguments of a filter, where they are the same for every message."""
    args = [each.value for each in node.args if isinstance(each, nodes.Const)]
    named = {str(each.key): each.value.value for each in node.kwargs if isinstance(each.value, nodes.Const)}
    if len(args) < len(node.args) or len(named) < len(node.kwargs):
        return
    try:
        CHECKS[node.name](*args, **named)
    except ValueError as error:
        raise SettingsError(place, f"{error} (line {node.lineno})") from error
    except TypeError:
        raise SettingsError(place, f"{node.name}: expected other arguments (line {node.lineno})") from None


class _Pricing(NodeTransformer):
    """Puts filters around what takes time; see `iotgw.integrations.template_filters.LANGUAGE`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment

    def _filter(self, node: Any, name: str, args: list[Any]) -> nodes.Filter:
        return nodes.Filter(
            node, name, args, [], None, None, lineno=node.lineno, environment=self._environment
        )

    def _weighed(self, node: nodes.Expr) -> nodes.Expr:
        return node if isinstance(node, nodes.Const) else self._filter(node, "_weighed", [])

    def visit_For(self, node: nodes.For) -> nodes.For:
        below = [each for each, _, _ in _below(node)]
        written = sum(len(each.data) for each in below if isinstance(each, nodes.TemplateData))
        self.generic_visit(node)
        cost = nodes.Const(2 + len(below) + (written >> 5), lineno=node.lineno, environment=self._environment)
        node.iter = self._filter(node.iter, "_each", [cost])
        return node

    def visit_Compare(self, node: nodes.Compare) -> nodes.Compare:
        self.generic_visit(node)
        node.expr = self._weighed(node.expr)
        for operand in node.ops:
            operand.expr = self._weighed(operand.expr)
        return node

    def visit_Test(self, node: nodes.Test) -> nodes.Test:
        self.generic_visit(node)
        node.node = self._weighed(node.node)
        node.args = [self._weighed(each) for each in node.args]
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Filter:
        self.generic_visit(node)
        first, *others = node.nodes
        return self._filter(first, "_concatenated", others)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Slice):
            return node
        nothing = nodes.Const(None, lineno=node.lineno, environment=self._environment)
        part = node.arg
        return self._filter(
            node.node, "_sliced", [each or nothing for each in (part.start, part.stop, part.step)]
        )
