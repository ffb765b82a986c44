"""A short way for what most notifications are: SenML-CBOR whose records have a name and a number, and nothing else.

Any other pack, and a faulty one, is read item by item (`iotgw.wire.lwm2m.senml`), which costs several times as much.
"""

from __future__ import annotations

import math
from struct import Struct, error

from iotgw.wire.lwm2m import paths
from iotgw.wire.lwm2m.node import Node, TypeOf
from iotgw.wire.lwm2m.values import as_type

_BASE_NAME, _NAME, _VALUE = 0x21, 0x00, 0x02
"""Labels as their initial bytes (RFC 8428 §6)."""
_NUMBERS = {
    0x18: Struct("B"), 0x19: Struct(">H"), 0x1A: Struct(">I"), 0xF9: Struct(">e"), 0xFA: Struct(">f"), 0xFB: Struct(">d"),
}  # fmt: skip
"""By their initial bytes (RFC 8949 §3)."""


def decode(data: bytes, type_of: TypeOf) -> list[Node] | None:
    """The values of such a pack; None for any other. Raises `CodecError` for a path that is none."""
    if not data or not 0x80 < data[0] < 0x98:
        return None
    base, found, at = "", [], 1
    try:
        for _ in range(data[0] - 0x80):
            pairs = data[at] - 0xA0
            at += 1
            own_base = name = value = None
            for _ in range(pairs if 0 < pairs < 4 else 0):
                label, head = data[at], data[at + 1]
                at += 2
                if label == _VALUE and value is None:
                    number = _NUMBERS.get(head)
                    if number is not None:
                        (value,) = number.unpack_from(data, at)
                        at += number.size
                    elif head < 0x18:
                        value = head
                    else:
                        return None
                elif 0x60 <= head < 0x78:
                    text = data[at : at + head - 0x60].decode()
                    at += head - 0x60
                    if label == _BASE_NAME and own_base is None:
                        base = own_base = text
                    elif label == _NAME and name is None:
                        name = text
                    else:
                        return None
                else:
                    return None
            path = paths.parse(base + (name or ""))
            if value is None or not math.isfinite(value) or len(path) < 3:
                return None
            found.append(Node(path, as_type(value, type_of(path))))
    except (IndexError, UnicodeDecodeError, error):
        return None
    return found if at == len(data) else None
