"""Lists of devices as CSV: what spreadsheets write, and what is safe to open in one.

A file begins with a row of names: those of `iotgw.core.device_entry.DeviceSpec`, ``tag.KEY`` for each tag, and ``psk.identity``,
``psk.key`` and ``psk.encoding`` for a device's pre-shared key. Commas, semicolons and tabs may part the cells. Groups are parted
by ``|``. An empty cell is an empty value; a column that isn't there leaves what is stored as it is.

A cell that a spreadsheet would take for a formula is written with an apostrophe before it, which is taken away when it is
read: CSV injection (OWASP).
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Any

from msgspec import Struct

from iotgw.core.numbers import real, shown

NUMBERS = frozenset({"latitude", "longitude", "reportEvery", "batteryBelow", "signalBelow"})
COLUMNS: tuple[str, ...] = (
    "name", "label", "type", "groups", "latitude", "longitude", "place", "serial", "identity", "converter", "notes",
    "reportEvery", "batteryBelow", "batteryKey", "signalBelow", "signalKey",
)  # fmt: skip
KEYS = ("psk.identity", "psk.key", "psk.encoding")
_DELIMITERS = ",;\t"
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
LONGEST_CELL = 8192
"""Characters."""
MOST_COLUMNS = 200
"""Of a list that is read; one with more can't be written for that."""


class NoTable(ValueError):
    """A text is no list of devices; the message says why, in one line."""


class Row(Struct, frozen=True):
    """A row: the line on which it ends, the device as JSON, and what is wrong with it."""

    line: int
    device: dict[str, Any] = {}
    error: str = ""


def text_of(raw: bytes) -> str:
    """The text of a file, in UTF-8 or, as some spreadsheets have it, in UTF-16 with a byte order mark; raises NoTable."""
    try:
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return raw.decode("utf-16")
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NoTable(
            f"expected UTF-8, got byte 0x{raw[error.start]:02x} at position {error.start}"
        ) from error


def lines_of(text: str) -> Iterator[str]:
    """The lines of a text with their ends, as `csv` wants them: no other character than CR and LF ends one."""
    return iter(StringIO(text, newline=""))


def read(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of a CSV file, given by its lines with their ends. Raises NoTable for a file without a proper first row."""
    cells, line = _cells(lines)
    try:
        header = next(cells, None)
    except csv.Error as error:
        raise NoTable(f"expected a first row with the names of the columns: {error}") from error
    if header is None:
        raise NoTable("expected a first row with the names of the columns, got nothing")
    columns = _columns(header)
    has_decimal_commas = line.delimiter == ";"
    for number, row in _numbered(cells, line):
        if isinstance(row, str):
            yield Row(number, {}, row)
        elif any(row):
            if len(row) > len(columns) and any(row[len(columns) :]):
                yield Row(number, {}, f"expected {len(columns)} cells, got {len(row)}")
            else:
                yield _row(number, columns, row, has_decimal_commas)


class _Lines:
    """The reader's own count of lines, and what parts its cells."""

    def __init__(self, reader: Any, delimiter: str, before: int) -> None:
        self._reader, self.delimiter, self._before = reader, delimiter, before

    @property
    def number(self) -> int:
        """The line that was read last, counted from 1."""
        return int(self._reader.line_num) + self._before


def _cells(lines: Iterable[str]) -> tuple[Iterator[list[str]], _Lines]:
    rest = iter(lines)
    first, before = next(rest, ""), 0
    first = first.removeprefix("\ufeff")
    said = ""
    if re.fullmatch(r"sep=[,;\t]\r?\n?", first, re.I):
        said, first, before = first[4], next(rest, ""), 1
    bare = re.sub(r'"[^"]*"', "", first)
    delimiter = said or max(_DELIMITERS, key=bare.count)

    def all_lines() -> Iterator[str]:
        if first:
            yield first
        yield from rest

    reader = csv.reader(
        (line.replace("\0", "\ufffd") for line in all_lines()), delimiter=delimiter, strict=True
    )
    return iter(reader), _Lines(reader, delimiter, before)


def _numbered(cells: Iterator[list[str]], line: _Lines) -> Iterator[tuple[int, list[str] | str]]:
    """Each row, or what is wrong with it, with its line."""
    while True:
        try:
            row = next(cells)
        except StopIteration:
            return
        except csv.Error as error:
            yield line.number, f"expected CSV: {error}"
            continue
        yield line.number, row


def _columns(header: Sequence[str]) -> list[str]:
    columns = [name.strip() for name in header]
    while columns and not columns[-1]:
        columns.pop()
    known = {name.lower(): name for name in (*COLUMNS, *KEYS)}
    columns = [known.get(name.lower(), name) for name in columns]
    unknown = [name for name in columns if name not in known.values() and not re.fullmatch(r"tag\..+", name)]
    if unknown:
        raise NoTable(
            f"expected columns of {', '.join((*COLUMNS, *KEYS))}, or tag.KEY, got {', '.join(map(shown, unknown[:5]))}"
        )
    if "name" not in columns:
        raise NoTable("expected a column 'name'")
    if len(set(columns)) < len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise NoTable(f"expected each column once, got {shown(twice)} again")
    if len(columns) > MOST_COLUMNS:
        raise NoTable(f"expected at most {MOST_COLUMNS} columns, got {len(columns)}")
    return columns


def value_of(column: str, text: str, has_decimal_commas: bool = False) -> Any:
    """The value of a cell: None where an empty one takes away what was there. Raises ValueError."""
    if len(text) > LONGEST_CELL:
        raise ValueError(f"{column}: expected at most {LONGEST_CELL} characters, got {len(text)}")
    if column == "notes":
        return text
    text = text.strip()
    if column in NUMBERS:
        value = real(text.replace(",", ".") if has_decimal_commas else text) if text else None
        if text and value is None:
            raise ValueError(f"{column}: expected a number, got {shown(text)}")
        return value
    if column == "groups":
        return [group for each in text.split("|") if (group := each.strip())]
    return (text or None) if column.startswith("tag.") else text


def _row(number: int, columns: Sequence[str], cells: Sequence[str], has_decimal_commas: bool) -> Row:
    device: dict[str, Any] = {}
    key: dict[str, str] = {}
    try:
        for column, cell in zip(columns, [*cells, *[""] * (len(columns) - len(cells))], strict=False):
            value = value_of(column, _plain(cell), has_decimal_commas)
            if column.startswith("tag."):
                device.setdefault("tags", {})[column[4:]] = value
            elif column in KEYS:
                key[column[4:]] = value
            else:
                device[column] = value
    except ValueError as error:
        name = _plain(cells[columns.index("name")]) if columns.index("name") < len(cells) else ""
        return Row(number, {"name": name.strip()}, str(error))
    if key.get("key"):
        secret = {"value": key["key"], "encoding": key.get("encoding") or "text"}
        device["credentials"] = [
            {"type": "psk", "identity": key.get("identity") or device["name"], "secrets": [secret]}
        ]
    return Row(number, device)


def write(
    devices: Sequence[dict[str, Any]],
    tags: Sequence[str] = (),
    with_keys: bool = False,
    with_header: bool = True,
) -> str:
    """Devices as CSV, CRLF-terminated (RFC 4180). ``tags`` are the keys that get columns."""
    columns = [*COLUMNS, *(KEYS if with_keys else ()), *(f"tag.{tag}" for tag in tags)]
    out = StringIO()
    writer = csv.writer(out)
    if with_header:
        writer.writerow([safe(column) for column in columns])
    for device in devices:
        cells = {
            **device,
            **_key(device),
            **{f"tag.{key}": text for key, text in device.get("tags", {}).items()},
        }
        writer.writerow([_cell(column, cells.get(column)) for column in columns])
    return out.getvalue()


def tags_of(devices: Iterable[dict[str, Any]]) -> list[str]:
    """All keys of their tags, in order."""
    return sorted({key for device in devices for key in device.get("tags", {})})


def _key(device: dict[str, Any]) -> dict[str, str]:
    for credential in device.get("credentials", ()):
        if credential.get("type", "psk") == "psk" and credential.get("secrets"):
            secret = credential["secrets"][0]
            return {
                "psk.identity": credential["identity"], "psk.key": secret["value"], "psk.encoding": secret.get("encoding", "text"),
            }  # fmt: skip
    return {}


def _cell(column: str, value: Any) -> str:
    if value is None:
        return ""
    if column in NUMBERS:
        return repr(value)
    return safe("|".join(value) if column == "groups" else str(value))


def safe(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def _plain(text: str) -> str:
    """What `safe` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
