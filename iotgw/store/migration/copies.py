"""Which rows become which: between the tables of the files and those of the database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from iotgw.core.errors import IotgwError

FILES = ("registry.db", "downlinks.db", "journal.db", "devices.db", "kept.db", "events.db", "usage.db")
"""What is copied. The registry is first: what a user saved is most dear."""
SIDES = ("", "-wal", "-shm", "-open")
"""What belongs to a file, behind its name."""


class NotMigrated(IotgwError):
    """Nothing was copied; the message says why."""


class Migrated(Struct, frozen=True):
    """How many rows of each table were copied, and where the data is that they were copied from."""

    rows: dict[str, int]
    aside: str


class Copy(Struct, frozen=True):
    """A query on one side, and where its rows go on the other: a table and its columns. ``texts`` are those of the columns that are text in the
    file and bytes in the database, as PostgreSQL's text has no NUL."""

    file: str
    query: str
    table: str
    columns: Sequence[str]
    texts: frozenset[str] = frozenset()
    counted: str = ""
    """A condition for which of the table's rows come from the query; empty for all."""

    @property
    def rows(self) -> str:
        """Where the rows are, for a query."""
        return f"{self.table} WHERE {self.counted}" if self.counted else self.table

    def encoded(self, rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Rows of a file as the database takes them."""
        places = self._places()
        for row in rows:
            values = list(row)
            for place in places:
                if isinstance(values[place], str):
                    values[place] = values[place].encode()
            yield values

    def decoded(self, rows: Iterator[Sequence[Any]]) -> Iterator[Sequence[Any]]:
        """Rows of the database as the file takes them."""
        places = self._places()
        for row in rows:
            values = list(row)
            for place in places:
                values[place] = bytes(values[place]).decode()
            yield values

    def _places(self) -> list[int]:
        return [place for place, column in enumerate(self.columns) if column in self.texts]


_RECORD = "uplink tenant datasource received_ms kind device_name device_type body"
_OF_PARTITION = (
    ("name", "id text", "text"),
    ("uplink", "seq tenant datasource received_ms metadata payload", ""),
    ("outcome", "seq state converter telemetry error", ""),
    ("telemetry", f"seq {_RECORD}", "device_name device_type"),
    ("conversion", "datasource cursor", ""),
    ("tally", "datasource state count", ""),
    ("integration", "id cursor counters", ""),
    (
        "parked",
        f"integration seq state attempts next_try_ms error {_RECORD} tries",
        "error device_name device_type tries",
    ),
    ("mark", "at_ms uplink telemetry", ""),
    ("epoch", "name uplink telemetry", ""),
)
"""Tables of the journal that are alike: columns, and those with texts of devices."""
_ALIKE = (
    ("registry.db", "device", "device", "tenant name revision created_ms updated_ms body", "name"),
    ("registry.db", "platform_name", "platform_name", "tenant name identity", "name identity"),
    ("kept.db", "row", "kept", "owner key value", "key"),
    ("devices.db", "trouble", "device_trouble", "tenant name what since_ms", "name"),
)  # fmt: skip
"""File, its table, the database's table, columns, and those with texts of devices."""
_RESOURCE = "id kind tenant name revision created_ms updated_ms body deletion"
_STATES = "converterState"
"""The kind of what scripts keep of their devices: in the file a resource, in the database a table."""
_ITEM = "id seq tenant device state updated_ms body network job"
_EVENT = "ts tenant source name type body"
_STATE = "tenant name type datasource first_ms last_ms attributes telemetry times"
_AMOUNTS = "messages bytes errors refused deliveries cpu"


def _list(columns: str, before: str = "") -> str:
    return ", ".join(before + column for column in columns.split())


def into_database(part: int, node: str, clock: str) -> list[Copy]:
    """From the files into the database, the journal into a partition, and what nodes count apart under the name of a node. ``clock`` is the key of that
    node's clock."""
    name = "'" + node.replace("'", "''") + "'"
    journal = [
        Copy(
            "journal.db",
            f"SELECT {part}, {_list(columns)} FROM {table}",
            table,
            ["part", *columns.split()],
            frozenset(texts.split()),
        )
        for table, columns, texts in _OF_PARTITION
    ]
    alike = [
        Copy(file, f"SELECT {_list(columns)} FROM {table}", to, columns.split(), frozenset(texts.split()))
        for file, table, to, columns, texts in _ALIKE
    ]
    usage = [
        Copy(
            "usage.db", f"SELECT at, kind, tenant, id, {name}, {_list(_AMOUNTS)} FROM {unit} JOIN thing ON number = thing",
            f"usage_{unit}", ["at", "kind", "tenant", "id", "node", *_AMOUNTS.split()],
        )
        for unit in ("hour", "day")
    ]  # fmt: skip
    return [
        Copy("registry.db", f"SELECT {_list(_RESOURCE)} FROM resource WHERE kind <> '{_STATES}'", "resource", _RESOURCE.split()),
        Copy(
            "registry.db", f"SELECT tenant, name, updated_ms, body, 0 FROM resource WHERE kind = '{_STATES}'", "converter_state",
            ["tenant", "name", "at_ms", "body", "changed"], frozenset({"name"}),
        ),
        *alike,
        *journal,
        Copy(
            "journal.db", f"SELECT '{clock}', value FROM meta WHERE key = 'clock'", "fact", ["key", "value"], frozenset({"value"}),
            "key LIKE 'clock%'",
        ),
        Copy(
            "downlinks.db", f"SELECT {_list(_ITEM)}, json_extract(CAST(body AS TEXT), '$.expires_ms') FROM item", "item",
            [*_ITEM.split(), "expires_ms"], frozenset({"device", "network"}),
        ),
        Copy(
            "devices.db", f"SELECT folded(name), 1, {_list(_STATE)}, at_ms, body FROM device LEFT JOIN latest ON device = device.id",
            "device_state", ["folded", "version", *_STATE.split(), "latest_ms", "latest"], frozenset({"name", "type", "datasource"}),
        ),
        Copy(
            "devices.db", "SELECT tenant, name, datasource, proved FROM owner", "device_owner",
            ["tenant", "name", "datasource", "proved"], frozenset({"name", "datasource"}),
        ),
        Copy("devices.db", f"SELECT {part}, position FROM seen", "device_position", ["part", "position"]),
        Copy(
            "events.db", f"SELECT {name}, id, {_list(_EVENT)} FROM event ORDER BY id", "event", ["node", "no", *_EVENT.split()],
            frozenset({"name"}),
        ),
        Copy("usage.db", "SELECT kind, tenant, id, name FROM thing", "usage_thing", ["kind", "tenant", "id", "name"]),
        *usage,
        Copy(
            "usage.db", f"SELECT at, tenant, name, {name}, messages, bytes, errors FROM device_day JOIN device ON number = device", "usage_device",
            ["at", "tenant", "name", "node", "messages", "bytes", "errors"], frozenset({"name"}),
        ),
    ]  # fmt: skip


_DEVICES = "(SELECT row_number() OVER (ORDER BY tenant, name) AS number, device_state.* FROM device_state) AS numbered"
_THINGS = "(SELECT row_number() OVER (ORDER BY kind, tenant, id) AS number, usage_thing.* FROM usage_thing) AS numbered"
_COUNTED = """(SELECT row_number() OVER (ORDER BY tenant, name) AS number, tenant, name FROM
    (SELECT DISTINCT tenant, name FROM usage_device) AS each) AS numbered"""
_SUMS = """sum(messages)::bigint, sum(bytes)::bigint, sum(errors)::bigint, sum(refused)::bigint, sum(deliveries)::bigint, sum(cpu)"""


def into_files(part: int, clock: str) -> list[Copy]:
    """From the database into the files, the journal of one partition, whose clock has the key ``clock``. What nodes counted apart is summed."""
    journal = [
        Copy(
            "journal.db",
            f"SELECT {_list(columns)} FROM {table} WHERE part = {part}",
            table,
            columns.split(),
            frozenset(texts.split()),
        )
        for table, columns, texts in _OF_PARTITION
    ]
    alike = [
        Copy(file, f"SELECT {_list(columns)} FROM {table}", to, columns.split(), frozenset(texts.split()))
        for file, to, table, columns, texts in _ALIKE
    ]
    usage = [
        Copy(
            "usage.db", f"SELECT at, number, {_SUMS} FROM usage_{unit} JOIN {_THINGS} USING (kind, tenant, id) GROUP BY at, number",
            unit, ["at", "thing", *_AMOUNTS.split()],
        )
        for unit in ("hour", "day")
    ]  # fmt: skip
    return [
        Copy(
            "registry.db", f"SELECT {_list(_RESOURCE)} FROM resource", "resource", _RESOURCE.split(), counted=f"kind <> '{_STATES}'",
        ),
        Copy(
            "registry.db",
            f"SELECT left(md5(convert_to(tenant, 'UTF8') || '/' || name), 16), '{_STATES}', tenant, name, 1, at_ms, at_ms, body "
            "FROM converter_state WHERE body <> ''",
            "resource", ["id", "kind", "tenant", "name", "revision", "created_ms", "updated_ms", "body"], frozenset({"name"}),
            f"kind = '{_STATES}'",
        ),
        *alike,
        *journal,
        Copy(
            "journal.db", f"SELECT 'clock', value FROM fact WHERE key = '{clock}'", "meta", ["key", "value"], frozenset({"value"}),
            "key = 'clock'",
        ),
        Copy("downlinks.db", f"SELECT {_list(_ITEM)} FROM item", "item", _ITEM.split(), frozenset({"device", "network"})),
        Copy(
            "devices.db", f"SELECT number, {_list(_STATE)} FROM {_DEVICES}", "device", ["id", *_STATE.split()],
            frozenset({"name", "type", "datasource"}),
        ),
        Copy(
            "devices.db", f"SELECT number, latest_ms, latest FROM {_DEVICES} WHERE latest_ms IS NOT NULL", "latest",
            ["device", "at_ms", "body"],
        ),
        Copy(
            "devices.db", "SELECT tenant, name, datasource, proved::int FROM device_owner", "owner",
            ["tenant", "name", "datasource", "proved"], frozenset({"name", "datasource"}),
        ),
        Copy(
            "devices.db", f"SELECT 0, coalesce((SELECT position FROM device_position WHERE part = {part}), 0)", "seen",
            ["id", "position"],
        ),
        Copy(
            "events.db", f"SELECT row_number() OVER (ORDER BY id), {_list(_EVENT)} FROM event", "event", ["id", *_EVENT.split()],
            frozenset({"name"}),
        ),
        Copy(
            "usage.db", f"SELECT number, kind, tenant, id, name FROM {_THINGS}", "thing", ["number", "kind", "tenant", "id", "name"],
        ),
        *usage,
        Copy("usage.db", f"SELECT number, tenant, name FROM {_COUNTED}", "device", ["number", "tenant", "name"], frozenset({"name"})),
        Copy(
            "usage.db",
            f"SELECT at, number, sum(messages)::bigint, sum(bytes)::bigint, sum(errors)::bigint FROM usage_device JOIN {_COUNTED} USING (tenant, name) GROUP BY at, number",
            "device_day", ["at", "device", "messages", "bytes", "errors"],
        ),
    ]  # fmt: skip


def belongings(data_dir: Path, name: str) -> list[Path]:
    """A database's file, and those beside it, as far as they are there."""
    return [path for side in SIDES if (path := data_dir / f"{name}{side}").exists()]
