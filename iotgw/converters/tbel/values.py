"""From TBEL's syntax tree to JavaScript: expressions."""

from __future__ import annotations

import json
from collections.abc import Iterable

from iotgw.converters.tbel import syntax, types
from iotgw.converters.tbel.errors import TbelError
from iotgw.converters.tbel.scopes import Scope, Variable
from iotgw.converters.tbel.syntax import Expression

_OPERATIONS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "**": "pow", "&": "and", "|": "or", "^": "xor", "<<": "shl",
    ">>": "shr", ">>>": "ushr", "==": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge", "contains": "contains",
    "~=": "matches",
}  # fmt: skip
CLASSES = frozenset(
    "Math StrictMath String Integer Long Double Float Short Byte Character Boolean Number Object JSON Date Random Calendar".split()
)
_UNENCLOSED = "a condition in a map without parentheses: TBEL takes its first alternative for the key"
_FLAT = 20
"""A row of operators longer than this is written one after another rather than one in another."""
Typed = tuple[str, int, bool]
"""JavaScript, the type that TBEL knows (`types`), and whether the value is always of that type."""


class ValueEmitter:
    """Writes expressions; keeps what they need: runtime functions, constants, variables."""

    def __init__(self, scope: Scope, found: Iterable[syntax.Function]) -> None:
        self.scope = scope
        self.functions = {one.name: one for one in found}
        self.used: set[str] = set()
        self.constants: list[str] = []
        self._constants: dict[str, int] = {}

    # --- helpers ---

    def call(self, name: str, at: int, *arguments: str) -> str:
        """A call of the runtime, on a line of its own."""
        self.used.add(name)
        return f"\x01{at}\x02${name}({','.join(arguments)})"

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

    def condition(self, node: Expression, is_loop: bool = False) -> str:
        """An expression that has to be true or false. A loop's is always a call, which tells where it is."""
        code, type_, is_certain = self.typed(node)
        if type_ == types.BOOL and is_certain and not (is_loop and isinstance(node, syntax.Literal)):
            return code
        return self.call("bool", node.at, code)

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
            made, type_, is_safe = self.call("at", node.at, owner, self.value(node.index)), types.UNKNOWN, False
        elif isinstance(node, syntax.Property):
            made = self.call("safe" if node.is_safe else "get", node.at, owner, json.dumps(node.name))
            type_, is_safe = types.of_member(node.of, owner_type, node.name, None), node.is_safe
        else:
            arguments = [self.typed(one) for one in node.arguments]
            codes = [one[0] for one in arguments]
            made = self.call("safeCall" if node.is_safe else "call", node.at, owner, json.dumps(node.name), f"[{','.join(codes)}]")
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

    def _call_value(self, node: syntax.Call) -> Typed:
        written = [self.typed(one) for one in node.arguments]
        arguments = [one[0] for one in written]
        function = self.functions.get(node.name)
        if function is not None:
            if len(arguments) != len(function.parameters):
                given = self.call("arguments", node.at, json.dumps(node.name), str(len(function.parameters)), *arguments)
                return f"\x01{node.at}\x02_{node.name}(...{given})", types.UNKNOWN, False
            return f"\x01{node.at}\x02_{node.name}({','.join(arguments)})", types.UNKNOWN, False
        made = self.call("functionNamed", node.at, json.dumps(node.name), *arguments)
        return made, types.of_call(node.name, [one[1] for one in written]), False

    # --- operators ---

    def _unary_value(self, node: syntax.Unary) -> Typed:
        if node.op == "!":
            return f"!{self.condition(node.of)}", types.BOOL, True
        code, type_, is_certain = self.typed(node.of)
        if node.op == "-":
            return self.call("neg", node.at, code), type_, is_certain
        return self.call("inv", node.at, code), types.UNKNOWN, False

    def _binary_value(self, node: syntax.Binary) -> Typed:
        row: list[syntax.Binary] = []
        left: Expression = node
        while isinstance(left, syntax.Binary):
            row.append(left)
            left = left.left
        made = self.typed(left)
        is_literal = isinstance(left, syntax.Literal)
        parts: list[str] = []
        temporary = self.scope.temporary() if len(row) > _FLAT else ""
        for one in reversed(row):
            if temporary:
                parts.append(f"{temporary} = {made[0]}")
                made = (temporary, made[1], made[2])
            made = self._operation(one, made, is_literal)
            is_literal = is_literal and isinstance(one.right, syntax.Literal)
        return (f"({','.join(parts)},{made[0]})", *made[1:]) if parts else made

    def _operation(self, node: syntax.Binary, left: Typed, is_literal: bool) -> Typed:
        if node.op in ("&&", "||"):
            first = left[0] if left[1] == types.BOOL and left[2] else self.call("bool", node.left.at, left[0])
            return f"({first} {node.op} {self.condition(node.right)})", types.BOOL, True
        right = self.typed(node.right)
        are_literals = is_literal and isinstance(node.right, syntax.Literal)
        type_ = types.of_operation(node.op, left[1], right[1], are_literals)
        name = _OPERATIONS[node.op]
        if node.op == "/" and left[1] == right[1] == types.INT and not are_literals:
            return self.call("idiv", node.at, left[0], right[0]), types.INT, False
        is_certain = (left[2] or left[1] == types.UNKNOWN) and (right[2] or right[1] == types.UNKNOWN)
        # where both are whole numbers, it makes no difference that this is known; constants are reckoned with what they are
        are_ints = left[1] in types.INTS and right[1] in types.INTS
        is_plain = are_literals or (are_ints if are_ints and node.op != "/" else is_certain and not are_ints)
        if is_plain or node.op in ("contains", "~="):
            made = self.call(name, node.at, left[0], right[0])
        else:
            made = self.call("typed", node.at, f'"{name}"', str(left[1]), left[0], str(right[1]), right[0])
        return made, type_, type_ == types.BOOL

    def _ternary_value(self, node: syntax.Ternary) -> Typed:
        condition = self.condition(node.condition)
        then = self.value(node.then)
        other, type_, _ = self.typed(node.other)
        return f"({condition} ? {then} : {other})", type_, False

    def _instanceof_value(self, node: syntax.InstanceOf) -> Typed:
        return self.call("isA", node.at, self.value(node.of), json.dumps(node.type)), types.BOOL, True

    def _isdefined_value(self, node: syntax.IsDefined) -> Typed:
        variable, _ = self.lookup(node.name)
        return (f"({variable.js} !== undefined)" if variable else "false"), types.BOOL, True

    def _cast_value(self, node: syntax.Cast) -> Typed:
        type_ = types.OF_NAME.get(node.type, types.UNKNOWN)
        return self.call("cast", node.at, self.value(node.of), json.dumps(node.type)), type_, False

    # --- what is made ---

    def _listof_value(self, node: syntax.ListOf) -> Typed:
        self.used.add("list")
        return f"$list([{','.join(map(self.value, node.items))}])", types.LIST, True

    def _mapof_value(self, node: syntax.MapOf) -> Typed:
        self.used.add("map")
        return f"$map([{','.join(self._entry(key, value) for key, value in node.entries)}])", types.MAP, True

    def _entry(self, key: syntax.Literal, value: Expression) -> str:
        """A key and its value. A condition without parentheses has its first alternative for the key, and the second for the value.

        So the interpreter reads it, since it looks for colons only (its `CollectionParser`), and what ThingsBoard's users have in
        their data comes of it. Where the condition is false, the key is null: the script doesn't find the entry, and ThingsBoard
        fails when it has to write it. Here it is written under the key that it seems to have.
        """
        name = self._literal_value(key)[0]
        if not isinstance(value, syntax.Ternary) or value.is_enclosed:
            return f"{name},{self.value(value)}"
        earlier: list[syntax.Ternary] = []
        while isinstance(value.other, syntax.Ternary) and not value.other.is_enclosed:
            earlier.append(value)
            value = value.other
        taken, found = self.scope.temporary(), self.scope.temporary()
        self.used.add("unnamed")
        warned = self.call("warn", value.at, json.dumps(_UNENCLOSED), taken)
        first = f"({found} = ({taken} = {self.condition(value.condition)}) ? {self.value(value.then)} : null, {warned}, {found} === null ? $unnamed({name}) : {found})"
        second = "".join(f"{found} === null && {self.condition(one.condition)} ? {self.value(one.then)} : " for one in earlier)
        return f"{first},({second}{taken} && {found} === null ? null : {self.value(value.other)})"

    def _new_value(self, node: syntax.New) -> Typed:
        return self.call("make", node.at, json.dumps(node.type), *map(self.value, node.arguments)), types.UNKNOWN, False

    def _newarray_value(self, node: syntax.NewArray) -> Typed:
        if node.type == "=" and node.length is not None:
            return self.value(node.length), types.UNKNOWN, False
        if node.length is None:
            items = f"[{','.join(map(self.value, node.items))}]"
            return self.call("arrayOf", node.at, json.dumps(node.type), items), types.ARRAY, False
        return self.call("array", node.at, json.dumps(node.type), self.value(node.length)), types.ARRAY, False

    # --- assignments ---

    def _assign_value(self, node: syntax.Assign) -> Typed:
        if node.op == "=":
            return self.assigned(node.target, node.value), types.UNKNOWN, False
        name = _OPERATIONS[node.op[:-1]]
        return self._updated(node.target, name, self.value(node.value), node.at), types.UNKNOWN, False

    def _step_value(self, node: syntax.Step) -> Typed:
        name = "add" if node.op == "++" else "sub"
        changed = self._updated(node.target, name, "1", node.at)
        if not node.is_before:
            changed = self.call("first", node.at, self.value(node.target), changed)
        return changed, types.UNKNOWN, False

    def assigned(self, target: Expression, value: Expression | None, type_: str = "") -> str:
        """An assignment; ``type_`` is the declaration's."""
        code, known, _ = self.typed(value) if value is not None else ("null", types.UNKNOWN, False)
        if isinstance(target, syntax.Name):
            variable, scope = self.lookup(target.name)
            if variable is None:
                raise TbelError(f"{target.name} can't be assigned to", target.at)
            if scope is self.scope:
                if type_:
                    variable.type, variable.is_typed = types.OF_NAME.get(type_, types.UNKNOWN), True
                elif scope.is_script and not self._was_declared(variable):
                    variable.type = known
                self._declared.add(id(variable))
                scope.mark_set(target.name)
            return f"{variable.js} = {code}"
        assert isinstance(target, (syntax.Property, syntax.Index))
        owner, _, test = self._chain(target.of)
        if isinstance(target, syntax.Property):
            made = self.call("set", target.at, owner, json.dumps(target.name), code)
        else:
            made = self.call("setAt", target.at, owner, self.value(target.index), code)
        return f"({test}{made})" if test else made

    def _was_declared(self, variable: Variable) -> bool:
        return id(variable) in self._declared

    @property
    def _declared(self) -> set[int]:
        if not hasattr(self, "_known"):
            self._known: set[int] = set()
        return self._known

    def _updated(self, target: Expression, operation: str, value: str, at: int) -> str:
        if isinstance(target, syntax.Name):
            variable, _ = self.lookup(target.name)
            if variable is None:
                raise TbelError(f"{target.name} can't be assigned to", target.at)
            made = self.call(operation, at, self._name_value(target)[0], value)
            return f"({variable.js} = {made})"
        assert isinstance(target, (syntax.Property, syntax.Index))
        self.used.add(operation)
        owner, _, test = self._chain(target.of)
        if isinstance(target, syntax.Property):
            made = self.call("update", at, owner, json.dumps(target.name), f"${operation}", value)
        else:
            made = self.call("updateAt", at, owner, self.value(target.index), f"${operation}", value)
        return f"({test}{made})" if test else made
