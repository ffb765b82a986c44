"""Which variable a name means. Outside functions and in each function, a variable lives until the end of it.

A function's `x = …` and `var x = …` mean the script's `x` where that stands above the function, and otherwise a variable of its
own (the interpreter decides so when it compiles the function). What a function reads may stand anywhere in the script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from iotgw.converters.tbel import syntax
from iotgw.converters.tbel.syntax import Statement


class Variable(Struct):
    """A variable. ``js`` is its name in JavaScript, ``type`` what is known of it (`types`)."""

    js: str
    type: int = 0
    is_typed: bool = False
    is_certain: bool = False
    """Whether its values are always of that type, since it is assigned once."""


class Scope:
    """The variables of the script or of a function, and which of them are surely set where the translation is."""

    def __init__(
        self,
        outer: Scope | None,
        names: Iterable[str],
        parameters: Sequence[str] = (),
        given: int | None = None,
    ) -> None:
        """``given`` is how many of the parameters have a value in every call."""
        self.outer = outer
        self.variables = {name: Variable("_" + name) for name in (*parameters, *names)}
        self.hoisted = [
            self.variables[name].js for name in dict.fromkeys(names) if name not in set(parameters)
        ]
        self._set: list[set[str]] = [set(parameters[:given])]
        self._shadows: list[tuple[str, Variable | None]] = []
        self.temporaries = 0
        self._registers: set[str] = set()

    @property
    def is_script(self) -> bool:
        """Whether this is the script itself, not a function."""
        return self.outer is None

    def enter(self) -> None:
        """Begin a block: what is set in it may not be set after it."""
        self._set.append(set())

    def leave(self) -> None:
        """End a block."""
        self._set.pop()

    def mark_set(self, name: str) -> None:
        """A variable has a value from here on."""
        self._set[-1].add(name)

    def is_set(self, name: str) -> bool:
        """Whether a variable surely has a value here."""
        return any(name in one for one in self._set)

    def shadow(self, name: str, number: int) -> Variable:
        """A variable of a loop's own, until `reveal`."""
        made = Variable(f"_{name}${number}")
        self._shadows.append((name, self.variables.get(name)))
        self.variables[name] = made
        return made

    def reveal(self) -> None:
        """End what `shadow` began."""
        name, was = self._shadows.pop()
        if was is None:
            del self.variables[name]
        else:
            self.variables[name] = was

    def register(self, number: int) -> str:
        """A variable that keeps a value while the others of one call are worked out."""
        name = f"$r{number}"
        if name not in self._registers:
            self._registers.add(name)
            self.hoisted.append(name)
        return name

    def temporary(self) -> str:
        """A new variable for the translation's own use."""
        self.temporaries += 1
        name = f"$t{self.temporaries}"
        self.hoisted.append(name)
        return name


class Assignment(Struct, frozen=True):
    """A place where a name is assigned; ``is_top`` for one in no block."""

    name: str
    at: int
    is_top: bool


def assignments(body: Iterable[Statement]) -> Iterator[Assignment]:
    """The assignments of a script or a function, in order, but not those of the functions in it."""
    todo: list[tuple[object, bool, frozenset[str]]] = [
        (one, True, frozenset()) for one in reversed(tuple(body))
    ]
    while todo:
        node, is_top, own = todo.pop()
        if isinstance(node, syntax.FunctionDefinition) or node is None or isinstance(node, (str, int, bool)):
            continue
        if isinstance(node, tuple):
            todo.extend((one, is_top, own) for one in reversed(node))
            continue
        if isinstance(node, syntax.Declare):
            if node.name not in own:
                yield Assignment(node.name, node.at, is_top)
        elif isinstance(node, (syntax.Assign, syntax.Step)):
            if isinstance(node.target, syntax.Name) and node.target.name not in own:
                yield Assignment(node.target.name, node.at, is_top)
        elif isinstance(node, syntax.Foreach):
            todo.append((node.body, False, own | {node.name}))
            todo.append((node.of, is_top, own))
            continue
        elif isinstance(node, (syntax.Literal, syntax.Name)):
            continue
        inner = is_top and not isinstance(
            node, (syntax.StatementBlock, syntax.If, syntax.While, syntax.For, syntax.Switch)
        )
        assert isinstance(node, Struct)
        for field in reversed(node.__struct_fields__):
            value = getattr(node, field)
            if isinstance(value, (Struct, tuple)):
                todo.append((value, inner, own))


def functions(body: Iterable[Statement]) -> Iterator[syntax.FunctionDefinition]:
    """The functions that stand in a script or in a function, in blocks too."""
    todo: list[object] = list(body)
    while todo:
        node = todo.pop()
        if isinstance(node, syntax.FunctionDefinition):
            yield node
        elif isinstance(node, tuple):
            todo.extend(node)
        elif isinstance(
            node, (syntax.StatementBlock, syntax.If, syntax.While, syntax.For, syntax.Foreach, syntax.Switch)
        ):
            todo.extend(getattr(node, field) for field in node.__struct_fields__)
