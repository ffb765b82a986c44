"""TBEL's words: names, numbers, texts and operators, each with its offset. One pass, in linear time."""

from __future__ import annotations

import math
import re
from typing import Literal

from msgspec import Struct

from iotgw.converters.tbel.errors import TbelError

Kind = Literal["name", "int", "long", "float", "double", "text", "op", "end"]


class Word(Struct, frozen=True):
    """One word. ``text`` is as it stands in the script; ``value`` is a number's digits in JavaScript, or a text's content."""

    kind: Kind
    text: str
    at: int
    after_newline: bool = False
    value: str = ""


OPERATORS = (
    ">>>=", "===", "!==", "**=", "<<=", ">>=", ">>>", "==", "!=", "<=", ">=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=",
    "%=", "&=", "|=", "^=", "<<", ">>", "**", ".?", "~=", "=>", "+", "-", "*", "/", "%", "=", "<", ">", "!", "~", "&", "|", "^",
    "?", ":", ";", ",", ".", "(", ")", "[", "]", "{", "}", "#", "@",
)  # fmt: skip

_TOKEN = re.compile(
    r"(?P<space>[\s\u00a0\ufeff]+)|(?P<remark>//[^\n]*|/\*)"
    r"|(?P<number>0[xX][0-9a-fA-F]+[lL]?|(?:[0-9]+\.?(?:[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[a-zA-Z]*)"
    r"|(?P<name>[^\W\d][\w$]*|\$[\w$]*)"
    r"|(?P<text>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    "|(?P<op>" + "|".join(map(re.escape, OPERATORS)) + ")",
    re.DOTALL,
)
_HEXADECIMAL = re.compile("0x([0-9a-f]+)l?")
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|[0-3]?[0-7]{1,2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
MAX_INT, MAX_LONG = 2**31 - 1, 2**63 - 1


def tokens(script: str) -> list[Word]:
    """The words of a script, with one of the kind ``end`` as the last. Raises TbelError."""
    found: list[Word] = []
    at, end, newline = 0, len(script), False
    while at < end:
        match = _TOKEN.match(script, at)
        if match is None:
            raise TbelError(_unknown(script, at), at)
        kind, text = match.lastgroup, match[0]
        start, at = at, match.end()
        if kind == "space" or (kind == "remark" and text != "/*"):
            newline = newline or "\n" in text
            continue
        if kind == "remark":
            closed = script.find("*/", at)
            if closed < 0:
                raise TbelError("a comment that begins here never ends", start)
            newline = newline or "\n" in script[start:closed]
            at = closed + 2
            continue
        if kind == "number":
            # `5.toString` is no number: the point belongs to it only before digits, or where no name follows
            found.append(_number(text, start, newline))
        elif kind == "text":
            found.append(Word("text", text, start, newline, _unescaped(text[1:-1])))
        else:
            found.append(Word("name" if kind == "name" else "op", text, start, newline))
        newline = False
    found.append(Word("end", "", end, True))
    return found


def _number(text: str, at: int, newline: bool) -> Word:
    lower = text.lower()
    if lower.startswith("0x"):
        if (hexadecimal := _HEXADECIMAL.fullmatch(lower)) is None:
            raise TbelError(f"{text[:30]!r} is not a number that TBEL knows", at)
        return _whole(int(hexadecimal[1], 16), lower.endswith("l"), text, at, newline)
    digits = lower.rstrip("ldfabcghijkmnopqrstuvwxyze")
    suffix = lower[len(digits) :]
    if suffix in ("d", "f") or (not suffix and not digits.isdigit()):
        kind: Kind = "float" if suffix == "f" else "double"
        value = float(digits)
        return Word(kind, text, at, newline, repr(value) if math.isfinite(value) else "Infinity")
    if suffix in ("", "l") and digits.isdigit():
        is_octal = len(digits) > 1 and digits[0] == "0" and not set(digits) & {"8", "9"}
        if len(digits) > 20:
            raise TbelError(f"the number {digits[:30]}… is larger than a long", at)
        return _whole(int(digits, 8 if is_octal else 10), suffix == "l", text, at, newline)
    raise TbelError(f"{text!r} is not a number that TBEL knows", at)


def _whole(value: int, is_long: bool, text: str, at: int, newline: bool) -> Word:
    if value > MAX_LONG:
        raise TbelError(f"the number {text[:30]} is larger than a long", at)
    return Word("long" if is_long or value > MAX_INT else "int", text, at, newline, str(value))


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        code = match[1]
        if code[0] == "u" and len(code) == 5:
            return chr(int(code[1:], 16))
        if code[0] in "01234567":
            return chr(int(code, 8))
        return _ESCAPED.get(code, code)

    return _ESCAPE.sub(one, text)


def _unknown(script: str, at: int) -> str:
    if script[at] in "\"'":
        return "a text that begins here never ends"
    if script[at] == "`":
        return "TBEL has no texts in backquotes"
    return f"{script[at]!r} has no meaning in TBEL"
