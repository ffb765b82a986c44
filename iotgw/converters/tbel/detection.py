"""Whether a script is meant to be TBEL.

What is JavaScript stays JavaScript, unless it calls something that only TBEL has, that it doesn't define itself, and that would
therefore fail in JavaScript whenever it is reached; or gives a text for a pattern, as Java does, where JavaScript would look for the
text as it stands.
"""

from __future__ import annotations

import re

from iotgw.converters.bodies import given
from iotgw.converters.tbel import TbelError, translated

_FUNCTIONS = (
    "parseBytesTo|parseBytesIntTo|parseBytesLongTo|parseHexTo|parseLittleEndianHexTo|parseBigEndianHexTo|parseHexIntLongTo|parseByteTo|"
    "parseBinaryArrayTo|parseLongTo"
)
_OWN = re.compile(
    rf"(?<![\w$.])(?:(?:{_FUNCTIONS})[A-Z]\w*|parseLong|parseDouble|bytesToHex|hexToBytes(?:Array)?|base64ToBytes(?:List)?|base64ToHex|"
    r"hexToBase64|bytesToBase64|bytesToString|stringToBytes|bytesToExecutionArrayList|printUnsignedBytes|intToHex|longToHex|floatToHex|"
    r"doubleToHex|intLongToRadixString|toFixed|toFlatMap|padStart|padEnd|raiseError|isDecimal|isHexadecimal|isOctal|isBinary|isMap|isList|isArray|isSet|newSet|toSet|toInt|isInsidePolygon|isInsideCircle)"
    r"(?=\s*\()"
)
_JAVA = re.compile(
    r"(?<![\w$.])java\.(?:util|lang)\.[A-Z]|(?<![\w$.])(?:String\.(?:format|valueOf)|Boolean\.parseBoolean"
    r"|(?:Integer|Long|Double|Float|Short|Byte|Character|Arrays|Collections|Objects)\.\w+)\s*\("
)
_METHODS = re.compile(
    r"\.\s*(size|isEmpty|equals|equalsIgnoreCase|contains|containsKey|containsValue|keySet|entrySet|putAll|putIfAbsent|getOrDefault|addAll|subList"
    r"|toCharArray|getBytes|compareTo|matches|replaceFirst|(?:int|long|float|double|byte)Value)\s*\("
)
"""Methods of Java's texts, lists and maps that JavaScript's have not."""
_PATTERN = re.compile(
    r"\.\s*(?:split|replaceAll|replaceFirst|matches)\s*\(\s*([\"'])(?:(?!\1)[^\\\n]|\\.){0,400}?(?:\\\\[.|+*?(){}\[\]^$sSdDwWbB]|\[(?:(?!\1)[^\]\\\n]|\\.){1,200}\])"
)
"""A text that is a pattern of Java's: it has an escaped sign, or a class of characters."""
_NOT_JAVA = re.compile(r"(?<![\w$.])(?:Buffer|require|console|module|exports)(?![\w$])")
_NOT_CODE = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"", re.DOTALL)
_LOOKS = re.compile(
    r"\bforeach\s*\(|\bfor\s*\(\s*(?:var\s+)?\w+\s*:|\bjava\.util\.|\.\?\w|\b(?:parseBytesToInt|parseBytesToFloat|bytesToHex|hexToBytes)\s*\("
    r"|\bnew\s+java\.|\.(?:putAll|containsKey|entrySet)\(|\b(?:int|float|double|long|String|byte\[\])\s+\w+\s*="
)


def is_tbel_in_javascript(script: str, direction: str) -> bool:
    """Whether a script that is JavaScript, too, is meant to be TBEL."""
    code = _NOT_CODE.sub("''", script)
    names = {match[0] for match in _OWN.finditer(code)}
    is_own = any(_is_called_only(name, code) for name in names) or _is_java(code)
    if not is_own and not (_speaks_java(script, code) and given(script) & {"payload", "msg"}):
        return False
    try:
        translated(script, direction)
    except TbelError:
        return False
    return True


def looks_like_tbel(script: str) -> bool:
    """Whether a script that is not JavaScript looks like TBEL."""
    return _LOOKS.search(_NOT_CODE.sub("''", script)) is not None


def _is_called_only(name: str, code: str) -> bool:
    """Whether a name is called and never defined: each time that it stands there, it is a call."""
    for match in re.finditer(rf"(?<![\w$]){name}(?![\w$])", code):
        before = code[max(match.start() - 30, 0) : match.start()]
        if re.search(r"(?:\bfunction\s*\*?\s*|[.]\s*|\basync\s+|\bget\s+)$", before):
            if not before.rstrip().endswith("."):
                return False
            continue
        after = code[match.end() : match.end() + 400]
        if not re.match(r"\s*\(", after) or re.match(r"\s*\([^()]*\)\s*\{", after):
            return False
    return True


def _speaks_java(script: str, code: str) -> bool:
    """Whether a script calls methods that only Java's values have, or gives them patterns as texts."""
    if _NOT_JAVA.search(code):
        return False
    methods = {match[1] for match in _METHODS.finditer(code)}
    return any(not _defines(name, code) for name in methods) or _PATTERN.search(script) is not None


def _defines(method: str, code: str) -> bool:
    return (
        re.search(
            rf"(?<![\w$]){method}\s*[:=]|\bfunction\s+{method}\b|(?<![\w$.]){method}\s*\([^()]*\)\s*\{{", code
        )
        is not None
    )


def _is_java(code: str) -> bool:
    found = _JAVA.search(code)
    if found is None:
        return False
    name = re.split(r"\W", found[0])[0]
    return not re.search(
        rf"\b(?:var|let|const|function|class)\s+{name}\b|(?<![\w$.]){name}(?:\.\w+)?\s*=[^=]", code
    )
