"""What a script needs so that every message finds it in its initial state, from its text alone.

Nothing here is a matter of safety but the proof of `iotgw.converters.source.stateless`: a wrong guess about names or
built-ins can only keep a script from changing what it wants to change, for the realm is frozen (runtime/realm.js).
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from iotgw.converters.source.scopes import Scopes, assigned, declared_by, is_member
from iotgw.converters.source.stateless import is_stateless
from iotgw.converters.source.tokens import (
    ASSIGNMENTS,
    KEYWORDS,
    NAME,
    STEPS,
    TEXT,
    Lexeme,
    NotUnderstood,
    tokens,
)

Path = tuple[str, ...]
Open = tuple[Path, str | None]
"""A built-in object by its path, and the name of its property; None is for any."""

_BUILT_INS = frozenset(
    [
        "Object",
        "Function",
        "Array",
        "String",
        "Number",
        "Boolean",
        "Symbol",
        "BigInt",
        "Date",
        "RegExp",
        "Math",
        "JSON",
        "Reflect",
        "Promise",
        "Proxy",
        "Map",
        "Set",
        "WeakMap",
        "WeakSet",
        "Error",
        "TypeError",
        "RangeError",
        "SyntaxError",
        "ReferenceError",
        "EvalError",
        "URIError",
        "ArrayBuffer",
        "DataView",
        "Int8Array",
        "Uint8Array",
        "Uint8ClampedArray",
        "Int16Array",
        "Uint16Array",
        "Int32Array",
        "Uint32Array",
        "Float32Array",
        "Float64Array",
        "BigInt64Array",
        "BigUint64Array",
        "TextDecoder",
        "TextEncoder",
        "Buffer",
        "console",
        "Device",
        "Parser",
        "Record",
    ]
)
_OF_PROTOTYPES = frozenset(
    ["constructor", "toString", "toLocaleString", "valueOf", "toJSON", "size", "get", "set", "has", "add", "delete", "clear", "keys",
     "values", "entries", "forEach", "then", "source", "flags", "global", "description", "stack"]
)  # fmt: skip
"""Names on the prototypes of built-ins that scripts give to what they derive from them, or to their own objects."""
_CHANGES_IT = frozenset(
    ("defineProperty", "defineProperties", "assign", "setPrototypeOf", "__defineGetter__")
)
_COMPARES = frozenset(("instanceof", "typeof", "===", "!==", "==", "!=", "case", "in"))
_TO_THE_GLOBAL = frozenset(("eval", "Function", "with", "globalThis"))
_REACH = 50
"""Tokens between an argument and its call, so that a long list takes no long time."""
_TO_ITSELF = frozenset(("arguments", "callee", "eval"))
_NO_NAMES = KEYWORDS | {
    "arguments",
    "eval",
    "let",
    "static",
    "undefined",
    "NaN",
    "Infinity",
    "true",
    "false",
    "null",
}


class Analysis(Struct, frozen=True):
    """``is_understood`` is False for a text that can't be read: each message then gets a context of its own.

    ``is_stateless`` says that a script can be left as it is; others are run anew for each message. ``undeclared`` are the
    names that it assigns without declaring them, ``open`` is what it means to change
    of the built-ins; the empty path is the global object.
    """

    is_understood: bool = True
    is_stateless: bool = False
    undeclared: tuple[str, ...] = ()
    open: tuple[Open, ...] = ()
    reaches_itself: bool = False
    """Whether it may get at the function that it is made into, which is then made anew as well."""
    exposed: tuple[str, ...] = ()
    """Its functions and variables that it looks for as properties of the global object (``this.f()``)."""
    uses_this: bool = False
    is_strict: bool = False
    overrides: tuple[str, ...] = ()
    """Properties that it assigns: an object must be able to have its own, whatever its prototype has by that name."""


@lru_cache(maxsize=2)  # a script that is being saved is read twice
def analyse(script: str, parameters: str = "") -> Analysis:
    """Read a script. ``parameters`` are those of a body, as text between commas; empty for functions."""
    try:
        found = tokens(script)
        scopes = Scopes(found)
    except (NotUnderstood, RecursionError):
        return Analysis(is_understood=False)
    scopes.script.declared.update(name.strip() for name in parameters.split(",") if name.strip())
    is_strict = bool(found) and found[0].kind == TEXT and found[0].text[1:-1] == "use strict"
    undeclared = () if is_strict else _undeclared(scopes)
    uses_this = any(token.kind == NAME and token.text == "this" for token in found)
    exposed = () if parameters else _exposed(scopes)
    open_ = (*_opened(scopes), *(((), name) for name in exposed))
    reaches_itself = any(token.kind == NAME and token.text in _TO_ITSELF for token in found)
    is_fresh = not reaches_itself and (bool(parameters) or is_stateless(found))
    return Analysis(
        True, is_fresh and not undeclared and not open_, undeclared, open_, reaches_itself, exposed, uses_this,
        is_strict, _overrides(found),
    )  # fmt: skip


def _overrides(found: list[Lexeme]) -> tuple[str, ...]:
    """The names in ``x.name = …``."""
    names = {
        token.text: None
        for before, token, after in zip(found, found[1:], found[2:], strict=False)
        if token.kind == NAME and before.text == "." and after.text == "="
    }
    return tuple(name for name in names if name in _OF_PROTOTYPES)


def _exposed(scopes: Scopes) -> tuple[str, ...]:
    """What of the top level is looked for by ``this``: single names, or all of them where ``this`` is handed on."""
    found = scopes.tokens
    wanted: set[str] | None = set()
    for index, token in enumerate(found):
        if token.kind != NAME or token.text not in ("this", "globalThis") or is_member(found, index):
            continue
        names, _ = _chain(found, index)
        if len(names) > 1 and wanted is not None:
            wanted.add(names[1])
        elif len(names) == 1:
            wanted = None
    if wanted is not None and not wanted:
        return ()
    names = _properties_of_the_global(scopes)
    return tuple(name for name in names if wanted is None or name in wanted)


def _properties_of_the_global(scopes: Scopes) -> list[str]:
    """The functions and the ``var`` that a script at the top of a program makes properties of the global object."""
    found, names, depth = scopes.tokens, dict[str, None](), 0
    for index, token in enumerate(found):
        depth += (token.text in ("{", "${")) - (token.text == "}") if token.kind != TEXT else 0
        if token.kind != NAME or scopes.regions[index] is not scopes.script or is_member(found, index):
            continue
        if token.text == "var":
            names.update(dict.fromkeys(declared_by(found, index)))
        elif token.text == "function" and depth == 0 and _is_statement(found, index):
            after = index + 1 + (index + 1 < len(found) and found[index + 1].text == "*")
            if after < len(found) and found[after].kind == NAME:
                names[found[after].text] = None
    return [name for name in names if name not in _NO_NAMES]


def _is_statement(found: list[Lexeme], index: int) -> bool:
    """Whether a function here is a declaration, and not part of an expression."""
    before = found[index - 1].text if index else ";"
    return before in (";", "}", "async") or (
        found[index].is_first and before not in ("=", "(", ",", ":", "=>", "!")
    )


def _undeclared(scopes: Scopes) -> tuple[str, ...]:
    found = scopes.tokens
    names = {
        found[index].text: None
        for index in assigned(found)
        if not scopes.regions[index].knows(found[index].text)
    }
    return tuple(name for name in names if name not in _NO_NAMES)


def _opened(scopes: Scopes) -> tuple[Open, ...]:
    found = scopes.tokens
    opened: dict[Open, None] = {}
    makes_objects = any(token.text in ("class", "prototype") for token in found) or _has_constructor(scopes)
    for index, token in enumerate(found):
        if token.kind != NAME or (index and found[index - 1].text in (".", "?.")):
            continue
        if token.text in _TO_THE_GLOBAL:
            opened[(), None] = None
        elif token.text == "this":
            is_written = not makes_objects and _is_written(found, index)
            if (is_written and _is_called_plainly(scopes, index)) or _hands_on_the_global(scopes, index):
                opened[(), None] = None
        elif (
            token.text in _BUILT_INS
            and not is_member(found, index)
            and not scopes.regions[index].knows(token.text)
        ):
            opened.update(dict.fromkeys(_changed(found, index)))
    return tuple(opened)


def _hands_on_the_global(scopes: Scopes, index: int) -> bool:
    """Whether ``this`` is the global object and goes to a function or a variable, as bundles have it: ``}(this)``."""
    after = scopes.tokens[index + 1].text if index + 1 < len(scopes.tokens) else ""
    return scopes.regions[index] is scopes.script and after in (")", ",", ";", "}")


def _is_called_plainly(scopes: Scopes, index: int) -> bool:
    """Whether ``this`` is that of a function which is nobody's method, as far as one sees: the global object."""
    found, region = scopes.tokens, scopes.regions[index]
    while region.parent is not None and found[region.begin].partner + 1 < len(found):
        after = found[region.begin].partner + 1 if found[region.begin].text == "(" else region.begin + 1
        if found[after].text != "=>":
            break
        region = region.parent
    if region.parent is None:
        return True
    before = [token.text for token in reversed(found[max(region.begin - 4, 0) : region.begin])]
    if before[:1] != ["function"]:
        return before[1:2] == ["function"]
    return before[1:2] == ["="] and before[3:4] != ["."]


def _has_constructor(scopes: Scopes) -> bool:
    found = scopes.tokens
    return any(
        token.text == "new" and index + 1 < len(found) and scopes.regions[index].knows(found[index + 1].text)
        for index, token in enumerate(found)
    )


def _chain(found: list[Lexeme], index: int) -> tuple[list[str], int]:
    """The names of ``a.b.c``, and the index behind them."""
    names = [found[index].text]
    index += 1
    while index + 1 < len(found) and found[index].text in (".", "?.") and found[index + 1].kind == NAME:
        names.append(found[index + 1].text)
        index += 2
    return names, index


def _is_written(found: list[Lexeme], index: int) -> bool:
    before = found[index - 1].text if index else ""
    names, after = _chain(found, index)
    while after < len(found) and found[after].text == "[":
        after = found[after].partner + 1
        names.append("")
    sign = found[after].text if after < len(found) else ""
    return len(names) > 1 and (sign in ASSIGNMENTS or sign in STEPS or before in (*STEPS, "delete"))


def _changed(found: list[Lexeme], index: int) -> list[Open]:
    """The built-in objects that this use of a name may be meant to change."""
    before = found[index - 1].text if index else ""
    names, after = _chain(found, index)
    sign = found[after].text if after < len(found) else ""
    if _is_written(found, index):
        if len(names) == 1 and sign != "[":
            return []  # the name itself, which is a variable then
        return [(tuple(names), None)] if sign == "[" else [(tuple(names[:-1]), names[-1])]
    if sign in ("(", "[", "=", "=>", ".", "?.") or sign in _COMPARES:
        return []
    if before in ("new", "function", "class") or before in _COMPARES:
        return []
    if len(names) > 1 and names[-1] != "prototype":
        return []  # a constant, or a method that is handed on
    whole = tuple(names)
    if before in ("(", ","):
        call = _call_around(found, index)
        if call in _CHANGES_IT:
            return [(whole, _property_named(found, after))]
        if call != ")":
            return []
    return [(whole, None)] if len(names) > 1 else [(whole, None), ((*whole, "prototype"), None)]


def _property_named(found: list[Lexeme], index: int) -> str | None:
    """The text that follows as the next argument; None for anything else."""
    if (
        index + 2 < len(found)
        and found[index].text == ","
        and found[index + 1].kind == TEXT
        and found[index + 2].text == ","
    ):
        name = found[index + 1].text[1:-1]
        return name if name.isidentifier() else None
    return None


def _call_around(found: list[Lexeme], index: int) -> str:
    """What is called with this among its arguments: a name, or ``)`` for a function expression."""
    for _ in range(_REACH):
        index -= 1
        if index <= 0:
            return ""
        text = found[index].text
        if text in (")", "]", "}"):
            index = found[index].partner
        elif text in ("(", "[", "{", "${"):
            return found[index - 1].text
    return ""
