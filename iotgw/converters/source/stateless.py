"""The proof that a script has no state of its own: nothing at its top level can change once it has been loaded.

It holds for scripts of functions, constants and tables that are only looked up. Whatever is not sure to be one of these is
not proved, and costs the script no more than being run anew. The built-ins need no proof: they are frozen (runtime/realm.js).
"""

from __future__ import annotations

from iotgw.converters.source.scopes import DECLARES, assigned, in_patterns, is_member
from iotgw.converters.source.tokens import ASSIGNMENTS, KEYWORDS, NAME, NUMBER, SIGN, STEPS, TEXT, Lexeme

_REACHES_OTHERWISE = frozenset(
    ("eval", "Function", "with", "arguments", "callee", "caller", "module", "exports", "class")
)
"""Names by which a script could get at a function or a variable of its own without naming it."""
_VALUES = frozenset(("true", "false", "null", "undefined", "NaN", "Infinity"))
_OPERATORS = frozenset(
    [
        "+",
        "-",
        "*",
        "/",
        "%",
        "**",
        "<<",
        ">>",
        ">>>",
        "&",
        "|",
        "^",
        "~",
        "!",
        "?",
        ":",
        "&&",
        "||",
        "??",
        "==",
        "!=",
        "===",
        "!==",
        "<",
        ">",
        "<=",
        ">=",
    ]
)
_IN_A_TABLE = frozenset(
    ["{", "}", "[", "]", ",", ":", "+", "-", "*", "/", "%", "<<", ">>", ">>>", "&", "|", "^", "~"]
)
_ONLY_READS = frozenset(("indexOf", "lastIndexOf", "includes", "hasOwnProperty", "join", "toString"))
_FUNCTION = -1
_PRIMITIVE = 0


def is_stateless(found: list[Lexeme]) -> bool:
    """Whether that is proved for the tokens of a script that defines functions."""
    if any(token.kind == NAME and token.text in _REACHES_OTHERWISE for token in found):
        return False
    if any(_is_hidden_target(found, index) for index in range(len(found))):
        return False
    program = _TopLevel(found)
    return program.read() and program.is_only_read()


def _is_hidden_target(found: list[Lexeme], index: int) -> bool:
    """Whether something is assigned to in parentheses, as in ``(table.x) = 1`` or ``++(n)``."""
    text = found[index].text
    if text == ")":
        after = found[index + 1].text if index + 1 < len(found) else ""
        return after in ASSIGNMENTS or after in STEPS or after in ("of", "in")
    before = [found[index - back].text for back in (1, 2) if index >= back]
    return text == "(" and bool(before) and (before[0] in STEPS or before == ["(", "for"])


class _TopLevel:
    """``kinds`` has the declared names: a function, a primitive, or the depth of a table."""

    def __init__(self, found: list[Lexeme]) -> None:
        self._found = found
        self._kinds: dict[str, int] = {}
        self._declared: set[int] = set()

    def _text(self, index: int) -> str:
        return self._found[index].text if 0 <= index < len(self._found) else ""

    # --- the top level: declarations, and nothing else ---

    def read(self) -> bool:
        """Take the top level in; False where it is more than declarations."""
        index = 0
        while 0 <= index < len(self._found):
            token = self._found[index]
            if token.text == ";" or (token.kind == TEXT and self._ends(index + 1)):
                index += 1
            elif token.text == "function":
                index = self._function(index)
            elif token.text in DECLARES:
                index = self._declarations(index + 1)
            else:
                return False
        return index >= 0

    def _function(self, index: int) -> int:
        index += 2 if self._text(index + 1) == "*" else 1
        return self._body(index + 1) if self._declare(index, _FUNCTION) else -1

    def _body(self, index: int) -> int:
        """Behind the parameters that begin here and the body after them; -1 where there is none."""
        if self._text(index) != "(":
            return -1
        index = self._found[index].partner + 1
        return self._found[index].partner + 1 if self._text(index) == "{" else -1

    def _declare(self, index: int, kind: int) -> bool:
        name = self._text(index)
        if (
            index >= len(self._found)
            or self._found[index].kind != NAME
            or name in KEYWORDS
            or name in self._kinds
        ):
            return False
        self._kinds[name] = kind
        self._declared.add(index)
        return True

    def _declarations(self, index: int) -> int:
        while True:
            name = index
            kind, index = _PRIMITIVE, index + 1
            if self._text(index) == "=":
                kind, index = self._value(index + 1)
            if index < 0 or not self._declare(name, kind) or not self._ends(index):
                return -1
            if self._text(index) != ",":
                return index
            index += 1

    def _ends(self, index: int) -> bool:
        """Whether a declaration is over here, for sure."""
        if index >= len(self._found) or self._text(index) in (";", ","):
            return True
        token = self._found[index]
        return token.is_first and (token.text == "function" or token.text in DECLARES)

    def _value(self, index: int) -> tuple[int, int]:
        """What kind of value begins here, and where it ends; -1 for one that may be anything."""
        text = self._text(index)
        if text == "function":
            index += 1
            index += self._text(index) == "*"
            index += self._text(index) != "("
            return _FUNCTION, self._body(index)
        if text in ("(", "[", "{") and self._text(self._found[index].partner + 1) == "=>":
            return _FUNCTION, self._arrow(self._found[index].partner + 2)
        if self._text(index + 1) == "=>":
            return _FUNCTION, self._arrow(index + 2)
        if text in ("[", "{"):
            return self._table(index)
        return _PRIMITIVE, self._primitive(index)

    def _arrow(self, index: int) -> int:
        if self._text(index) == "{":
            return self._found[index].partner + 1
        while index < len(self._found) and not self._ends(index):
            index = (
                self._found[index].partner + 1 if self._text(index) in ("(", "[", "{", "${") else index + 1
            )
        return -1 if self._text(index) == "," else index

    def _table(self, begin: int) -> tuple[int, int]:
        depth = deepest = 0
        end = self._found[begin].partner
        for index in range(begin, end + 1):
            token = self._found[index]
            if token.text in ("{", "["):
                depth += 1
                deepest = max(deepest, depth)
                if token.text == "[" and self._text(index - 1) in ("]", "}"):
                    return 0, -1
            elif token.text in ("}", "]"):
                depth -= 1
            elif token.kind == NAME:
                if not is_member(self._found, index) and not self._is_primitive(token.text):
                    return 0, -1
            elif (token.kind == SIGN and token.text not in _IN_A_TABLE) or token.kind not in (
                NUMBER,
                TEXT,
                SIGN,
            ):
                return 0, -1
        return deepest, end + 1

    def _is_primitive(self, name: str) -> bool:
        return name in _VALUES or self._kinds.get(name) == _PRIMITIVE

    def _primitive(self, index: int) -> int:
        is_operand = False
        begin = index
        while index < len(self._found) and not (index > begin and self._ends(index)):
            token = self._found[index]
            if token.kind in (NUMBER, TEXT) or (token.kind == NAME and self._is_primitive(token.text)):
                if is_operand:
                    return -1
                is_operand = True
            elif (token.text == "(" and not is_operand) or (token.text == ")" and is_operand):
                pass
            elif token.kind == SIGN and token.text in _OPERATORS:
                is_operand = False
            else:
                return -1
            index += 1
        return index if is_operand else -1

    # --- what becomes of the declared names ---

    def is_only_read(self) -> bool:
        """Whether every use of a declared name leaves what it stands for as it is, and lets nobody else have it."""
        found = self._found
        changed = set(assigned(found))
        inside = in_patterns(found)
        for index, token in enumerate(found):
            if token.kind != NAME or token.text not in self._kinds or index in self._declared:
                continue
            if index in changed:
                return False
            if is_member(found, index):
                continue
            kind = self._kinds[token.text]
            if kind == _FUNCTION and not self._is_call(index):
                return False
            if kind > _PRIMITIVE and (inside[index] or not self._is_look_up(index, kind)):
                return False
        return True

    def _is_call(self, index: int) -> bool:
        before, after = self._text(index - 1), self._text(index + 1)
        if before == "typeof":
            return True
        if after == ".":
            return self._text(index + 2) in ("call", "apply") and self._text(index + 3) == "("
        return after == "(" and before != "new"

    def _is_look_up(self, index: int, depth: int) -> bool:
        """Whether a table of so many levels is used for nothing but the primitives in it."""
        before, after = self._text(index - 1), self._text(index + 1)
        if after == ")" and before == "(" and [self._text(index - n) for n in (4, 3)] == ["Object", "."]:
            return self._text(index - 2) == "keys" or (
                depth == 1 and self._text(index - 2) in ("values", "entries")
            )
        steps, last, index = 0, "", index + 1
        while True:
            sign = self._text(index)
            if sign == "[" or (sign == "?." and self._text(index + 1) == "["):
                index = self._found[index + (sign != "[")].partner + 1
                last = ""
            elif sign in (".", "?.") and index + 1 < len(self._found) and self._found[index + 1].kind == NAME:
                last = self._text(index + 1)
                index += 2
            else:
                break
            steps += 1
        after = self._text(index)
        if before in (*STEPS, "delete") or after in ASSIGNMENTS or after in STEPS or after == "of":
            return False
        if after == "in" and before == "(":
            return False
        if index < len(self._found) and self._found[index].kind == TEXT:
            return False
        if steps == 0:
            return before == "in" or (before == "of" and depth == 1)
        if after == "(":
            return steps > depth or last in _ONLY_READS
        return steps >= depth
