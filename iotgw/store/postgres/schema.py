"""The schema, with its versioned upgrades: the files of ``schema/``, applied in the order of their numbers. A released file never changes.

While nodes are upgraded one after the other, programs of two versions work on one schema, which is the newer one's. A file whose changes don't
disturb older programs says so in its first line: ``-- Programs of schema 6 go on.`` They do, and may be started again, too."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import resources

import psycopg

from iotgw.core.errors import IotgwError
from iotgw.store.postgres.connection import Connection, sql

LOCK = 0x696F7467
"""The advisory lock of whoever upgrades."""
_GO_ON = re.compile(r"-- Programs of schema (\d+) go on\.")


class NewerSchema(IotgwError):
    """The database was upgraded by a newer program, and this one is too old for it."""


def upgrades() -> dict[int, str]:
    """The SQL texts that bring an empty database to the current schema, by version, oldest first. Numbers may be missing."""
    folder = resources.files("iotgw.store.postgres") / "schema"
    found = {int(file.name[:-4]): file for file in folder.iterdir() if file.name.endswith(".sql")}
    return {version: found[version].read_text("utf-8") for version in sorted(found)}


def oldest(texts: Mapping[int, str]) -> int:
    """The oldest schema whose programs may work on the one that these texts make."""
    said = {number: _GO_ON.match(text) for number, text in texts.items()}
    return max(int(found[1]) if found else number for number, found in said.items())


def upgrade(connection: Connection, texts: Mapping[int, str] | None = None) -> int:
    """Upgrade to the current schema, in one transaction; whoever comes second waits, and finds it done. A newer one is left as it is. Returns the
    version that it had, 0 for a new database. Raises NewerSchema where the newer one isn't for this program."""
    texts = upgrades() if texts is None else texts
    latest = max(texts)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS iotgw")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL, oldest int NOT NULL)"
        )
        row = connection.execute("SELECT * FROM schema_version").fetchone()
        if row is not None and len(row) == 1:
            connection.execute("ALTER TABLE schema_version ADD COLUMN oldest int NOT NULL DEFAULT 0")
        version = row[0] if row else 0
        needed = row[1] if row and len(row) > 1 else version
        if needed > latest:
            raise NewerSchema(
                f"the database: expected schema version {latest}, or a later one that this iotgw may work with, got {version}, "
                f"which needs version {needed}; made by a newer iotgw?"
            )
        for number in sorted(texts):
            if number > version:
                connection.execute(sql(texts[number]))
        if row is None:
            connection.execute("INSERT INTO schema_version VALUES (%s, %s)", (latest, oldest(texts)))
        elif version < latest:
            connection.execute("UPDATE schema_version SET version = %s, oldest = %s", (latest, oldest(texts)))
    return int(version)


def is_made(connection: Connection, version: int = 1) -> bool:
    """Whether there is a schema, of this version at least."""
    try:
        row = connection.execute("SELECT version FROM schema_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return False
    return row is not None and row[0] >= version
