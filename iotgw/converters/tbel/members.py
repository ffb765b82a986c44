"""From TBEL's syntax tree to JavaScript: calls of the runtime, names, properties and methods."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from iotgw.converters.tbel import syntax, types
from iotgw.converters.tbel.scopes import Scope, Variable
from iotgw.converters.tbel.syntax import Expression

CLASSES = frozenset(
    ("Math", "StrictMath", "String", "Integer", "Long", "Double", "Float", "Short", "Byte", "Character", "Boolean", "Number",
     "Object", "JSON", "Date", "Random", "Calendar")
)  # fmt: skip
_MARK = "\x01"
_CONSTANT = re.compile(r'\(?-?\d+\)?|"(?:[^"\\]|\\.)*"|\$\w+|null|true|false')
Typed = tuple[str, int, bool]
"""JavaScript, the type that TBEL knows (`types`), and whether the value is always of that type."""


class MemberEmitter:
    """Writes names and what is in them; keeps what that needs: runtime functions, constants, variables.

    Many methods: there is one for each kind of node.
    """

    def __init__(self, scope: Scope, found: Iterable[syntax.FunctionDefinition]) -> None:
        self.scope = scope
        self.functions = {one.name: one for one in found}
        self.used: set[str] = set()
        self.constants: list[str] = []
        self._constants: dict[str, int] = {}
        self._held = 0
        self._declared: set[int] = set()

    # --- helpers ---

    def call(self, name: str, at: int, *arguments: str) -> str:
        """A call of the runtime, on a line of its own."""
        self.used.add(name)
        return self._called(f"${name}({','.join(['%s'] * len(arguments))})", at, arguments)

    def _called(self, form: str, at: int, arguments: Sequence[str]) -> str:
        """A call whose arguments hold no further ones.

        An engine takes an error to be where the last call before it began. So the arguments are worked out first, in their order,
        and kept in variables.
        """
        last = max((index for index, one in enumerate(arguments) if _MARK in one), default=-1)
        if last < 0:
            return f"{_MARK}{at}\x02{form % tuple(arguments)}"
        steps: list[str] = []
        kept: list[str] = []
        for index, one in enumerate(arguments):
            if index > last or _CONSTANT.fullmatch(one):
                kept.append(one)
            else:
                name = self.scope.register(self._held + len(steps))
                steps.append(f"{name} = {one}")
                kept.append(name)
        return f"({','.join(steps)},{_MARK}{at}\x02{form % tuple(kept)})"

    def _later(self, count: int, node: Expression) -> Typed:
        """An expression that is worked out while ``count`` others of one call are kept."""
        self._held += count
        made = self.typed(node)
        self._held -= count
        return made

    def constant(self, code: str) -> str:
        """A value that never changes, made once."""
        number = self._constants.setdefault(code, len(self.constants))
        if number == len(self.constants):
            self.constants.append(code)
        return f"$c{number}"

    def _made(self, kind: str, code: str) -> str:
        self.used.add(kind)
        return self.constant(f"${kind}({code})")

    def value(self, node: Expression, is_used: bool = True) -> str:
        """An expression's JavaScript."""
        if isinstance(node, syntax.Step) and not is_used:
            node = syntax.Step(node.at, node.op, node.target, True)
        return self.typed(node)[0]

    def condition(self, node: Expression) -> str:
        """An expression that has to be true or false."""
        code, type_, is_certain = self.typed(node)
        return code if type_ == types.BOOL and is_certain else self.call("bool", node.at, code)

    def typed(self, node: Expression) -> Typed:
        """An expression's JavaScript, and what is known of its type."""
        write = getattr(self, f"_{type(node).__name__.lower()}_value")
        made: Typed = write(node)
        return made

    # --- leaves ---

    def _literal_value(self, node: syntax.Literal) -> Typed:
        type_ = types.OF_LITERAL.get(node.kind, types.UNKNOWN)
        if node.kind == "int":
            return (f"({node.value})" if node.value.startswith("-") else node.value), type_, True
        if node.kind == "long":
            return self.constant(f"BigInt('{node.value}')"), type_, True
        if node.kind in ("double", "float"):
            return self._made(node.kind, node.value), type_, True
        if node.kind == "text":
            return json.dumps(node.value), type_, True
        if node.kind == "empty":
            self.used.add("empty")
            return "$empty", types.UNKNOWN, False
        return ("null" if node.kind == "null" else node.value), type_, True

    def lookup(self, name: str) -> tuple[Variable | None, Scope]:
        """The variable that a name means here, and whose it is."""
        scope: Scope | None = self.scope
        while scope is not None:
            if name in scope.variables:
                return scope.variables[name], scope
            scope = scope.outer
        return None, self.scope

    def _name_value(self, node: syntax.Name) -> Typed:
        variable, scope = self.lookup(node.name)
        if variable is None:
            return self._unbound(node), types.UNKNOWN, False
        is_known = scope is self.scope and (scope.is_script or variable.is_typed)
        type_ = variable.type if is_known else types.UNKNOWN
        if scope is self.scope and scope.is_set(node.name):
            return variable.js, type_, variable.is_certain
        unknown = self.call("unknown", node.at, json.dumps(node.name))
        return f"({variable.js} === undefined ? {unknown} : {variable.js})", type_, variable.is_certain

    def _unbound(self, node: syntax.Name) -> str:
        if node.name in self.functions:
            return f"_{node.name}"
        if node.name in CLASSES or node.name in types.OF_NAME:
            return self._class(node.name)
        return self.call("unknown", node.at, json.dumps(node.name))

    def _class(self, name: str) -> str:
        self.used.add("classNamed")
        return self.constant(f"$classNamed({json.dumps(name)})")

    # --- members ---

    def _dotted_class(self, node: Expression) -> str:
        """The class that ``java.util.X`` names; empty for any other expression."""
        parts = []
        while isinstance(node, syntax.Property):
            parts.append(node.name)
            node = node.of
        if not isinstance(node, syntax.Name) or node.name not in ("java", "org") or self.lookup(node.name)[0]:
            return ""
        name = ".".join((node.name, *reversed(parts)))
        return name if parts and parts[0][:1].isupper() else ""

    def _chain(self, node: Expression) -> tuple[str, int, str]:
        """An owner: its code, its type, and the test of a null-safe one before it that ends the chain."""
        if isinstance(node, (syntax.Property, syntax.Index, syntax.MethodCall)):
            code, type_, is_short = self._member(node)
            if is_short:
                name = self.scope.temporary()
                return name, type_, f"({name} = {code}) === null ? null : "
            return code, type_, ""
        code, type_, _ = self.typed(node)
        return code, type_, ""

    def _member(self, node: syntax.Property | syntax.Index | syntax.MethodCall) -> tuple[str, int, bool]:
        if name := self._dotted_class(node):
            return self._class(name), types.UNKNOWN, False
        owner, owner_type, test = self._chain(node.of)
        if isinstance(node, syntax.Index):
            made, type_, is_safe = (
                self.call("at", node.at, owner, self._later(1, node.index)[0]),
                types.UNKNOWN,
                False,
            )
        elif isinstance(node, syntax.Property):
            made = self.call("safe" if node.is_safe else "get", node.at, owner, json.dumps(node.name))
            type_, is_safe = types.of_member(node.of, owner_type, node.name, None), node.is_safe
        else:
            arguments = [self._later(index + 1, one) for index, one in enumerate(node.arguments)]
            self.used.add("safeCall" if node.is_safe else "call")
            form = f"${'safeCall' if node.is_safe else 'call'}(%s,{json.dumps(node.name).replace('%', '%%')}"
            form += f",[{','.join(['%s'] * len(arguments))}])"
            made = self._called(form, node.at, [owner, *(one[0] for one in arguments)])
            type_ = types.of_member(node.of, owner_type, node.name, [one[1] for one in arguments])
            is_safe = node.is_safe
        if test:
            return f"({test}{made})", type_, True
        return made, type_, is_safe

    def _property_value(self, node: syntax.Property) -> Typed:
        made, type_, _ = self._member(node)
        return made, type_, False

    def _index_value(self, node: syntax.Index) -> Typed:
        return self._member(node)[0], types.UNKNOWN, False

    def _methodcall_value(self, node: syntax.MethodCall) -> Typed:
        made, type_, _ = self._member(node)
        return made, type_, False

    def _functioncall_value(self, node: syntax.FunctionCall) -> Typed:
        written = [self._later(index + 1, one) for index, one in enumerate(node.arguments)]
        arguments = [one[0] for one in written]
        function = self.functions.get(node.name)
        if function is not None:
            if len(arguments) > len(function.parameters):
                arguments = [json.dumps(node.name), str(len(function.parameters)), *arguments]
                return self.call("tooMany", node.at, *arguments), types.UNKNOWN, False
            form = f"_{node.name}({','.join(['%s'] * len(arguments))})"
            return self._called(form, node.at, arguments), types.UNKNOWN, False
        made = self.call("functionNamed", node.at, json.dumps(node.name), *arguments)
        return made, types.of_call(node.name, [one[1] for one in written]), False
