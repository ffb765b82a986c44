"""CSV as an office wants it: delimiter, decimal sign, times, columns, quoting, encoding."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from iotgw.core import plain_json
from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.integrations.files import FIXED, Columns

FORMULAS = frozenset("=+-@\t\r\n＝＋－＠")
"""What a spreadsheet takes for the beginning of a formula, in full width too."""
NUMBER = re.compile(r"[+-]?\d{1,300}(?:[.,]\d{1,300})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
"""A text that is a number, such as those of a form. It is no formula, though it may begin like one."""
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
QUOTING = {"minimal": csv.QUOTE_MINIMAL, "all": csv.QUOTE_ALL, "text": csv.QUOTE_NONNUMERIC}
ENDS = {"crlf": "\r\n", "lf": "\n"}
BOM = "\ufeff"
FORM = re.compile(r"(?=.*%[a-zA-Z])(?:[^%\0]|%[a-zA-Z%]){1,60}")
"""What strftime takes, without widths: those could be of any size."""
MOST_COLUMNS = 1000
_decode = plain_json.reader()


class CsvColumn(Struct, frozen=True, forbid_unknown_fields=True):
    """A column. ``value`` says what is in it, ``header`` what stands over it: ``value`` when empty."""

    value: Annotated[str, Meta(description="The template of the column's value.")]
    header: Annotated[str, Meta(description="What stands above the column.")] = ""


class CsvSettings(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How a CSV file looks."""

    delimiter: Annotated[
        Literal["comma", "semicolon", "tab", "pipe"], Meta(description="What stands between two columns.")
    ] = "comma"
    decimal: Annotated[
        Literal["point", "comma"], Meta(description="`comma` needs another delimiter, or quotes its numbers.")
    ] = "point"
    zone: Annotated[
        str,
        Meta(description="Of times, and of `date` and `time` in `path`: a name such as `Europe/Berlin`."),
    ] = "UTC"
    time: Annotated[
        str,
        Meta(
            description="`iso` (milliseconds, with the zone), `unix` or `unix-ms`, or a form as Python's strftime has it: `%d.%m.%Y %H:%M:%S`."
        ),
    ] = "iso"
    columns: Annotated[
        list[CsvColumn],
        Meta(
            max_length=MOST_COLUMNS,
            description="`{value, header}` each, in this order; `value` is `time`, `deviceName`, `deviceType`, `datasource`, `id`, `values.KEY` or `attributes.KEY`. Empty: time, name and type, then all values that ever came.",
        ),
    ] = []
    header: Annotated[bool, Meta(description="Whether the first line names the columns.")] = True
    quoting: Annotated[
        Literal["minimal", "all", "text"],
        Meta(description="What is quoted: what has to be, all, or all but numbers."),
    ] = "minimal"
    encoding: Annotated[
        Literal["utf-8", "windows-1252", "iso-8859-1"],
        Meta(description="A character that it lacks becomes `?`."),
    ] = "utf-8"
    bom: Annotated[bool, Meta(description="A byte order mark in front (UTF-8 only): Excel looks for it.")] = (
        False
    )
    line_end: Annotated[Literal["crlf", "lf"], Meta(description="What ends a line.")] = "crlf"


class CommaNumber(float):
    """A number that is written with a decimal comma, and still is one to the CSV writer."""

    def __str__(self) -> str:
        return float.__repr__(self).replace(".", ",")


class _Lines(list[str]):
    """The lines that `csv` writes. It ends them with CR LF, since it quotes no CR in a text where lines end with LF alone."""

    def write(self, line: str) -> None:
        """Take a line."""
        self.append(line.removesuffix("\r\n"))


class CsvLayout:
    """Makes CSV files as settings say; raises SettingsError. ``named(record)`` gives what a message has besides its body:
    ``datasource`` and ``id``."""

    def __init__(
        self, settings: CsvSettings, columns: Columns, named: Callable[[TelemetryRecord], dict[str, str]]
    ) -> None:
        self._settings = settings
        self._columns = columns
        self._named = named
        self.zone = zone(settings.zone)
        if settings.time not in ("iso", "unix", "unix-ms") and not FORM.fullmatch(settings.time):
            raise SettingsError(
                "configuration.csv.time",
                f"expected iso, unix, unix-ms or a form like %d.%m.%Y %H:%M:%S, got {settings.time[:80]!r}",
            )
        if settings.bom and settings.encoding != "utf-8":
            raise SettingsError("configuration.csv.bom", "expected encoding utf-8 with a byte order mark")
        for number, column in enumerate(settings.columns):
            first, _, key = column.value.partition(".")
            if column.value not in (*FIXED, "datasource", "id") and not (
                first in ("values", "attributes") and key
            ):
                raise SettingsError(
                    f"configuration.csv.columns[{number}].value",
                    f"expected time, deviceName, deviceType, datasource, id, values.KEY or attributes.KEY, got {column.value!r}",
                )

    @property
    def is_fixed(self) -> bool:
        """Whether the columns are listed, so that each file has the same."""
        return bool(self._settings.columns)

    @property
    def line_end(self) -> bytes:
        """What stands at the end of a line."""
        return ENDS[self._settings.line_end].encode()

    def text(self, records: Sequence[TelemetryRecord], begins: bool = True) -> bytes:
        """A row per time of each record. ``begins``: as a file of their own, so with a header. Without listed columns all are
        of one device type."""
        settings = self._settings
        rows = [row for record in records for row in self._rows(record)]
        if settings.columns:
            keys = [column.value for column in settings.columns]
            heads = [
                column.header or column.value.partition(".")[2] or column.value for column in settings.columns
            ]
        else:
            found = dict.fromkeys(key[7:] for row in rows for key in row if key.startswith("values."))
            known = self._columns.of(records[0].device_type, list(found))
            keys = [*FIXED, *(f"values.{key}" for key in known)]
            heads = [*FIXED, *known]
        lines = _Lines()
        writer = csv.writer(
            lines,
            delimiter=DELIMITERS[settings.delimiter],
            quoting=QUOTING[settings.quoting],  # type: ignore[arg-type]
        )
        if begins and settings.header:
            writer.writerow([self._cell(head) for head in heads])
        for row in rows:
            writer.writerow([self._cell(row.get(key)) for key in keys])
        mark = BOM if begins and settings.bom else ""
        text = "".join(line + ENDS[settings.line_end] for line in lines)
        return (mark + text).encode(settings.encoding, "replace")

    def _rows(self, record: TelemetryRecord) -> list[dict[str, Any]]:
        body = _decode(record.body)
        attributes = body.get("attributes") or {}
        entries = body.get("telemetry") or [
            {"ts": record.received_ms, "values": {} if self.is_fixed else attributes}
        ]
        message: dict[str, Any] = {"deviceName": record.device_name, "deviceType": record.device_type}
        if self.is_fixed:
            message |= self._named(record)
            message |= {f"attributes.{key}": value for key, value in attributes.items()}
        return [
            {**message, "time": self._time(entry["ts"])}
            | {f"values.{key}": value for key, value in entry["values"].items()}
            for entry in entries
        ]

    def _time(self, ts: float) -> str | float:
        form = self._settings.time
        if form == "unix-ms":
            return ts
        if form == "unix":
            return ts / 1000 if ts % 1000 else int(ts // 1000)
        try:
            moment = datetime.fromtimestamp(ts / 1000, UTC).astimezone(self.zone)
            if form != "iso":
                return moment.strftime(form)
            return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        except (OverflowError, ValueError, OSError):
            return ts

    def _cell(self, value: Any) -> Any:
        """A value as a cell; text that a spreadsheet would run as a formula gets an apostrophe."""
        if value is None:
            return ""
        if isinstance(value, str):
            return f"'{value}" if value[:1] in FORMULAS and not NUMBER.fullmatch(value) else value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return CommaNumber(value) if self._settings.decimal == "comma" else value
        return msgspec.json.encode(value).decode()


def zone(name: str) -> tzinfo:
    """A time zone by its name; raises SettingsError."""
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except Exception:  # zoneinfo raises many kinds, also of errors with files
        raise SettingsError(
            "configuration.csv.zone",
            f"expected a time zone such as Europe/Berlin that this machine knows (tzdata), got {name[:60]!r}",
        ) from None
