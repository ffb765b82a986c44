"""Scripts that define no function: which variables they read tells whose they are.

A *body* returns at its top level, and a *program* leaves its result in a variable. Both find what they work on in
variables that nobody in the script has declared.
"""

from __future__ import annotations

import re

from iotgw.converters.source.scopes import Scopes, is_member
from iotgw.converters.source.tokens import KEYWORDS, NAME, NotUnderstood, tokens

_GIVEN = (
    "payload",
    "metadata",
    "bytes",
    "port",
    "input",
    "msg",
    "msgType",
    "data",
    "node",
    "flow",
    "context",
)
"""Variables that platforms give to a body or a program."""
_NODE_RED = re.compile(
    r"\bmsg\s*\.\s*payload\b|\bmsg\s*\[\s*['\"]payload|\bnode\s*\.\s*(?:send|warn|error|status)\s*\("
)
_INPUT = re.compile(r"\binput\s*\.\s*(?:bytes|fPort)\b")
_TAGO = re.compile(r"\bvariable\b")


def of_body(source: str, direction: str) -> str:
    """The dialect's name of a script that returns at its top level."""
    read = given(source)
    if direction == "DOWNLINK":
        return "tektelic" if "data" in read and "msg" not in read else "thingsboard-body"
    if "payload" in read:
        return "thingsboard-body"
    if "msg" in read:
        is_rule = "msgType" in read or "metadata" in read or not _NODE_RED.search(source)
        return "rule-node" if is_rule else "node-red"
    if read & {"node", "flow", "context"}:
        return "node-red"
    if "input" in read and _INPUT.search(source):
        return "tektelic-v2"
    return "tektelic" if "bytes" in read or "port" in read else "thingsboard-body"


def is_tago(source: str) -> bool:
    """Whether a script that compiles as a program is TagoIO's: it reads and sets the variable ``payload`` that it is given.

    Everything in there is a ``variable``, so a script that doesn't know this word isn't TagoIO's.
    """
    if not _TAGO.search(source) or "payload" not in source:
        return False
    return "payload" in given(source)


def given(source: str) -> set[str]:
    """Which of the variables that platforms give a script uses without declaring them."""
    try:
        found = tokens(source, guesses=True)
        scopes = Scopes(found)
    except (NotUnderstood, RecursionError):
        return {name for name in _GIVEN if re.search(rf"(?<![\w$.]){name}(?![\w$]|\s*:)", source)}
    used = set()
    for index, token in enumerate(found):
        if (
            token.kind != NAME
            or token.text not in _GIVEN
            or token.text in KEYWORDS
            or is_member(found, index)
        ):
            continue
        region = scopes.regions[index]
        if not region.knows(token.text):
            used.add(token.text)
    return used | _declared_of_themselves(source)


def _declared_of_themselves(source: str) -> set[str]:
    """``var bytes = toBytes(bytes)`` and ``var msg = msg || {}``: a variable of that name is given all the same."""
    return {
        match[1]
        for match in re.finditer(
            rf"\bvar\s+({'|'.join(_GIVEN)})\s*=[^;\n]*(?<![\w$.])\1(?![\w$]|\s*:)", source
        )
    }
