"""What is in the files of an SFTP target: JSON, NDJSON or CSV, compressed and encrypted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, tzinfo

from iotgw.core.errors import SettingsError
from iotgw.core.model import TelemetryRecord
from iotgw.core.own_file import path_of
from iotgw.core.ports.integrations import IntegrationContext
from iotgw.integrations import payload
from iotgw.integrations.csv_layout import CsvLayout
from iotgw.integrations.facts import RecordNames
from iotgw.integrations.files import Columns, json_file, ndjson_file
from iotgw.integrations.formats.table import bodies_of
from iotgw.integrations.packing import Packing
from iotgw.integrations.sftp_settings import SftpSettings

PATHS = {
    "message": "{{ deviceName }}/{{ key }}",
    "batch": "{{ file }}",
    "schedule": "{{ file }}",
}


Entries = Sequence[tuple[TelemetryRecord, bytes]]
"""The records of a file, each with its document."""


class Content:
    """Makes files' content as settings say; raises SettingsError. ``path`` is the template of their paths."""

    def __init__(self, settings: SftpSettings, context: IntegrationContext, names: RecordNames) -> None:
        self._settings = settings
        self._format = payload.formatter(context.spec, names, context.warn, is_alone=False)
        self._bodies = bodies_of(context.spec.format)
        self._is_csv = settings.content == "csv"
        self._is_whole = settings.files != "message"
        columns = Columns(path_of(context.data_dir, "sftp", context.id))
        self._csv = CsvLayout(
            settings.csv,
            columns,
            lambda record: {"id": names.message(record), "datasource": names.datasource(record)},
        )
        self._packing = Packing(settings.compress, settings.encrypt_to)
        split = "_{{ deviceType }}" if self._is_csv and self._is_whole else ""
        ending = settings.content if self._is_csv else self._bodies.suffix or settings.content
        path = settings.path or f"{PATHS[settings.files]}{split}.{ending}"
        suffix = self._packing.suffix
        self.path = path.removesuffix(suffix) + suffix

    @property
    def zone(self) -> tzinfo | None:
        """The time zone of dates in paths; None for UTC."""
        return None if self._csv.zone is UTC else self._csv.zone

    def check(self, used: set[str]) -> None:
        """Refuse what would lose or mix up files. ``used`` are the names in the path's template."""
        settings = self._settings
        if settings.append:
            if settings.content == "json" or (self._is_csv and not self._csv.is_fixed):
                raise SettingsError(
                    "configuration.append",
                    "expected content ndjson, or csv with csv.columns: nothing else can be added to",
                )
            if self._bodies.is_closed and not self._is_csv:
                raise SettingsError(
                    "configuration.append",
                    "expected another format: nothing can be added to a file of this one",
                )
            if self._packing.suffix:
                raise SettingsError(
                    "configuration.append",
                    "expected neither compress nor encryptTo: nothing can be added to such a file",
                )
        elif self._is_whole and "file" not in used:
            raise SettingsError(
                "configuration.path", "expected {{ file }}, else one batch would replace another"
            )
        is_wide = self._is_csv and not self._csv.is_fixed
        if self._is_whole and is_wide and not {"deviceType", "deviceName"} & used:
            raise SettingsError(
                "configuration.path",
                "expected {{ deviceType }}: CSV has a file for each, unless csv.columns lists its columns",
            )

    def document(self, record: TelemetryRecord) -> bytes:
        """What a record adds to a file; of CSV nothing by itself. Raises TemplateFailed, and NothingToSay."""
        return b"" if self._is_csv else self._format(record)

    def file(self, path: str, entries: Entries) -> bytes:
        """A whole file."""
        return self._packing.packed(path, self.text(entries))

    def addition(self, entries: Entries, end: bytes) -> bytes:
        """What is added to a file that ends with ``end``. A line that was cut off ends first."""
        line_end = self._csv.line_end if self._is_csv else b"\n"
        made = self.text(entries, begins=not end)
        return made if not end or end.endswith(line_end) else line_end + made

    def text(self, entries: Entries, begins: bool = True) -> bytes:
        """A file's content before compression and encryption. ``begins``: as a file of its own."""
        if self._is_csv:
            return self._csv.text([record for record, _ in entries], begins)
        made = [document for _, document in entries]
        if self._bodies.together is not None:
            return self._bodies.together(made)
        if self._settings.content == "ndjson":
            return ndjson_file(made)
        return json_file(made) if self._is_whole else b"".join(made)
