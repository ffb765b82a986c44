"""TypeScript's types, as far as it takes to find where one ends."""

from __future__ import annotations

from iotgw.converters.source.blanks import Blanks, Untranslatable
from iotgw.converters.source.tokens import NAME, NUMBER, TEXT

_BEFORE_A_TYPE = frozenset(("keyof", "readonly", "unique", "infer", "asserts", "abstract", "new", "typeof"))
_DECLARED = frozenset(
    ["function", "const", "let", "var", "class", "namespace", "module", "global", "enum", "type", "interface", "abstract",
     "async"]
)  # fmt: skip


class TypeReader(Blanks):
    """Reads types, and leaves them out."""

    def annotation(self) -> None:
        """``: type``, if there is one."""
        if self.look() != ":":
            return
        begin = self.at
        self.at += 1
        self.type_()
        self.blank(begin, self.at - 1)

    def type_parameters(self) -> None:
        """``<…>``, of a declaration or of a call, if there are any."""
        if self.look() != "<":
            return
        begin = self.at
        self._list_of_types()
        self.blank(begin, self.at - 1)

    def are_type_arguments(self, ahead: int = 0) -> bool:
        """Whether the ``<`` here begins a list of types, which a call follows."""
        return self._tried(self._list_of_types, self.at + ahead, ("(", "``", "${"))

    def is_type_before(self, begin: int, sign: str) -> bool:
        """Whether a type begins there, and ``sign`` follows it."""
        return self._tried(self.type_, begin, (sign,))

    def _tried(self, read: object, begin: int, signs: tuple[str, ...]) -> bool:
        before, self.at = self.at, begin
        try:
            read()  # type: ignore[operator]
            return self.look() in signs
        except Untranslatable:
            return False
        finally:
            self.at = before

    def is_type_declaration(self) -> bool:
        """Whether a statement begins here that declares nothing but types."""
        word = self.look()
        if self.kind(1) != NAME or self.found[self.at + 1].is_first:
            return False
        if word == "interface":
            return True
        if word == "type":
            return self.look(2) in ("=", "<")
        return word == "declare" and self.look(1) in _DECLARED

    def type_declaration(self, begin: int) -> None:
        """Leave such a statement out; it begins at the token ``begin``, which may be an ``export``."""
        word = self.look()
        if word == "type" and self.look(1) not in ("{", "*"):
            self.at += 2
            if self.look() == "<":
                self._list_of_types()
            self.expect("=")
            self.type_()
            self.skip(";")
        elif word == "declare" and self.look(1) in ("const", "let", "var"):
            self.at += 3
            while self.look() in (":", ","):
                self.at += 1
                self.type_()
            self.skip(";")
        elif word in ("interface", "declare") and self._has_block():
            while self.look() != "{":
                self.at += 1
            self.at = self.found[self.at].partner + 1
            self.skip(";")
        else:
            self.until_end()
        self.blank(begin, self.at - 1)

    def _has_block(self) -> bool:
        """Whether a block comes before the statement is over."""
        if self.look() == "interface":
            return True
        if self.look(1) == "function":
            return False
        index = self.at
        while index < len(self.found) and self.found[index].text not in ("{", ";"):
            index += 1
        return index < len(self.found) and self.found[index].text == "{"

    def type_(self) -> None:
        """Go beyond a type. Raises Untranslatable."""
        if self.look() in ("|", "&"):
            self.at += 1
        while True:
            self._single()
            if self.look() in ("|", "&"):
                self.at += 1
                continue
            if self.look() == "extends" and not self.is_first():
                self.at += 1
                self.type_()
                if self.skip("?"):
                    self.type_()
                    self.expect(":")
                    self.type_()
            elif self.look() == "is" and self.look(-1) != "=>" and not self.is_first():
                self.at += 1
                self.type_()
            return

    def _single(self) -> None:
        while self.look() in _BEFORE_A_TYPE and (
            self.kind(1) == NAME or self.look(1) in ("(", "[", "{", "<")
        ):
            self.at += 1
        word = self.look()
        if self.kind() in (TEXT, NUMBER):
            self.at += 1
        elif word == "-" and self.kind(1) == NUMBER:
            self.at += 2
        elif word == "${":
            self.template(self.type_)
        elif word == "(":
            self.at = self.found[self.at].partner + 1
            if self.skip("=>"):
                self.type_()
                return
        elif word in ("{", "["):
            self.at = self.found[self.at].partner + 1
        elif word == "<":
            self._list_of_types()
            self._single()
            return
        elif self.kind() == NAME:
            self.at += 1
            if word == "import" and self.look() == "(":
                self.at = self.found[self.at].partner + 1
            while self.look() == ".":
                self.at += 2
            if self.look() == "<" and not self.is_first():
                self._list_of_types()
        else:
            raise Untranslatable(f"expected a type, got {word or 'the end'!r}", self.line())
        while self.look() == "[" and not self.is_first():
            self.at = self.found[self.at].partner + 1

    def _list_of_types(self) -> None:
        self.expect("<")
        while self.look() != ">":
            if self.look() in ("const", "in", "out") and self.kind(1) == NAME:
                self.at += 1
            self.type_()
            if self.skip("="):
                self.type_()
            if not self.skip(",") and self.look() != ">":
                raise Untranslatable(
                    f"expected '>' after types, got {self.look() or 'the end'!r}", self.line()
                )
        self.at += 1
