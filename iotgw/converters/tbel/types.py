"""What TBEL knows of an expression's type before it runs, as far as that changes results.

The interpreter divides whole numbers as Java does where it knows that both are `Integer`, and gives a double where it finds it
out at run time: `(b & 0xFF) / 2` is 3 for 7, and `m.b / 2` is 3.5. It knows the types of literals, of the bit operators, of
Java's methods, and of variables outside functions; those within functions only where they are declared with a type
(`CompilerTools.boOptimize` and `BinaryOperation` in github.com/thingsboard/tbel). The codes are those of its `DataTypes`.
"""

from __future__ import annotations

from iotgw.converters.tbel import syntax

INT, LONG, FLOAT, DOUBLE, TEXT, BOOL, LIST, MAP, ARRAY, UNKNOWN = 106, 107, 108, 109, 1, 15, 50, -2, -3, 0
"""0 is a type that is known at run time only. `INT` is `Integer`."""
PRIMITIVE_INT = 101
"""Java's `int`, which methods return: it is divided by another one as at run time, and by an `Integer` as Java does."""
INTS = (INT, PRIMITIVE_INT)

OF_LITERAL = {"int": INT, "long": LONG, "float": FLOAT, "double": DOUBLE, "text": TEXT, "bool": BOOL}
OF_NAME = {
    "int": PRIMITIVE_INT, "Integer": INT, "long": LONG, "Long": LONG, "float": FLOAT, "Float": FLOAT, "double": DOUBLE, "Double": DOUBLE,
    "String": TEXT, "boolean": BOOL, "Boolean": BOOL,
}  # fmt: skip
_INTS = frozenset(
    ("parseHexToInt", "parseLittleEndianHexToInt", "parseBigEndianHexToInt", "isBinary", "isOctal", "isDecimal",
     "isHexadecimal", "toInt")
)  # fmt: skip
_OF_BYTES = {"parseBytesToInt": PRIMITIVE_INT, "parseBinaryArrayToInt": PRIMITIVE_INT, "bytesToHex": TEXT}
"""They come in two forms, for a list and for an array: what they return is known where it is known which."""
_LISTS = frozenset(
    ("hexToBytes", "base64ToBytesList", "stringToBytes", "bytesToExecutionArrayList", "printUnsignedBytes")
)  # fmt: skip
_ARRAYS = frozenset(
    ("base64ToBytes", "hexToBytesArray", "parseByteToBinaryArray", "parseBytesToBinaryArray", "parseLongToBinaryArray")
)  # fmt: skip
_TEXTS = frozenset(
    ("btoa", "atob", "bytesToString", "decodeToString", "intToHex", "longToHex", "floatToHex", "doubleToHex",
     "intLongToRadixString", "base64ToHex", "hexToBase64", "bytesToBase64", "padStart", "padEnd", "encodeURI", "decodeURI")
)  # fmt: skip
_STATIC_INTS = frozenset(
    ("Integer.parseInt", "Integer.parseUnsignedInt", "Byte.toUnsignedInt", "Integer.signum", "Integer.bitCount", "Integer.reverse",
     "Integer.reverseBytes", "Integer.MAX_VALUE", "Integer.MIN_VALUE", "Float.floatToIntBits", "Math.toIntExact", "Math.max", "Math.min",
     "Math.abs")
)  # fmt: skip
_SIZES = frozenset(("size", "length", "indexOf", "lastIndexOf", "compareTo", "codePointAt", "hashCode"))
_TEXT_METHODS = frozenset(
    ("substring", "trim", "strip", "toUpperCase", "toLowerCase", "replace", "replaceAll", "replaceFirst", "concat", "repeat",
     "toString")
)  # fmt: skip
_COMPARING = frozenset(("==", "!=", "<", ">", "<=", ">=", "&&", "||", "contains", "~="))
_BITS = frozenset(("&", "|", "^", "<<", ">>", ">>>"))


def of_operation(op: str, left: int, right: int, are_literals: bool) -> int:
    """The type of ``left op right`` (`CompilerTools.getReturnTypeFromOp`)."""
    if op in _COMPARING:
        return BOOL
    if op in _BITS:
        return INT
    if op == "+" and TEXT in (left, right):
        return TEXT
    if not left or not right:
        return UNKNOWN
    if op == "/" and are_literals:
        return DOUBLE
    return right if _boxed(right) > _boxed(left) else left


def _boxed(type_: int) -> int:
    return INT if type_ == PRIMITIVE_INT else type_


def of_call(name: str, arguments: list[int]) -> int:
    """The type that one of ThingsBoard's functions returns, given the types of its arguments."""
    if name in _OF_BYTES:
        return _OF_BYTES[name] if arguments and arguments[0] in (LIST, ARRAY) else UNKNOWN
    if name in _LISTS or name in _ARRAYS:
        return LIST if name in _LISTS else ARRAY
    if name == "parseInt" or (name == "parseHexToInt" and len(arguments) > 1):
        return INT
    return PRIMITIVE_INT if name in _INTS else TEXT if name in _TEXTS else UNKNOWN


def of_member(owner: syntax.Expression, type_: int, name: str, arguments: list[int] | None) -> int:
    """The type of a property (without ``arguments``) or of a method's result."""
    if isinstance(owner, syntax.Name) and type_ == UNKNOWN:
        if f"{owner.name}.{name}" in _STATIC_INTS:
            return PRIMITIVE_INT
        if f"{owner.name}.{name}" == "Integer.valueOf":
            return INT
        if f"{owner.name}.{name}" == "Math.round":
            return LONG
        return TEXT if owner.name == "String" and arguments is not None else UNKNOWN
    if type_ == TEXT and name in _TEXT_METHODS:
        return TEXT
    if type_ == LIST and name == "slice":
        return LIST
    return PRIMITIVE_INT if type_ in (TEXT, LIST, MAP, ARRAY) and name in _SIZES else UNKNOWN
