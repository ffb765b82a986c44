"""From TBEL's syntax tree to JavaScript: operators, what is made anew, assignments."""

from __future__ import annotations

import json

from iotgw.converters.tbel import syntax, types
from iotgw.converters.tbel.errors import TbelError
from iotgw.converters.tbel.members import MemberEmitter, Typed
from iotgw.converters.tbel.syntax import Expression

_OPERATIONS = {
    "+": "add", "-": "sub", "*": "mul", "/": "div", "%": "mod", "**": "pow", "&": "and", "|": "or", "^": "xor", "<<": "shl",
    ">>": "shr", ">>>": "ushr", "==": "eq", "!=": "ne", "<": "lt", ">": "gt", "<=": "le", ">=": "ge", "contains": "contains",
    "~=": "matches",
}  # fmt: skip
_UNENCLOSED = "a condition in a map without parentheses: TBEL takes its first alternative for the key"
_FLAT = 20
"""A row of operators longer than this is written one after another rather than one in another."""


class ValueEmitter(MemberEmitter):
    """Writes expressions."""

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
        right = self._later(1, node.right)
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
        second = "".join(
            f"{found} === null && {self.condition(one.condition)} ? {self.value(one.then)} : "
            for one in earlier
        )
        return f"{first},({second}{taken} && {found} === null ? null : {self.value(value.other)})"

    def _new_value(self, node: syntax.New) -> Typed:
        return (
            self.call(
                "make",
                node.at,
                json.dumps(node.type),
                *(self._later(index, one)[0] for index, one in enumerate(node.arguments)),
            ),
            types.UNKNOWN,
            False,
        )

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
        return self._updated(node.target, name, node.value, node.at), types.UNKNOWN, False

    def _step_value(self, node: syntax.Step) -> Typed:
        name = "add" if node.op == "++" else "sub"
        one = syntax.Literal(node.at, "int", "1")
        if node.is_before:
            return self._updated(node.target, name, one, node.at), types.UNKNOWN, False
        before = self.scope.temporary()
        was = self.value(node.target)
        changed = self._updated(node.target, name, one, node.at)
        return f"({before} = {was}, {changed}, {before})", types.UNKNOWN, False

    def assigned(self, target: Expression, value: Expression | None, type_: str = "") -> str:
        """An assignment; ``type_`` is the declaration's."""
        if isinstance(target, syntax.Name):
            code, known, _ = self.typed(value) if value is not None else ("null", types.UNKNOWN, False)
            variable, scope = self.lookup(target.name)
            if variable is None:
                raise TbelError(f"{target.name} can't be assigned to", target.at)
            if scope is self.scope:
                if type_:
                    variable.type, variable.is_typed = types.OF_NAME.get(type_, types.UNKNOWN), True
                elif scope.is_script and id(variable) not in self._declared:
                    variable.type = known
                self._declared.add(id(variable))
                scope.mark_set(target.name)
            return f"{variable.js} = {code}"
        assert isinstance(target, (syntax.Property, syntax.Index)) and value is not None
        owner, _, test = self._chain(target.of)
        if isinstance(target, syntax.Property):
            made = self.call("set", target.at, owner, json.dumps(target.name), self._later(1, value)[0])
        else:
            index = self._later(1, target.index)[0]
            made = self.call("setAt", target.at, owner, index, self._later(2, value)[0])
        return f"({test}{made})" if test else made

    def _updated(self, target: Expression, operation: str, value: Expression, at: int) -> str:
        if isinstance(target, syntax.Name):
            variable, _ = self.lookup(target.name)
            if variable is None:
                raise TbelError(f"{target.name} can't be assigned to", target.at)
            made = self.call(operation, at, self._name_value(target)[0], self._later(1, value)[0])
            return f"({variable.js} = {made})"
        assert isinstance(target, (syntax.Property, syntax.Index))
        self.used.add(operation)
        owner, _, test = self._chain(target.of)
        if isinstance(target, syntax.Property):
            arguments = [json.dumps(target.name), f"${operation}", self._later(1, value)[0]]
            made = self.call("update", at, owner, *arguments)
        else:
            arguments = [self._later(1, target.index)[0], f"${operation}", self._later(2, value)[0]]
            made = self.call("updateAt", at, owner, *arguments)
        return f"({test}{made})" if test else made
