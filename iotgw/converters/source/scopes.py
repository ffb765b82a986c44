"""Which names a script declares, and where: functions with their parameters and variables, and the script around them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

from iotgw.converters.source.tokens import ASSIGNMENTS, KEYWORDS, NAME, SIGN, STEPS, Lexeme

DECLARES = ("var", "let", "const")
_NOT_A_METHOD = frozenset(
    ["if", "for", "while", "switch", "with", "catch", "return", "await", "of", "in", "typeof", "new"]
)


class Region:
    """A function, from its parameters to the end of its body; or the whole script."""

    __slots__ = ("begin", "declared", "end", "parent")

    def __init__(self, begin: int, end: int, parent: Region | None) -> None:
        self.begin = begin
        self.end = end
        self.parent = parent
        self.declared: set[str] = set()

    def knows(self, name: str) -> bool:
        """Whether the name is declared here or around here."""
        region: Region | None = self
        while region is not None:
            if name in region.declared:
                return True
            region = region.parent
        return False


class Scopes:
    """The regions of a script's tokens."""

    def __init__(self, found: list[Lexeme]) -> None:
        self.tokens = found
        self.script = Region(0, len(found), None)
        self.script.declared.update(("module", "exports"))
        self._bodies = dict(_functions(found))
        self.regions = self._walk()
        """The innermost region of each token."""

    def _walk(self) -> list[Region]:
        found, regions = self.tokens, []
        current = self.script
        for index, token in enumerate(found):
            while index >= current.end and current.parent is not None:
                current = current.parent
            span = self._bodies.get(index)
            if span is not None:
                current = Region(index, span[1], current)
                self._parameters(current, index, span[0])
            regions.append(current)
            if token.kind == NAME:
                self._declare(current, index, token.text)
        return regions

    def _parameters(self, region: Region, begin: int, end: int) -> None:
        for index in range(begin, end):
            token = self.tokens[index]
            if token.kind == NAME and token.text not in KEYWORDS and not is_member(self.tokens, index):
                region.declared.add(token.text)
        region.declared.add("arguments")
        before = begin - 1
        if self.tokens[before].kind == NAME and before and self.tokens[before - 1].text in ("function", "*"):
            region.declared.add(self.tokens[before].text)  # its own name, if it is an expression

    def _declare(self, region: Region, index: int, text: str) -> None:
        found = self.tokens
        if is_member(found, index):
            return
        after = index + 1
        if text in ("function", "class"):
            if after < len(found) and found[after].text == "*":
                after += 1
            if after < len(found) and found[after].kind == NAME:
                region.declared.add(found[after].text)
        elif text == "catch" and after < len(found) and found[after].text == "(":
            region.declared.update(_names(found, after, found[after].partner))
        elif text in DECLARES:
            region.declared.update(declared_by(found, index))


def is_member(found: list[Lexeme], index: int) -> bool:
    """Whether a name is that of a property: ``a.name`` or ``{name: …}``."""
    if index and found[index - 1].text in (".", "?."):
        return True
    after = found[index + 1].text if index + 1 < len(found) else ""
    return after == ":" and index > 0 and found[index - 1].text in ("{", ",")


def declared_by(found: list[Lexeme], index: int) -> Iterator[str]:
    """The names that a ``var``, ``let`` or ``const`` at ``index`` declares."""
    index += 1
    wants_name = True
    while index < len(found):
        token = found[index]
        if wants_name:
            if token.kind == NAME:
                yield token.text
            elif token.text in ("[", "{"):
                yield from _names(found, index, token.partner)
                index = token.partner
            wants_name = False
        elif token.text in ("(", "[", "{", "${"):
            index = token.partner
        elif token.text == ",":
            wants_name = True
        elif token.text in (";", ")", "]", "}") or token.text in ("of", "in") or token.text in DECLARES:
            return
        index += 1


def _names(found: list[Lexeme], begin: int, end: int) -> Iterator[str]:
    for index in range(begin, end):
        if found[index].kind == NAME and not is_member(found, index):
            yield found[index].text


def _functions(found: list[Lexeme]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Where each function's parameters begin, with where they end and where its body ends."""
    ends = _ends_of_expressions(found)
    for index, token in enumerate(found):
        if token.text == "=>" and index:
            begin = found[index - 1].partner if found[index - 1].text == ")" else index - 1
            body = index + 1
            has_block = body < len(found) and found[body].text == "{"
            yield begin, (index, found[body].partner + 1 if has_block else ends[index])
        elif token.text == "(" and token.kind == SIGN and token.partner + 1 < len(found):
            if found[token.partner + 1].text != "{" or not index:
                continue
            before = found[index - 1]
            is_function = before.text in ("function", "*") or (
                before.kind == NAME and before.text not in _NOT_A_METHOD
            )
            if is_function or before.text == "]":  # a method may have a computed name
                yield index, (token.partner, found[token.partner + 1].partner + 1)


def _ends_of_expressions(found: list[Lexeme]) -> list[int]:
    """For each token, where an expression that it is in ends: at a comma, a semicolon or the bracket around it."""
    ends = [0] * len(found)
    end, around = len(found), []
    for index in range(len(found) - 1, -1, -1):
        text = found[index].text
        if text in (")", "]", "}"):
            around.append(end)
            end = ends[index] = index
            continue
        if text in ("(", "[", "{", "${"):
            end = around.pop()
        elif text in (",", ";"):
            end = index
        ends[index] = end
    return ends


def assigned(found: list[Lexeme]) -> Iterator[int]:
    """Where a name by itself is, or may be, given another value (its declaration is none)."""
    inside = in_patterns(found)
    for index, token in enumerate(found):
        if token.kind != NAME or token.text in KEYWORDS or (index and found[index - 1].text in (".", "?.")):
            continue
        before = found[index - 1].text if index else ""
        after = found[index + 1].text if index + 1 < len(found) else ""
        if before in DECLARES:
            continue
        is_step = after in ASSIGNMENTS or after in STEPS or before in STEPS
        is_loop = (
            after in ("of", "in")
            and before == "("
            and index > 1
            and found[index - 2].text in ("for", "await")
        )
        if is_step or is_loop or (inside[index] and not is_member(found, index)):
            yield index


def in_patterns(found: list[Lexeme]) -> list[int]:
    """For each token, how many brackets around it a destructuring assignment has, or may have, on its left."""
    changes = [0] * (len(found) + 1)
    for index, token in enumerate(found):
        if token.text in ("]", "}") and index + 1 < len(found) and found[index + 1].text in ("=", "of", "in"):
            before = found[token.partner - 1] if token.partner else None
            is_access = (
                token.text == "]"
                and before is not None
                and (before.text in (")", "]", "}") or (before.kind == NAME and before.text not in KEYWORDS))
            )
            if not is_access and (before is None or before.text not in DECLARES):
                changes[token.partner] += 1
                changes[index] -= 1
    return list(accumulate(changes))
