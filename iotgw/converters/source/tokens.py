"""JavaScript as tokens: as much of ECMA-262's lexical grammar (§12) as it takes to tell code from text and comments."""

from __future__ import annotations

import re

from msgspec import Struct

NAME, NUMBER, TEXT, REGEX, SIGN = range(5)
KEYWORDS = frozenset(
    [
        "await",
        "break",
        "case",
        "catch",
        "class",
        "const",
        "continue",
        "debugger",
        "default",
        "delete",
        "do",
        "else",
        "enum",
        "export",
        "extends",
        "false",
        "finally",
        "for",
        "function",
        "if",
        "import",
        "in",
        "instanceof",
        "new",
        "null",
        "return",
        "super",
        "switch",
        "this",
        "throw",
        "true",
        "try",
        "typeof",
        "var",
        "void",
        "while",
        "with",
        "yield",
    ]
)
ASSIGNMENTS = frozenset(
    ["=", "+=", "-=", "*=", "/=", "%=", "**=", "<<=", ">>=", ">>>=", "&=", "|=", "^=", "&&=", "||=", "??="]
)
STEPS = ("++", "--")
_BEFORE_A_REGEX = frozenset(
    [
        "return",
        "typeof",
        "case",
        "in",
        "of",
        "delete",
        "void",
        "throw",
        "new",
        "instanceof",
        "else",
        "do",
        "yield",
        "await",
    ]
)
_HEADS = ("if", "while", "for", "with")
_CLOSES = {")": "(", "]": "[", "}": "{"}

_SPACE = re.compile(r"(?:\s|\ufeff|//[^\n\r\u2028\u2029]*|/\*[\s\S]*?\*/)+")
_TOKEN = re.compile(
    r"([^\W\d][\w$\u200c\u200d]*|\$[\w$\u200c\u200d]*)"
    r"|(0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?n?)"
    r"|(\"(?:\\[\s\S]|[^\"\\\n\r])*\"|'(?:\\[\s\S]|[^'\\\n\r])*')"
    r"|(>>>=|\.\.\.|===|!==|\*\*=|<<=|>>=|>>>|&&=|\|\|=|\?\?=|=>|==|!=|<=|>=|&&|\|\||\?\?|\?\.(?!\d)|\+\+|--|\+=|-=|\*=|/=|%="
    r"|&=|\|=|\^=|<<|>>|\*\*|[{}()\[\];,<>+\-*/%&|^!~?:=.#@])"
)
_REGEX = re.compile(
    r"/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n*])(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])*/[A-Za-z]*"
)
_PIECE = re.compile(r"(?:\\[\s\S]|\$(?!\{)|[^`\\$])*")


class NotUnderstood(Exception):
    """The text has something that this lexer can't be sure about."""


class Lexeme(Struct, gc=False):
    """``kind`` is one of the five above; ``is_first`` says that a line break goes before it."""

    kind: int
    text: str
    is_first: bool = False
    partner: int = -1
    """Of a bracket: the index of the other one."""
    begin: int = 0
    """Where it is in the script."""


def tokens(script: str, guesses: bool = False) -> list[Lexeme]:
    """The tokens of a script. A template is a text, with its substitutions between ``${`` and ``}`` after it.

    ``guesses`` says that a slash behind a brace may be taken for what it most likely is. Raises NotUnderstood.
    """
    return _Lexer(script, guesses).run()


class _Lexer:
    def __init__(self, script: str, guesses: bool) -> None:
        self._script = script
        self._guesses = guesses
        self._at = 0
        self._found: list[Lexeme] = []
        self._open: list[int] = []

    def run(self) -> list[Lexeme]:
        script, found = self._script, self._found
        if not self._guesses and ("<!--" in script or "-->" in script):
            raise NotUnderstood("an HTML comment")
        while self._at < len(script):
            is_first = False
            space = _SPACE.match(script, self._at)
            if space is not None:
                self._at = space.end()
                is_first = (
                    "\n" in space[0] or "\r" in space[0] or "\u2028" in space[0] or "\u2029" in space[0]
                )
                if self._at == len(script):
                    break
            before = len(found)
            self._one()
            if is_first and len(found) > before:
                found[before].is_first = True
        if self._open:
            raise NotUnderstood("a bracket is not closed")
        return found

    def _one(self) -> None:
        script, at = self._script, self._at
        if script[at] == "`":
            self._at += 1
            self._template()
            return
        if script[at] == "/" and self._takes_regex():
            match = _REGEX.match(script, at)
            if match is None:
                raise NotUnderstood("a slash")
            self._add(REGEX, match[0], at)
            self._at = match.end()
            return
        if script.startswith("/*", at):
            raise NotUnderstood("a comment is not closed")
        match = _TOKEN.match(script, at)
        if match is None:
            raise NotUnderstood(f"the character {script[at]!r}")
        kind = match.lastindex or 0
        text = match[0]
        self._at = match.end()
        if kind < 4:
            self._add(kind - 1, text, at)
        elif text in ("(", "[", "{"):
            self._open.append(len(self._found))
            self._add(SIGN, text, at)
        elif text in _CLOSES:
            self._close(text, at)
        else:
            self._add(SIGN, text, at)

    def _add(self, kind: int, text: str, at: int) -> None:
        self._found.append(Lexeme(kind, text, begin=at))

    def _close(self, text: str, at: int) -> None:
        if not self._open:
            raise NotUnderstood("a bracket is not opened")
        opened = self._open.pop()
        begin = self._found[opened]
        is_substitution = begin.text == "${"
        if begin.text != _CLOSES[text] and not (is_substitution and text == "}"):
            raise NotUnderstood("brackets cross")
        begin.partner = len(self._found)
        self._found.append(Lexeme(SIGN, text, partner=opened, begin=at))
        if is_substitution:
            self._template()

    def _template(self) -> None:
        piece = _PIECE.match(self._script, self._at)
        end = piece.end() if piece else self._at
        mark = self._script[end : end + 2]
        if mark[:1] == "`":
            self._add(TEXT, "``", end)
            self._at = end + 1
        elif mark == "${":
            self._open.append(len(self._found))
            self._add(SIGN, "${", end)
            self._at = end + 2
        else:
            raise NotUnderstood("a template is not closed")

    def _takes_regex(self) -> bool:
        """Whether a slash begins a regular expression here, or divides."""
        if not self._found:
            return True
        last = self._found[-1]
        if last.kind == NAME:
            before = self._found[-2].text if len(self._found) > 1 else ""
            return last.text in _BEFORE_A_REGEX and before not in (".", "?.")
        if last.kind != SIGN:
            return False
        if last.text == "!" and self._guesses and len(self._found) > 1:
            operand = self._found[-2]  # TypeScript's x! / 2
            return operand.text not in (")", "]") and (
                operand.kind != NAME or operand.text in _BEFORE_A_REGEX
            )
        if last.text == ")":
            head = self._found[last.partner - 1] if last.partner else last
            return head.kind == NAME and head.text in _HEADS
        if last.text == "}":
            if not self._guesses:
                raise NotUnderstood("a slash after a brace")
            before = self._found[last.partner - 1].text if last.partner else ";"
            return before in (")", "=>", ";", "{", "}", "else", "try", "finally", "do")
        return last.text not in ("]", *STEPS)
