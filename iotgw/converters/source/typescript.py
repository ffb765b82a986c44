"""TypeScript as JavaScript: the types are replaced by spaces, so that every line and column stays where it is.

It reads what is around types (ECMA-262, and the TypeScript handbook for the rest) and leaves everything else as it is: a
script that has no types comes back as it was. What has a meaning of its own in TypeScript alone is made JavaScript
(``enum``, ``constructor(private x)``), or said to be missing (namespaces, decorators).
"""

from __future__ import annotations

import re

from iotgw.converters.source.blanks import Untranslatable
from iotgw.converters.source.enums import enum
from iotgw.converters.source.expressions import ExpressionReader
from iotgw.converters.source.tokens import NAME, TEXT

_SIGNS = re.compile(
    r"^\s*(?:export\s+)?(?:interface\s+\w|type\s+\w+(?:<[^>]{1,200}>)?\s*=|declare\s+\w|(?:const\s+)?enum\s+\w|import\s+type\b)"
    r"|\b(?:const|let|var)\s+[\w$]+\s*!?:|\(\s*(?:\.\.\.)?[\w$]+\??\s*:|\)\s*:\s*[\w.|\[\]<>{}, :;]{1,200}\s*(?:\{|=>)"
    r"|[\w$][?!]?\s*:\s*(?:string|number|boolean|any|unknown|void|Date|Buffer|Uint8Array)\b|\b(?:as|satisfies)\s+[\w{\[(]"
    r"|\w!\s*[.\[),;]|[\w$]<[\w\s,.\[\]|<>{}:;]{1,200}>\s*\(|\bimplements\s",
    re.MULTILINE,
)
_MODIFIERS = ("public", "private", "protected", "readonly", "override", "abstract", "declare")


def has_signs(script: str) -> bool:
    """Whether a script that is not JavaScript may be TypeScript."""
    return _SIGNS.search(script) is not None


def without_types(script: str) -> str:
    """The same script without its types. Raises NotUnderstood, Untranslatable."""
    reader = _Reader(script)
    try:
        reader.program()
    except RecursionError as error:
        raise Untranslatable("it is nested too deeply") from error
    return reader.text()


class _Reader(ExpressionReader):
    """Reads statements, functions and classes."""

    _properties: list[str] | None = None
    """Of the constructor that is read: its parameters that are properties, too."""

    def program(self) -> None:
        """Everything."""
        while self.at < len(self.found):
            self._statement()

    # --- statements ---

    def _statement(self) -> None:
        word, after = self.look(), self.look(1)
        begin = self.at
        is_name = self.kind() == NAME
        if word == "{":
            self._block()
        elif not is_name:
            self._simple()
        elif word == "export":
            self._export()
        elif word == "import" and after not in ("(", "."):
            self._import()
        elif self.is_type_declaration():
            self.type_declaration(begin)
        elif word == "enum" or (word == "const" and after == "enum"):
            enum(self)
        elif word in ("namespace", "module") and self.kind(1) in (NAME, TEXT) and self.look(2) in ("{", "."):
            raise Untranslatable("namespaces are not supported", self.line())
        elif word in ("var", "let", "const"):
            self.at += 1
            self._declarations()
            self.skip(";")
        elif word == "abstract" and after == "class":
            self.blank(self.at)
            self.at += 1
            self.class_()
        elif word == "class":
            self.class_()
        elif word == "function" or (word == "async" and after == "function"):
            self.function_(begin)
        else:
            self._controlled(word, after)

    def _controlled(self, word: str, after: str) -> None:
        if word in ("if", "while", "switch", "with") and after == "(":
            self.at += 2
            self.expression()
            self.expect(")")
            self._statement()
        elif word == "for" and after in ("(", "await"):
            self.at += 2 if after == "(" else 3
            self._for_head()
            self._statement()
        elif word in ("else", "do", "try", "finally"):
            self.at += 1
            self._statement()
        elif word == "catch":
            self.at += 1
            if self.look() == "(":
                self.parameters()
            self._statement()
        elif word == "case":
            self.at += 1
            self.questions += 1
            self.expression()
            self.questions -= 1
            self.expect(":")
        elif word in ("return", "throw", "break", "continue"):
            self.at += 1
            if not self.is_first() and self.look() not in (";", "}"):
                self.expression()
            self.skip(";")
        elif after == ":" and word != "":
            self.at += 2  # a label, or `default:`
        else:
            self._simple()

    def _simple(self) -> None:
        before = self.at
        if self.look() != ";":
            self.expression()
        self.skip(";")
        if self.at == before:
            raise Untranslatable(f"{self.look()!r} was not expected", self.line())

    def _block(self) -> None:
        self.expect("{")
        while self.look() != "}":
            if self.at >= len(self.found):
                raise Untranslatable("a block is not closed")
            self._statement()
        self.at += 1

    def _for_head(self) -> None:
        if self.look() in ("var", "let", "const"):
            self.at += 1
            self._declarations(in_for=True)
        while self.look() != ")":
            if self.look() == ";" or self.look() == "of":
                self.at += 1
            else:
                self.expression()
        self.at += 1

    def _declarations(self, in_for: bool = False) -> None:
        while True:
            self._target()
            if self.look() == "!":
                self.blank(self.at)
                self.at += 1
            self.annotation()
            if self.look() == "=":
                self.at += 1
                self.expression(commas=False)
            elif in_for and self.look() in ("of", "in"):
                self.at += 1
                self.expression()
                return
            if self.look() != ",":
                return
            self.at += 1

    def _target(self) -> None:
        if self.look() in ("{", "["):
            self.primary()
        else:
            self.at += 1

    def _export(self) -> None:
        begin = self.at
        self.at += 1
        word = self.look()
        if self.is_type_declaration() or (word == "type" and self.look(1) in ("{", "*")):
            self.type_declaration(begin)
        elif word == "default":
            self.at += 1
            if self.is_type_declaration():
                self.type_declaration(begin)
            else:
                self._statement()
        elif word in ("{", "*"):
            self.until_end()
        else:
            self.skip("=")  # what is exported is all
            self._statement()

    def _import(self) -> None:
        begin = self.at
        if self.look(1) == "type" and self.look(2) not in ("from", ",", "="):
            self.until_end()
            self.blank(begin, self.at - 1)
            return
        while self.at < len(self.found) and self.kind() != TEXT and self.look() != ";":
            if (
                self.look() == "type"
                and self.kind(1) == NAME
                and self.look(-1) in ("{", ",")
                and self.look(1) != "as"
            ):
                last = self.at + (3 if self.look(2) == "as" else 1)
                self.blank(self.at, last + (self.look(last + 1 - self.at) == ","))
            self.at += 1
        self.until_end()

    # --- functions and classes ---

    def function_(self, begin: int) -> None:
        """See `ExpressionReader.function_`; an overload, which has no body, is left out."""
        self.at += 2 if self.look() == "async" else 1
        self.skip("*")
        if self.kind() == NAME and self.look() != "(":
            self.at += 1
        self.signature()
        if self.look() != "{":  # an overload: only its types count
            self.skip(";")
            self.blank(begin - (self.look(begin - 1 - self.at) == "export"), self.at - 1)
            return
        self.body()

    def signature(self) -> None:
        """See `ExpressionReader.signature`."""
        self.type_parameters()
        self.parameters()
        self.annotation()

    def body(self) -> None:
        """See `ExpressionReader.body`."""
        outer, self.questions = self.questions, 0
        self._block()
        self.questions = outer

    def parameters(self) -> None:
        """See `ExpressionReader.parameters`."""
        self.expect("(")
        outer, self.questions = self.questions, 0
        while self.look() != ")":
            if self.look() == "@":
                raise Untranslatable("decorators are not supported", self.line())
            is_property = False
            while self.look() in _MODIFIERS and self.kind(1) == NAME:
                self.blank(self.at)
                self.at += 1
                is_property = True
            if is_property:
                self._property(self.look())
            begin = self.at
            self.skip("...")
            self._target()
            if self.look() == "?":
                self.blank(self.at)
                self.at += 1
            self.annotation()
            if self.look() == "=":
                self.at += 1
                self.expression(commas=False)
            is_over = not self.skip(",")
            if self.look(begin - self.at) == "this":
                self.blank(begin, self.at - 1)
            if is_over and self.look() != ")":
                raise Untranslatable(f"{self.look()!r} was not expected among parameters", self.line())
        self.questions = outer
        self.at += 1

    def _property(self, name: str) -> None:
        if self._properties is None:
            raise Untranslatable(f"{name!r} can be a property only of a constructor", self.line())
        self._properties.append(name)

    def class_(self) -> None:
        """See `ExpressionReader.class_`."""
        self.at += 1
        if self.kind() == NAME and self.look() not in ("extends", "implements"):
            self.at += 1
        self.type_parameters()
        is_derived = self.look() == "extends"
        if is_derived:
            self.at += 1
            self.operand()
            self.type_parameters()
        if self.look() == "implements":
            begin = self.at
            while self.look() != "{":
                self.at += 1
                self.type_()
            self.blank(begin, self.at - 1)
        self.expect("{")
        while self.look() != "}":
            if not self.skip(";"):
                self._member(is_derived)
        self.at += 1

    def _method(self, is_derived: bool) -> bool:
        """One with its body, or an overload, which is False. What a constructor's parameters make properties is set first, but
        behind the call of ``super``."""
        is_constructor = self.look(-1) == "constructor" and self.kind(-1) == NAME
        outer, self._properties = self._properties, [] if is_constructor else None
        self.signature()
        names, self._properties = self._properties or [], outer
        if self.look() != "{":
            return False
        begin = self.at
        self.body()
        sets = [f"this.{name}={name}" for name in names]
        if sets and not is_derived:
            self.blank(begin, put=f"{{{';'.join(sets)};")
        elif sets:
            index = next((i for i in range(begin, self.at - 1) if self._is_super(i)), None)
            if index is None:
                raise Untranslatable("a constructor of a derived class has to call super", self.line())
            self.blank(self.found[index + 1].partner, put=f"),{','.join(sets)}")
        return True

    def _is_super(self, index: int) -> bool:
        token = self.found[index]
        return token.kind == NAME and token.text == "super" and self.found[index + 1].text == "("

    def _member(self, is_derived: bool) -> None:
        begin = self.at
        if self.look() == "@":
            raise Untranslatable("decorators are not supported", self.line())
        is_only_type = False
        while self.kind() == NAME and self.look(1) not in ("(", "=", ":", ";", "?", "!", "}", "<"):
            word = self.look()
            if word in _MODIFIERS:
                self.blank(self.at)
                is_only_type |= word in ("abstract", "declare")
            elif word not in ("static", "async", "get", "set", "accessor"):
                break
            elif word == "static" and self.look(1) == "{":
                self.at += 1
                self.body()
                return
            self.at += 1
        self.skip("*")
        if self.look() == "[" and self.kind(1) == NAME and self.look(2) == ":":
            is_only_type = True  # an index signature
            self.at = self.found[self.at].partner + 1
        else:
            self.key()
        if self.look() in ("?", "!"):
            self.blank(self.at)
            self.at += 1
        if self.look() in ("(", "<"):
            is_only_type |= not self._method(is_derived)
        else:
            self.annotation()
            if self.skip("="):
                self.expression(commas=False)
        self.skip(";")
        if is_only_type:
            self.blank(begin, self.at - 1)

    def key(self) -> None:
        """See `ExpressionReader.key`."""
        if self.look() == "[":
            self.primary()
        else:
            self.at += 2 if self.look() == "#" else 1
