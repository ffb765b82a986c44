"""TBEL's syntax tree. ``at`` is where a node's own word stands in the script: an operator, a name, a parenthesis."""

from __future__ import annotations

from msgspec import Struct

# --- expressions ---


class Literal(Struct, frozen=True):
    """``kind`` is int, long, float, double, text, bool, null or empty."""

    at: int
    kind: str
    value: str


class Name(Struct, frozen=True):
    """A variable, a function or a class."""

    at: int
    name: str


class Property(Struct, frozen=True):
    """``of.name``, null-safe for ``of.?name``."""

    at: int
    of: Expression
    name: str
    is_safe: bool = False


class Index(Struct, frozen=True):
    """``of[index]``."""

    at: int
    of: Expression
    index: Expression


class FunctionCall(Struct, frozen=True):
    """``name(…)``."""

    at: int
    name: str
    arguments: tuple[Expression, ...]


class MethodCall(Struct, frozen=True):
    """``of.name(…)``, null-safe for ``of.?name(…)``."""

    at: int
    of: Expression
    name: str
    arguments: tuple[Expression, ...]
    is_safe: bool = False


class Unary(Struct, frozen=True):
    """``-of``, ``!of`` and ``~of``."""

    at: int
    op: str
    of: Expression


class Binary(Struct, frozen=True):
    """``left op right``."""

    at: int
    op: str
    left: Expression
    right: Expression


class Ternary(Struct, frozen=True):
    """``condition ? then : other``."""

    at: int
    condition: Expression
    then: Expression
    other: Expression
    is_enclosed: bool = False
    """Whether it stands in parentheses."""


class Assign(Struct, frozen=True):
    """``target op value``: ``op`` is ``=`` or ``+=`` and its kin."""

    at: int
    op: str
    target: Name | Property | Index
    value: Expression


class Step(Struct, frozen=True):
    """``x++`` and its kin."""

    at: int
    op: str
    target: Name | Property | Index
    is_before: bool


class ListOf(Struct, frozen=True):
    """``[a, b]``."""

    at: int
    items: tuple[Expression, ...]


class MapOf(Struct, frozen=True):
    """``{k: v}`` and ``[k: v]``."""

    at: int
    entries: tuple[tuple[Literal, Expression], ...]


class New(Struct, frozen=True):
    """``new type(…)``."""

    at: int
    type: str
    arguments: tuple[Expression, ...]


class NewArray(Struct, frozen=True):
    """``new int[n]``, or ``new int[] {…}``."""

    at: int
    type: str
    length: Expression | None
    items: tuple[Expression, ...]


class Cast(Struct, frozen=True):
    """``(type) of``."""

    at: int
    type: str
    of: Expression


class InstanceOf(Struct, frozen=True):
    """``of instanceof type``, or ``of is type``."""

    at: int
    of: Expression
    type: str


class IsDefined(Struct, frozen=True):
    """``isdef name``."""

    at: int
    name: str


Expression = (
    Literal | Name | Property | Index | FunctionCall | MethodCall | Unary | Binary | Ternary | Assign | Step | ListOf | MapOf | New | NewArray | Cast | InstanceOf | IsDefined
)  # fmt: skip

# --- statements ---


class Evaluate(Struct, frozen=True):
    """An expression by itself."""

    at: int
    value: Expression


class Declare(Struct, frozen=True):
    """``var x = …`` or ``int x = …``; ``type`` is empty for the former."""

    at: int
    name: str
    value: Expression | None
    type: str = ""


class StatementBlock(Struct, frozen=True):
    """Statements in braces."""

    at: int
    body: tuple[Statement, ...]


class If(Struct, frozen=True):
    """The branches of an ``if`` and its ``else if``s, and what stands after ``else``."""

    at: int
    branches: tuple[tuple[Expression, Statement], ...]
    other: Statement | None


class While(Struct, frozen=True):
    """``while`` and ``until``; ``do … while`` where ``is_after``."""

    at: int
    condition: Expression
    body: Statement
    is_after: bool = False
    is_until: bool = False


class For(Struct, frozen=True):
    """``for (first; condition; step) body``."""

    at: int
    first: tuple[Statement, ...]
    condition: Expression | None
    step: tuple[Statement, ...]
    body: Statement


class Foreach(Struct, frozen=True):
    """``foreach (name : of) body``; ``type`` is empty where it names none."""

    at: int
    name: str
    type: str
    of: Expression
    body: Statement


class Switch(Struct, frozen=True):
    """Each case is its values (``None`` is ``default``) and its statements."""

    at: int
    of: Expression
    cases: tuple[tuple[tuple[Expression | None, ...], tuple[Statement, ...]], ...]


class Return(Struct, frozen=True):
    """``return value``."""

    at: int
    value: Expression | None


class Leave(Struct, frozen=True):
    """``break`` or ``continue``."""

    at: int
    word: str


class FunctionDefinition(Struct, frozen=True):
    """``function name(parameters) { body }``."""

    at: int
    name: str
    parameters: tuple[str, ...]
    body: tuple[Statement, ...]


Statement = (
    Evaluate
    | Declare
    | StatementBlock
    | If
    | While
    | For
    | Foreach
    | Switch
    | Return
    | Leave
    | FunctionDefinition
)
