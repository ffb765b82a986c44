"""A script that loses some of its parts, each replaced by spaces: the rest keeps its lines and columns."""

from __future__ import annotations

import re
from collections.abc import Callable

from iotgw.converters.source.tokens import SIGN, TEXT, Lexeme, tokens

_SPLIT = {">>": 2, ">>>": 3, ">>=": 3, ">>>=": 4, ">=": 2}
"""Signs that may be the ends of lists of types."""
_BEYOND = 16
_INK = re.compile(r"[^\s]")


class Untranslatable(Exception):
    """The script has something that can't be made JavaScript; the message says what."""

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


class Blanks:
    """Tokens to read, and what is to be left out of them. ``at`` is the index of the next token."""

    def __init__(self, script: str) -> None:
        self._script = script
        self.found = _split(tokens(script, guesses=True))
        self.at = 0
        self._ranges: list[tuple[int, int, str]] = []

    def text(self) -> str:
        """What is left."""
        parts, end = [], 0
        for first, last, put in sorted(self._ranges):
            if last <= end:
                continue
            begin = max(first, end)
            parts += [
                self._script[end:begin],
                put,
                _INK.sub(" ", self._script[begin:last]) if not put else "",
            ]
            if put:
                parts.append("\n" * self._script.count("\n", begin, last))
            end = last
        return "".join(parts) + self._script[end:]

    def look(self, ahead: int = 0) -> str:
        """The text of a token; empty beyond the end. Raises Untranslatable where that has been passed long since."""
        if self.at > len(self.found) + _BEYOND:
            raise Untranslatable("it ends too early")
        index = self.at + ahead
        return self.found[index].text if 0 <= index < len(self.found) else ""

    def kind(self, ahead: int = 0) -> int:
        """The kind of a token."""
        index = self.at + ahead
        return self.found[index].kind if 0 <= index < len(self.found) else SIGN

    def is_first(self) -> bool:
        """Whether the next token is the first of its line, or there is none."""
        return self.at >= len(self.found) or self.found[self.at].is_first

    def is_adjacent(self) -> bool:
        """Whether nothing is between the next token and the one before."""
        before = self.found[self.at - 1]
        return before.begin + len(before.text) == self.found[self.at].begin

    def skip(self, text: str) -> bool:
        """Go beyond this sign, if it is there."""
        is_there = self.look() == text and self.kind() != TEXT
        self.at += is_there
        return is_there

    def expect(self, text: str) -> None:
        """Go beyond this sign. Raises Untranslatable."""
        if not self.skip(text):
            raise Untranslatable(f"expected {text!r}, got {self.look() or 'the end'!r}", self.line())

    def line(self) -> int:
        """Of the next token."""
        begin = self.found[self.at].begin if self.at < len(self.found) else len(self._script)
        return self._script.count("\n", 0, begin) + 1

    def source(self, first: int, last: int) -> str:
        """The script's text from one token to another, both included."""
        return self._script[self.found[first].begin : self._end(last)]

    def blank(self, first: int, last: int | None = None, put: str = "") -> None:
        """Leave out the tokens from one to another, both included; ``put`` goes in their place."""
        self._ranges.append((self.found[first].begin, self._end(first if last is None else last), put))

    def _end(self, index: int) -> int:
        return self.found[index].begin + (
            1 if self.found[index].text == "``" else len(self.found[index].text)
        )

    def until_end(self) -> None:
        """Go to the end of a statement that has no expressions: an ``import``, or an ``export`` of names."""
        while self.at < len(self.found) and not self.skip(";"):
            if self.look() in ("{", "(", "["):
                self.at = self.found[self.at].partner + 1
            else:
                self.at += 1
            if (
                self.is_first()
                and self.look() not in ("from", "{", ",")
                and self.look(-1) not in ("from", ",", "import", "export")
            ):
                return

    def template(self, inner: Callable[[], None]) -> None:
        """Go beyond a template with substitutions."""
        while self.skip("${"):
            inner()
            self.expect("}")
        self.at += 1


def _split(found: list[Lexeme]) -> list[Lexeme]:
    """Each ``>`` by itself, with the brackets' partners put right."""
    made: list[Lexeme] = []
    opened: list[int] = []
    for token in found:
        if token.kind == SIGN and token.text in _SPLIT:
            made += [
                Lexeme(SIGN, sign, token.is_first and not index, begin=token.begin + index)
                for index, sign in enumerate(token.text)
            ]
            continue
        index = len(made)
        made.append(Lexeme(token.kind, token.text, token.is_first, begin=token.begin))
        if token.kind == SIGN and token.text in ("(", "[", "{", "${"):
            opened.append(index)
        elif token.kind == SIGN and token.text in (")", "]", "}"):
            made[index].partner = opened.pop()
            made[made[index].partner].partner = index
    return made
