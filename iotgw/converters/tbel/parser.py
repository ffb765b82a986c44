"""From TBEL's words to its syntax tree: statements. Expressions are `iotgw.converters.tbel.expressions`.

The grammar is that of the interpreter (github.com/thingsboard/tbel, an offspring of MVEL 2), without its accidents; what it
takes besides is named in docs/converters/tbel.md.
"""

from __future__ import annotations

from iotgw.converters.tbel import syntax
from iotgw.converters.tbel.errors import TbelError
from iotgw.converters.tbel.expressions import ExpressionParser
from iotgw.converters.tbel.syntax import Statement
from iotgw.converters.tbel.tokens import Word, tokens

_UNSUPPORTED = {
    "try": "TBEL has no try and catch: an error ends the conversion",
    "import": "`import` is forbidden in ThingsBoard, too: write java.util.… in full",
    "import_static": "`import_static` is forbidden in ThingsBoard, too",
    "with": "`with` is MVEL's and is not supported: name the object in each line",
    "proto": "`proto` is MVEL's and is not supported",
    "stacklang": "`stacklang` is MVEL's and is not supported",
    "assert": "`assert` is MVEL's and is not supported: use raiseError(message)",
    "throw": "TBEL has no `throw`: use raiseError(message)",
    "let": "`let` is JavaScript's: TBEL declares variables with `var`",
    "const": "`const` is JavaScript's: TBEL declares variables with `var`",
    "class": "TBEL has no classes",
}


class Parser(ExpressionParser):
    """The statements of one script.

    Many methods: there is one for each statement.
    """

    def script(self) -> tuple[Statement, ...]:
        """All of it. Raises TbelError."""
        body: list[Statement] = []
        while self.token.kind != "end":
            self.statement_into(body)
        return tuple(body)

    def statement_into(self, body: list[Statement]) -> None:
        """Read one statement, if it isn't empty, and what it declares besides."""
        if self.take(";"):
            return
        self.deeper()
        body.extend(self._statements())
        self.higher()

    def _statements(self) -> list[Statement]:
        token = self.token
        if token.kind == "name":
            read = getattr(self, f"_{token.text}_statement", None) if token.text in _STATEMENTS else None
            if read is not None and not self._is_value_next():
                self.advance()
                return [read(token)]
            if token.text in _UNSUPPORTED and not self._is_value_next():
                raise TbelError(_UNSUPPORTED[token.text], token.at)
            if token.text in ("var", "final") and self.ahead().kind == "name":
                return self._declarations(token)
            if self._is_typed():
                return self._declarations(token)
        if token.text == "{" and token.kind == "op" and not self.is_map_next():
            self.advance()
            return [self._block(token)]
        value = self.expression()
        self.end_of_statement()
        return [syntax.Evaluate(token.at, value)]

    def _is_value_next(self) -> bool:
        """Whether a keyword is used as a variable's name."""
        after = self.ahead()
        return after.kind == "op" and after.text in ("=", ".", ".?", "+=", "-=", ")", ",")

    def end_of_statement(self) -> None:
        """A semicolon; or what ends a statement without one: a line's end, a block's, the script's."""
        if self.take(";") or self.token.kind == "end" or self.token.text == "}" or self.token.after_newline:
            return
        if self.token.kind == "op" and self.token.text == "=>":
            raise TbelError("arrow functions are JavaScript's: TBEL has none", self.token.at)
        raise TbelError(f"expected the end of the statement, got {self.shown()}", self.token.at)

    # --- declarations ---

    def _is_typed(self) -> bool:
        """Whether a declaration with a type stands here: ``int x``, ``java.util.List l``, ``byte[] b``."""
        ahead = 1
        while self.ahead(ahead).text == "." and self.ahead(ahead + 1).kind == "name":
            ahead += 2
        while self.ahead(ahead).text == "[" and self.ahead(ahead + 1).text == "]":
            ahead += 2
        name, after = self.ahead(ahead), self.ahead(ahead + 1)
        if name.kind != "name" or name.text in _WORDS or name.after_newline:
            return False
        return after.text in ("=", ";", ",", ":") or after.kind == "end" or after.after_newline

    def _type(self) -> str:
        name = self.name("a type").text
        while self.take("."):
            name += "." + self.name("a type").text
        while self.token.text == "[" and self.ahead().text == "]":
            self.advance()
            self.advance()
            name += "[]"
        return name

    def _declarations(self, token: Word, ends: bool = True) -> list[Statement]:
        if token.text in ("var", "final"):
            self.advance()
            type_ = ""
            if token.text == "final" and self._is_typed():
                type_ = self._type()
        else:
            type_ = self._type()
        made: list[Statement] = []
        while True:
            name = self.name("a variable's name")
            value = None
            if self.take("="):
                value = self.array_items(type_) if type_.endswith("[]") else self.expression()
            made.append(syntax.Declare(name.at, name.text, value, type_))
            if not self.take(","):
                break
        if ends:
            self.end_of_statement()
        return made

    # --- blocks ---

    def _block(self, opened: Word) -> syntax.StatementBlock:
        body: list[Statement] = []
        while not self.take("}"):
            if self.token.kind == "end":
                raise TbelError("a block that begins here never ends", opened.at)
            self.statement_into(body)
        return syntax.StatementBlock(opened.at, tuple(body))

    def _body(self) -> Statement:
        """A block, or one statement."""
        token = self.token
        if self.take("{"):
            return self._block(token)
        body: list[Statement] = []
        self.statement_into(body)
        return syntax.StatementBlock(token.at, tuple(body))

    def _condition(self) -> syntax.Expression:
        self.expect("(")
        condition = self.expression()
        self.expect(")")
        return condition

    def _if_statement(self, token: Word) -> Statement:
        branches = [(self._condition(), self._body())]
        other = None
        while self.token.text == "else" and self.token.kind == "name":
            self.advance()
            if self.token.text == "if" and self.token.kind == "name":
                self.advance()
                branches.append((self._condition(), self._body()))
                continue
            other = self._body()
            break
        return syntax.If(token.at, tuple(branches), other)

    def _while_statement(self, token: Word) -> Statement:
        condition = self._condition()
        return syntax.While(token.at, condition, self._body(), is_until=token.text == "until")

    _until_statement = _while_statement

    def _do_statement(self, token: Word) -> Statement:
        body = self._body()
        word = self.name("`while`")
        if word.text not in ("while", "until"):
            raise TbelError(f"expected `while` after the block of `do`, got {word.text!r}", word.at)
        condition = self._condition()
        self.end_of_statement()
        return syntax.While(token.at, condition, body, is_after=True, is_until=word.text == "until")

    def _foreach_statement(self, token: Word) -> Statement:
        self.expect("(")
        return self._each(token)

    def _each(self, token: Word) -> Statement:
        type_ = self._type() if self._is_typed() and self.token.text != "var" else ""
        if self.token.text == "var":
            self.advance()
        name = self.name("a variable's name")
        if not self.take(":"):
            raise TbelError(f"expected `:` and a list, got {self.shown()}", self.token.at)
        of = self.expression()
        self.expect(")")
        return syntax.Foreach(token.at, name.text, type_, of, self._body())

    def _for_statement(self, token: Word) -> Statement:
        self.expect("(")
        ahead = 2 if self._is_typed() or self.token.text == "var" else 1
        if self.token.kind == "name" and self.ahead(ahead).text == ":":
            return self._each(token)
        first = self._parts(";")
        self.expect(";")
        condition = None if self.token.text == ";" else self.expression()
        self.expect(";")
        step = self._parts(")")
        self.expect(")")
        return syntax.For(token.at, tuple(first), condition, tuple(step), self._body())

    def _parts(self, end: str) -> list[Statement]:
        """What stands before the first semicolon of a ``for``, or after the second one."""
        made: list[Statement] = []
        while self.token.text != end or self.token.kind != "op":
            token = self.token
            if token.kind == "name" and (token.text == "var" or self._is_typed()):
                made.extend(self._declarations(token, ends=False))
            else:
                made.append(syntax.Evaluate(token.at, self.expression()))
            if not self.take(","):
                break
        return made

    def _switch_statement(self, token: Word) -> Statement:
        of = self._condition()
        opened = self.token
        self.expect("{")
        cases: list[tuple[tuple[syntax.Expression | None, ...], tuple[Statement, ...]]] = []
        while not self.take("}"):
            values: list[syntax.Expression | None] = []
            while self.token.kind == "name" and self.token.text in ("case", "default"):
                word = self.token
                self.advance()
                values.append(self.ternary() if word.text == "case" else None)
                self.expect(":")
            if not values:
                if self.token.kind == "end":
                    raise TbelError("a block that begins here never ends", opened.at)
                raise TbelError(f"expected `case` or `default`, got {self.shown()}", self.token.at)
            body: list[Statement] = []
            while self.token.text not in ("case", "default", "}"):
                if self.token.kind == "end":
                    raise TbelError("a block that begins here never ends", opened.at)
                self.statement_into(body)
            cases.append((tuple(values), tuple(body)))
        return syntax.Switch(token.at, of, tuple(cases))

    def _return_statement(self, token: Word) -> Statement:
        value = None
        if self.token.text not in (";", "}") and self.token.kind != "end":
            value = self.expression()
        self.end_of_statement()
        return syntax.Return(token.at, value)

    def _break_statement(self, token: Word) -> Statement:
        self.end_of_statement()
        return syntax.Leave(token.at, token.text)

    _continue_statement = _break_statement

    def _function_statement(self, token: Word) -> Statement:
        name = self.name("a function's name")
        self.expect("(")
        parameters = []
        while not self.take(")"):
            if self.ahead().kind == "name":  # a type before it
                self.advance()
            parameters.append(self.name("a parameter's name").text)
            if self.token.text != ")":
                self.expect(",")
        opened = self.token
        self.expect("{")
        block = self._block(opened)
        self.take(";")
        return syntax.FunctionDefinition(name.at, name.text, tuple(parameters), block.body)

    _def_statement = _function_statement


_STATEMENTS = frozenset(
    (
        "if",
        "while",
        "until",
        "do",
        "foreach",
        "for",
        "switch",
        "return",
        "break",
        "continue",
        "function",
        "def",
    )
)
_WORDS = frozenset(
    (
        *_STATEMENTS,
        "else",
        "in",
        "is",
        "instanceof",
        "contains",
        "strsim",
        "soundex",
        "and",
        "or",
        "var",
        "new",
    )
)


def parse(script: str) -> tuple[tuple[Statement, ...], dict[str, int]]:
    """The statements of a script, and the fewest arguments that each function is called with. Raises TbelError."""
    parser = Parser(tokens(script))
    return parser.script(), parser.calls
