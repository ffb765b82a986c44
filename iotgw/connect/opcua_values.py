"""OPC UA's values as JSON, and back (OPC 10000-6 §5.1). This and `opcua_session` are all that knows the package ``asyncua``,
an extra."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from asyncua import ua

from iotgw.core.numbers import real

LONGEST = 1000
"""Items of an array."""
_WHOLE = {
    ua.VariantType.SByte: 8, ua.VariantType.Int16: 16, ua.VariantType.Int32: 32, ua.VariantType.Int64: 64,
    ua.VariantType.Byte: -8, ua.VariantType.UInt16: -16, ua.VariantType.UInt32: -32, ua.VariantType.UInt64: -64,
}  # fmt: skip
"""The bits of each whole number; without a sign they are negative here."""
NUMBERS = frozenset((*_WHOLE, ua.VariantType.Float, ua.VariantType.Double))
"""Types that have a deadband."""
CLOSE = 1e-6
"""By how much a number may differ that a server gives back, in proportion to it: a Float has 24 bits."""


class NoJson(ValueError):
    """A value that has no form in JSON."""


def to_json(value: Any) -> Any:
    """A value as JSON. Raises NoJson for a structure, or an array that is too long."""
    if isinstance(value, list):
        if len(value) > LONGEST:
            raise NoJson(f"an array of {len(value)} values")
        return [to_json(each) for each in value]
    for type_, form in _FORMS:
        if isinstance(value, type_):
            return form(value)
    raise NoJson(f"a structure ({type(value).__name__})")


_FORMS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (Enum, lambda value: value.value),
    ((bool, int, str, type(None)), lambda value: value),
    (float, lambda value: value if math.isfinite(value) else None),
    (datetime, lambda value: (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()),
    (bytes, lambda value: base64.b64encode(value).decode()),
    (ua.LocalizedText, lambda value: value.Text),
    (ua.QualifiedName, lambda value: value.Name),
    (ua.NodeId, lambda value: value.to_string()),
    (ua.StatusCode, lambda value: value.name),
    (ua.Variant, lambda value: to_json(value.Value)),
    (UUID, str),
)
"""The form of each type; an Enum may be an int as well."""


def from_json(value: Any, type_: ua.VariantType) -> Any:
    """A JSON value as one of this type. Raises ValueError with what was expected."""
    if isinstance(value, list):
        return [from_json(each, type_) for each in value]
    made = None
    if type_ in NUMBERS:
        made = _number(value, type_)
    elif type_ is ua.VariantType.Boolean:
        made = value if isinstance(value, bool) else None
    elif isinstance(value, str):
        made = _of_text(value, type_)
    if made is None:
        raise ValueError(f"expected a value of type {type_.name}, got {value!r}"[:200])
    return made


def _number(value: Any, type_: ua.VariantType) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if type_ not in _WHOLE:
        return value if isinstance(value, float) else real(value)
    bits = _WHOLE[type_]
    low, high = (0, 2**-bits) if bits < 0 else (-(2 ** (bits - 1)), 2 ** (bits - 1))
    return int(value) if low <= value < high and value == int(value) else None


def _of_text(value: str, type_: ua.VariantType) -> Any:
    if type_ is ua.VariantType.String:
        return value
    if type_ is ua.VariantType.LocalizedText:
        return ua.LocalizedText(value)
    try:
        if type_ is ua.VariantType.DateTime:
            date = datetime.fromisoformat(value)
            return date.astimezone(UTC).replace(tzinfo=None) if date.tzinfo else date
        if type_ is ua.VariantType.ByteString:
            return base64.b64decode(value, validate=True)
    except (ValueError, OverflowError):
        pass
    return None


def is_same(written: Any, read: Any) -> bool:
    """Whether a server gives back what it was given; a Float is less exact than a JSON number."""
    if isinstance(written, list) and isinstance(read, list):
        return len(written) == len(read) and all(map(is_same, written, read))
    if isinstance(written, float) and isinstance(read, float):
        return math.isclose(written, read, rel_tol=CLOSE) or (math.isnan(written) and math.isnan(read))
    return bool(written == read)


def ms(date: datetime | None) -> int | None:
    """A server's date, which is in UTC, in ms since 1970."""
    if date is None:
        return None
    return int((date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() * 1000)
