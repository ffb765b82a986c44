"""Filters that write values as their target reads them: times, and escapes for the languages of targets."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha256
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from jinja2 import Undefined, pass_environment

from iotgw.integrations.template_missing import present

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PRECISIONS = ("minutes", "seconds", "milliseconds", "microseconds")
UNITS = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
"""How many of each are in a second."""
DIGITS = 9
"""Decimals of seconds, at most."""
INFLUX = ("field", "tag", "measurement")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write (§2.2)."""
_XML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&apos;", "\r": "&#13;"})
_SPARQL = str.maketrans(
    {"\\": "\\\\", '"': '\\"', "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
)
_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\r": "\\ ", "\t": "\\ "})
_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ ", "\n": "\\ ", "\r": "\\ ", "\t": "\\ "})
_NO_SLUG = re.compile("[^A-Za-z0-9_-]")
_BEFORE = re.compile(r"\\+(?=[,= \n\r\t]|\Z)")
_COMMENT = re.compile("^#")
_STRING = str.maketrans({"\\": "\\\\", '"': '\\"'})


def _absent(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises, with its name
    raise TypeError(f"expected a JSON value, got {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_absent).encode


def json_of(value: Any) -> str:
    """A value as JSON. Raises Jinja's UndefinedError if one is missing in it."""
    return _encode(value).decode()


def data_text(value: Any) -> str:
    """A value as text. Truths, nothing, lists and objects are written as JSON has them."""
    if isinstance(value, str):
        return str(value)
    if value is None or isinstance(value, bool | list | tuple | dict):
        return json_of(value)
    return str(value)


@lru_cache(maxsize=64)
def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except Exception:  # zoneinfo raises many kinds, also of errors with files
        raise ValueError(
            f"isoformat: expected a time zone such as Europe/Berlin that this machine knows (tzdata), got {name[:60]!r}"
        ) from None


def check_isoformat(precision: Any = "milliseconds", zone: Any = "UTC") -> None:
    """Raise ValueError for wrong arguments of ``isoformat``."""
    if precision not in PRECISIONS:
        raise ValueError(f"isoformat: expected one of {', '.join(PRECISIONS)}, got {str(precision)[:60]!r}")
    if not isinstance(zone, str):
        raise ValueError("isoformat: expected the name of a time zone")
    _zone(zone)


def check_unix(unit: Any = "s", digits: Any = 0) -> None:
    """Raise ValueError for wrong arguments of ``unix``."""
    if unit not in UNITS:
        raise ValueError(f"unix: expected one of {', '.join(UNITS)}, got {str(unit)[:60]!r}")
    if type(digits) is not int or not 0 <= digits <= DIGITS or (digits and unit != "s"):
        raise ValueError(f"unix: expected 0 to {DIGITS} decimals, of seconds")


def check_influx(kind: Any = "field") -> None:
    """Raise ValueError for a wrong argument of ``influx``."""
    if kind not in INFLUX:
        raise ValueError(f"influx: expected one of {', '.join(INFLUX)}, got {str(kind)[:60]!r}")


def check_csv(delimiter: Any = ",") -> None:
    """Raise ValueError for a wrong argument of ``csv``."""
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n':
        raise ValueError("csv: expected one character between fields")


def _milliseconds(name: str, value: Any) -> float:
    present(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}: expected a time in milliseconds since 1970, got {data_text(value)[:40]}")
    return value


@pass_environment
def isoformat(environment: Any, value: Any, precision: str = "milliseconds", zone: str = "UTC") -> str:
    """The filter ``isoformat``: a time in milliseconds as ISO 8601 has it, ``2023-11-14T22:13:20.123Z``."""
    environment.budget.spend(20)
    check_isoformat(precision, zone)
    try:
        moment = _EPOCH + timedelta(milliseconds=_milliseconds("isoformat", value))
        text = moment.astimezone(_zone(zone)).isoformat(timespec=precision)
    except OverflowError:
        raise ValueError(f"isoformat: expected a time between the years 1 and 9999, got {value}") from None
    return text[:-6] + "Z" if zone == "UTC" else text


@pass_environment
def unix(environment: Any, value: Any, unit: str = "s", digits: int = 0) -> int | str:
    """The filter ``unix``: a time in milliseconds as seconds since 1970, or another unit, whole or with decimals."""
    environment.budget.spend(10)
    check_unix(unit, digits)
    time = _milliseconds("unix", value)
    if digits:
        return f"{time / 1000:.{digits}f}"
    return math.floor(time * UNITS[unit] / 1000) if isinstance(time, float) else time * UNITS[unit] // 1000


@pass_environment
def influx(environment: Any, value: Any, kind: str = "field") -> str:
    """The filter ``influx``: a value of a field in InfluxDB's line protocol, or with ``tag`` a tag's key or value or a field's key, or a
    ``measurement``. Numbers are floats, as one that comes as 21 comes as 21.5 later.
    https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/"""
    check_influx(kind)
    environment.budget.weigh_text(present(value))
    if value is None:
        raise ValueError("influx: expected a value, got null, which line protocol doesn't have")
    return influx_field(value) if kind == "field" else influx_name(value, kind)


def influx_field(value: Any) -> str:
    """A field's value in line protocol."""
    if isinstance(value, int | float):
        return data_text(value)
    return f'"{data_text(value).translate(_STRING)}"'


def influx_name(value: Any, kind: str = "tag") -> str:
    """A tag's key or value, a field's key, or a measurement in line protocol.

    There is no way to write a backslash before what has to be escaped, or at the end, so those are left out; line ends become spaces. A
    measurement can't begin as a comment does."""
    text = _BEFORE.sub("", data_text(value))
    if kind == "measurement":
        return _COMMENT.sub("_", text.translate(_MEASUREMENT), count=1) or "_"
    return text.translate(_TAG) or "_"


@pass_environment
def csv_field(environment: Any, value: Any, delimiter: str = ",") -> str:
    """The filter ``csv``: a field of CSV (RFC 4180 §2), in quotes where it has to be; empty for null."""
    check_csv(delimiter)
    environment.budget.weigh_text(present(value))
    text = "" if value is None else data_text(value)
    if delimiter in text or '"' in text or "\n" in text or "\r" in text:
        return '"' + text.replace('"', '""') + '"'
    return text


@pass_environment
def xml_text(environment: Any, value: Any) -> str:
    """The filter ``xml``: text in an element or an attribute. Characters that XML 1.0 doesn't have become U+FFFD."""
    environment.budget.weigh_text(present(value))
    return _NOT_XML.sub("\ufffd", data_text(value)).translate(_XML)


@pass_environment
def sparql_string(environment: Any, value: Any) -> str:
    """The filter ``sparql``: what stands between the quotes of a string in SPARQL or Turtle (SPARQL 1.1 §19.8, ECHAR)."""
    environment.budget.weigh_text(present(value))
    return data_text(value).translate(_SPARQL)


@pass_environment
def slug(environment: Any, value: Any, distinct: bool = False) -> str:
    """The filter ``slug``: letters, digits, ``_`` and ``-`` of ASCII, with ``_`` for all else, as identifiers of many platforms are. ``distinct``: where
    something was replaced, a hash of the whole follows, so that two values keep apart that differ in that alone."""
    environment.budget.weigh_text(present(value))
    text = data_text(value)
    made, replaced = _NO_SLUG.subn("_", text)
    if distinct and (replaced or not text):
        return f"{made}_{sha256(text.encode(errors='surrogatepass')).hexdigest()[:8]}"
    return made


DATA: dict[str, Callable[..., Any]] = {
    "csv": csv_field, "influx": influx, "isoformat": isoformat, "slug": slug, "sparql": sparql_string, "unix": unix, "xml": xml_text,
}  # fmt: skip
"""The filters by their names."""
CHECKS: dict[str, Callable[..., None]] = {
    "csv": check_csv, "influx": check_influx, "isoformat": check_isoformat, "unix": check_unix,
}  # fmt: skip
"""What refuses wrong arguments of a filter, with ValueError."""
