"""JavaScript's expressions with TypeScript's types in them, as far as it takes to leave the types out."""

from __future__ import annotations

from abc import abstractmethod

from iotgw.converters.source.blanks import Untranslatable
from iotgw.converters.source.tokens import NAME, NUMBER, REGEX, TEXT
from iotgw.converters.source.types import TypeReader

_PREFIXES = frozenset(
    ["+", "-", "!", "~", "++", "--", "typeof", "void", "delete", "await", "yield", "new", "...", ">", "*"]
)
_INFIXES = frozenset(
    ["+", "-", "*", "/", "%", "**", "<", ">", "<=", ">=", "==", "!=", "===", "!==", "&&", "||", "??", "&", "|", "^", "<<", "in",
     "instanceof", "=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^=", "&&=", "||=", "??="]
)  # fmt: skip


class ExpressionReader(TypeReader):
    """Reads expressions. ``questions`` is how many ``?`` wait for their ``:``."""

    def __init__(self, script: str) -> None:
        super().__init__(script)
        self.questions = 0

    @abstractmethod
    def function_(self, begin: int) -> None:
        """A function whose first token is at ``begin``."""

    @abstractmethod
    def class_(self) -> None:
        """A class."""

    @abstractmethod
    def signature(self) -> None:
        """Type parameters, parameters and the result's type."""

    @abstractmethod
    def parameters(self) -> None:
        """``(…)`` of a function."""

    @abstractmethod
    def body(self) -> None:
        """``{…}`` of a function."""

    @abstractmethod
    def key(self) -> None:
        """The name of a property."""

    def expression(self, commas: bool = True) -> None:
        """Go beyond an expression; ``commas`` says whether it may have commas. Raises Untranslatable."""
        while True:
            self.operand()
            if self.look() == "?":
                self.at += 1
                self.questions += 1
                self.expression(commas=False)
                self.questions -= 1
                self.expect(":")
                continue
            if self.look() in _INFIXES or (self.look() == "," and commas):
                self.at += 1
                while self.look() in (">", "=") and self.is_adjacent():
                    self.at += 1  # the rest of >>, >>> or >>=
                continue
            return

    def operand(self) -> None:
        """Go beyond what operators join."""
        while self.look() in _PREFIXES and self.kind() != TEXT:
            word = self.look()
            self.at += 1
            if word == "yield" and self.look() in (")", "]", "}", ";", ","):
                return
        self.primary()
        self._postfix()

    def primary(self) -> None:
        """Go beyond an operand without what is before and behind it."""
        word = self.look()
        if self.kind() in (NUMBER, TEXT, REGEX):
            self.at += 1
        elif word == "${":
            self.template(self.expression)
        elif word == "(" or (word == "async" and self.look(1) == "("):
            self._parenthesis()
        elif word == "async" and self.look(1) == "<" and self.are_type_arguments(1):
            self.at += 1
            self.type_parameters()
            self.primary()
        elif word == "<":
            self.type_parameters()  # a generic arrow function, or a cast before its operand
            self.operand()
        elif word == "[":
            self.at += 1
            self._items("]")
        elif word == "{":
            self._object()
        elif word == "function" or (word == "async" and self.look(1) == "function"):
            self.function_(self.at)
        elif word == "class":
            self.class_()
        elif self.kind() == NAME:
            self._name()
        elif word == "#":
            self.at += 2
        else:
            raise Untranslatable(f"{word or 'the end'!r} was not expected", self.line())

    def _name(self) -> None:
        is_async = self.look() == "async"
        self.at += 1
        if is_async and self.kind() == NAME and self.look(1) == "=>":
            self.at += 1
        if self.look() == "=>":
            self._arrow()

    def _items(self, end: str) -> None:
        while self.look() != end:
            if not self.skip(","):
                self.expression(commas=False)
        self.at += 1

    def _parenthesis(self) -> None:
        opened = self.at + (self.look() == "async")
        if self._is_arrow(opened):
            self.at = opened
            self.parameters()
            self.annotation()
            self._arrow()
            return
        self.at = opened + 1
        if opened and self.look(-2) == "async":  # a call of something named so
            self.at = opened
            return
        outer, self.questions = self.questions, 0
        self.expression()
        self.questions = outer
        self.expect(")")

    def _is_arrow(self, opened: int) -> bool:
        after = self.found[opened].partner + 1
        sign = self.found[after].text if after < len(self.found) else ""
        if sign == "=>":
            return True
        if sign != ":":
            return False
        if self.questions and not any(
            token.text == ":" for token in self.found[opened + 1 : self.found[opened].partner]
        ):
            return False  # what comes between ? and :
        return self.is_type_before(after + 1, "=>")

    def _arrow(self) -> None:
        self.expect("=>")
        if self.look() == "{":
            self.body()
        else:
            self.expression(commas=False)

    def _object(self) -> None:
        self.expect("{")
        outer, self.questions = self.questions, 0
        while self.look() != "}":
            if self.skip(","):
                continue
            if self.skip("..."):
                self.expression(commas=False)
                continue
            while self.look() in ("async", "get", "set") and self.look(1) not in (
                "(",
                ":",
                ",",
                "}",
                "=",
                "<",
            ):
                self.at += 1
            self.skip("*")
            self.key()
            if self.look() in ("(", "<"):
                self.signature()
                self.body()
            elif self.look() in (":", "="):
                self.at += 1
                self.expression(commas=False)
                if self.skip("="):  # a default in a pattern
                    self.expression(commas=False)
        self.questions = outer
        self.at += 1

    def _postfix(self) -> None:
        while True:
            word = self.look()
            if word in (".", "?."):
                self.at += 1
                if self.look() not in ("[", "(", "<"):
                    self.at += 2 if self.look() == "#" else 1
            elif word == "[":
                self.at += 1
                self.expression()
                self.expect("]")
            elif word == "(":
                self.at += 1
                self._items(")")
            elif word == "${":
                self.template(self.expression)
            elif (word == "``" and self.kind() == TEXT) or (word in ("++", "--") and not self.is_first()):
                self.at += 1
            elif word == "!" and not self.is_first():
                self.blank(self.at)
                self.at += 1
            elif word in ("as", "satisfies") and not self.is_first() and self.kind() == NAME:
                begin = self.at
                self.at += 1
                self.type_()
                self.blank(begin, self.at - 1)
            elif word == "<" and self.are_type_arguments():
                self.type_parameters()
            else:
                return
