"""From TBEL's words to its syntax tree: expressions, by precedence (MVEL's `Operator.PTABLE`)."""

from __future__ import annotations

from iotgw.converters.tbel import syntax
from iotgw.converters.tbel.errors import TbelError
from iotgw.converters.tbel.syntax import Expression
from iotgw.converters.tbel.tokens import Word

MAX_DEPTH = 100
"""How deep blocks and expressions may be nested, one in another."""
MAX_CHAIN = 2000
"""How many operators one expression may have in a row."""

PRECEDENCE = {
    "||": 2, "or": 2, "&&": 3, "and": 3, "|": 4, "^": 5, "&": 6, "==": 7, "!=": 7, "===": 7, "!==": 7, "<": 8, ">": 8, "<=": 8,
    ">=": 8, "instanceof": 8, "is": 8, "<<": 9, ">>": 9, ">>>": 9, "+": 10, "-": 10, "*": 11, "/": 11, "%": 11, "**": 12,
    "contains": 13, "~=": 13,
}  # fmt: skip
_UNSUPPORTED = {
    "strsim": "`strsim` is MVEL's and is not supported",
    "soundex": "`soundex` is MVEL's and is not supported",
    "convertable_to": "`convertable_to` is MVEL's and is not supported",
    "in": "projections (`x in list`) are MVEL's and are not supported: use foreach",
    "#": "`#` is MVEL's and is not supported: use + to join texts",
    "@": "interceptors (`@`) are MVEL's and are not supported",
    "=>": "arrow functions are JavaScript's: TBEL has none",
}
_SAME = {"===": "==", "!==": "!=", "and": "&&", "or": "||"}
_ASSIGNING = frozenset(("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>=", ">>>=", "**="))
_LITERALS = {"true": "bool", "false": "bool", "null": "null", "nil": "null", "empty": "empty"}
_PRIMITIVES = frozenset(
    ("int", "long", "double", "float", "short", "byte", "char", "boolean", "Integer", "Long", "Double", "Float", "Short", "Byte",
     "Character", "Boolean", "String", "Object", "Number")
)  # fmt: skip


class ExpressionParser:
    """A cursor over a script's words, and its expressions.

    Many methods: there is one for each level of the grammar.
    """

    def __init__(self, found: list[Word]) -> None:
        self._tokens = found
        self._place = 0
        self._depth = 0
        self.token = found[0]
        self.calls: dict[str, int] = {}
        """The fewest arguments that each function is called with."""

    # --- the cursor ---

    def advance(self) -> Word:
        """Go on by one word, and return the one that was here."""
        token = self.token
        if token.kind != "end":
            self._place += 1
            self.token = self._tokens[self._place]
        return token

    def ahead(self, count: int = 1) -> Word:
        """A later word."""
        return self._tokens[min(self._place + count, len(self._tokens) - 1)]

    def take(self, operator: str) -> bool:
        """Go on if this operator stands here."""
        if self.token.kind == "op" and self.token.text == operator:
            self.advance()
            return True
        return False

    def expect(self, operator: str) -> None:
        """Go on if this operator stands here, or raise TbelError."""
        if not self.take(operator):
            raise TbelError(f"expected `{operator}`, got {self.shown()}", self.token.at)

    def name(self, what: str) -> Word:
        """Take a name, or raise TbelError."""
        if self.token.kind != "name":
            raise TbelError(f"expected {what}, got {self.shown()}", self.token.at)
        return self.advance()

    def shown(self) -> str:
        """What stands here, as an error says it."""
        return "the end of the script" if self.token.kind == "end" else f"`{self.token.text[:40]}`"

    def deeper(self) -> None:
        """Count one level of nesting more; `higher` ends it."""
        if self._depth >= MAX_DEPTH:
            raise TbelError(f"expected at most {MAX_DEPTH} levels of nesting", self.token.at)
        self._depth += 1

    def higher(self) -> None:
        """End what `deeper` began."""
        self._depth -= 1

    def is_map_next(self) -> bool:
        """Whether a brace opens a map rather than a block."""
        first, second = self.ahead(), self.ahead(2)
        if first.text == "}" and first.kind == "op":
            return second.kind == "end" or second.text in (".", ";", "}")
        return first.kind in ("name", "text", "int") and second.text == ":" and second.kind == "op"

    # --- precedence ---

    def expression(self) -> Expression:
        """Any expression, an assignment too."""
        self.deeper()
        made = self.ternary()
        token = self.token
        if token.kind == "op" and token.text in _ASSIGNING:
            if not isinstance(made, (syntax.Name, syntax.Property, syntax.Index)):
                raise TbelError("only a variable, a property or an element can be assigned to", token.at)
            self.advance()
            made = syntax.Assign(token.at, token.text, made, self.expression())
        self.higher()
        return made

    def ternary(self) -> Expression:
        """A condition with its two values, or anything that binds tighter."""
        condition = self._binary(2)
        token = self.token
        if not self.take("?"):
            return condition
        then = self.expression()
        self.expect(":")
        self.deeper()
        other = self.ternary()
        self.higher()
        return syntax.Ternary(token.at, condition, then, other)

    def _binary(self, least: int) -> Expression:
        left = self._unary()
        chain = 0
        while True:
            token = self.token
            if token.text in _UNSUPPORTED and token.kind in ("op", "name") and not token.after_newline:
                raise TbelError(_UNSUPPORTED[token.text], token.at)
            precedence = PRECEDENCE.get(token.text, 0) if token.kind in ("op", "name") else 0
            if precedence < least or not precedence:
                return left
            if token.kind == "name" and token.after_newline:
                return left
            chain += 1
            if chain > MAX_CHAIN:
                raise TbelError(f"expected at most {MAX_CHAIN} operators in a row", token.at)
            self.advance()
            if token.text in ("instanceof", "is"):
                left = syntax.InstanceOf(token.at, left, self._dotted("a class"))
            else:
                self.deeper()
                right = self._binary(precedence + 1)
                self.higher()
                left = syntax.Binary(token.at, _SAME.get(token.text, token.text), left, right)

    def _unary(self) -> Expression:
        token = self.token
        if token.kind == "op" and token.text in ("-", "!", "~", "+"):
            self.advance()
            self.deeper()
            of = self._unary()
            self.higher()
            if (
                token.text == "-"
                and isinstance(of, syntax.Literal)
                and of.kind in ("int", "long", "float", "double")
            ):
                return _negated(of, token.at)
            return of if token.text == "+" else syntax.Unary(token.at, token.text, of)
        if token.kind == "op" and token.text in ("++", "--"):
            self.advance()
            self.deeper()
            target = self._unary()
            self.higher()
            return syntax.Step(token.at, token.text, self._target(target, token), True)
        made = self._postfix(self._primary())
        if self.token.kind == "op" and self.token.text in ("++", "--") and not self.token.after_newline:
            step = self.advance()
            return syntax.Step(step.at, step.text, self._target(made, step), False)
        return made

    def _target(self, made: Expression, token: Word) -> syntax.Name | syntax.Property | syntax.Index:
        if not isinstance(made, (syntax.Name, syntax.Property, syntax.Index)):
            raise TbelError(f"`{token.text}` wants a variable, a property or an element", token.at)
        return made

    def _postfix(self, made: Expression) -> Expression:
        chain = 0
        while self.token.kind == "op":
            token = self.token
            if token.text in (".", ".?"):
                self.advance()
                is_safe = token.text == ".?"
                name = self.name("a name")
                if self.token.kind == "op" and self.token.text == "(":
                    made = syntax.MethodCall(name.at, made, name.text, self._arguments(), is_safe)
                else:
                    made = syntax.Property(name.at, made, name.text, is_safe)
            elif token.text == "?" and self.ahead().text == ".":  # ?. as in JavaScript
                raise TbelError("`?.` is JavaScript's: TBEL has `.?`", token.at)
            elif token.text == "[" and not token.after_newline:
                self.advance()
                index = self.expression()
                self.expect("]")
                made = syntax.Index(token.at, made, index)
            else:
                break
            chain += 1
            if chain > MAX_DEPTH:
                raise TbelError(f"expected at most {MAX_DEPTH} properties in a row", token.at)
        return made

    def _arguments(self) -> tuple[Expression, ...]:
        self.expect("(")
        return self._items(")")

    def _items(self, end: str) -> tuple[Expression, ...]:
        items = []
        while not self.take(end):
            items.append(self.expression())
            if self.token.text != end or self.token.kind != "op":
                self.expect(",")
        return tuple(items)

    # --- primaries ---

    def _primary(self) -> Expression:
        token = self.advance()
        if token.kind in ("int", "long", "float", "double", "text"):
            return syntax.Literal(token.at, token.kind, token.value)
        if token.kind == "name":
            return self._named(token)
        if token.text == "(":
            return self._parenthesis(token)
        if token.text == "[":
            return self._collection(token, "]")
        if token.text == "{":
            return self._collection(token, "}")
        self.token = token
        if token.text in _UNSUPPORTED:
            raise TbelError(_UNSUPPORTED[token.text], token.at)
        raise TbelError(f"expected a value, got {self.shown()}", token.at)

    def _named(self, token: Word) -> Expression:
        name = token.text
        if name in _LITERALS:
            return syntax.Literal(token.at, _LITERALS[name], name)
        if name == "new":
            return self._new(token)
        if name == "isdef":
            return syntax.IsDefined(token.at, self.name("a name").text)
        if name in ("function", "def") and self.token.kind != "op":
            raise TbelError("a function is a statement in TBEL: it can't be a value", token.at)
        if self.token.kind == "op" and self.token.text == "(":
            if name in ("function", "def"):
                raise TbelError("TBEL has no functions without a name", token.at)
            made = syntax.FunctionCall(token.at, name, self._arguments())
            self.calls[name] = min(self.calls.get(name, len(made.arguments)), len(made.arguments))
            return made
        return syntax.Name(token.at, name)

    def _parenthesis(self, opened: Word) -> Expression:
        cast = self._cast()
        if cast:
            self.deeper()
            of = self._unary()
            self.higher()
            return syntax.Cast(opened.at, cast, of)
        made = self.expression()
        self.expect(")")
        if isinstance(made, syntax.Ternary):
            return syntax.Ternary(made.at, made.condition, made.then, made.other, True)
        return made

    def _cast(self) -> str:
        """The type of a cast that stands here, which is taken; empty for none."""
        ahead, parts = 0, []
        while self.ahead(ahead).kind == "name":
            parts.append(self.ahead(ahead).text)
            if self.ahead(ahead + 1).text != ".":
                break
            ahead += 2
        if not parts or not (parts[-1] in _PRIMITIVES or parts[:2] == ["java", "util"]):
            return ""
        suffix = ""
        while self.ahead(ahead + 1).text == "[" and self.ahead(ahead + 2).text == "]":
            suffix += "[]"
            ahead += 2
        closing, after = self.ahead(ahead + 1), self.ahead(ahead + 2)
        if closing.text != ")" or not (after.kind not in ("op", "end") or after.text in ("(", "-", "[", "~")):
            return ""
        for _ in range(ahead + 2):
            self.advance()
        return ".".join(parts) + suffix

    def _dotted(self, what: str) -> str:
        name = self.name(what).text
        while self.token.text == "." and self.ahead().kind == "name":
            self.advance()
            name += "." + self.advance().text
        while self.token.text == "[" and self.ahead().text == "]":
            self.advance()
            self.advance()
            name += "[]"
        return name

    def _new(self, token: Word) -> Expression:
        name = self.name("a class").text
        while self.take("."):
            name += "." + self.name("a class").text
        if self.token.text == "[" and self.token.kind == "op":
            self.advance()
            if self.take("]"):
                items = self.array_items(name + "[]")
                return syntax.NewArray(token.at, name, None, items.items)
            length = self.expression()
            self.expect("]")
            return syntax.NewArray(token.at, name, length, ())
        arguments = self._arguments() if self.token.text == "(" else ()
        return syntax.New(token.at, name, arguments)

    def array_items(self, type_: str) -> syntax.NewArray:
        """The elements of an array in braces, after its type."""
        token = self.token
        if token.text != "{":
            value = self.expression()
            return syntax.NewArray(token.at, "=", value, ())
        self.advance()
        return syntax.NewArray(token.at, type_.removesuffix("[]"), None, self._items("}"))

    def _collection(self, opened: Word, end: str) -> Expression:
        """``[a, b]``, ``[k: v]`` and ``{k: v}``; an empty list, or an empty map."""
        if self.take(end):
            return syntax.ListOf(opened.at, ()) if end == "]" else syntax.MapOf(opened.at, ())
        if self.token.text == ":" and self.ahead().text == end:
            self.advance()
            self.advance()
            return syntax.MapOf(opened.at, ())
        if not self._is_key():
            return syntax.ListOf(opened.at, self._items(end))
        entries = []
        while not self.take(end):
            if not self._is_key():
                raise TbelError(f"expected a key and a colon, got {self.shown()}", self.token.at)
            key = self.advance()
            kind = {"name": "text", "text": "text"}.get(key.kind, key.kind)
            if key.kind == "name" and key.text in _LITERALS and key.text != "empty":
                kind = _LITERALS[key.text]
            self.expect(":")
            value = key.text if key.kind == "name" else key.value
            entries.append((syntax.Literal(key.at, kind, value), self.expression()))
            if self.token.text != end or self.token.kind != "op":
                self.expect(",")
        return syntax.MapOf(opened.at, tuple(entries))

    def _is_key(self) -> bool:
        after = self.ahead()
        return (
            self.token.kind in ("name", "text", "int", "long", "double")
            and after.text == ":"
            and after.kind == "op"
        )


def _negated(number: syntax.Literal, at: int) -> syntax.Literal:
    negative = number.value[1:] if number.value.startswith("-") else "-" + number.value
    kind = "int" if number.kind == "long" and negative == "-2147483648" else number.kind
    return syntax.Literal(at, kind, negative)
