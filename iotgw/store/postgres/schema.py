"""The schema, with its versioned upgrades: the files of ``schema/``, applied in the order of their numbers. A released file never changes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources

import psycopg

from iotgw.core.errors import IotgwError
from iotgw.store.postgres.connection import Connection, sql

LOCK = 0x696F7467
"""The advisory lock of whoever upgrades."""


class NewerSchema(IotgwError):
    """The database was made by a newer program."""


def upgrades() -> dict[int, str]:
    """The SQL texts that bring an empty database to the current schema, by version, oldest first. Numbers may be missing."""
    folder = resources.files("iotgw.store.postgres") / "schema"
    found = {int(file.name[:-4]): file for file in folder.iterdir() if file.name.endswith(".sql")}
    return {version: found[version].read_text("utf-8") for version in sorted(found)}


def upgrade(connection: Connection, texts: Mapping[int, str] | None = None) -> int:
    """Upgrade to the current schema, in one transaction; whoever comes second waits, and finds it done. Returns the version that it had,
    0 for a new database. Raises NewerSchema."""
    texts = upgrades() if texts is None else texts
    latest = max(texts)
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS iotgw")
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)")
        row = connection.execute("SELECT version FROM schema_version").fetchone()
        version = row[0] if row else 0
        if version > latest:
            raise NewerSchema(
                f"the database: expected schema version {latest} or older, got {version}; made by a newer iotgw?"
            )
        for number in sorted(texts):
            if number > version:
                connection.execute(sql(texts[number]))
        if row is None:
            connection.execute("INSERT INTO schema_version VALUES (%s)", (latest,))
        elif version < latest:
            connection.execute("UPDATE schema_version SET version = %s", (latest,))
    return int(version)


def is_made(connection: Connection, version: int = 1) -> bool:
    """Whether there is a schema, of this version at least."""
    try:
        row = connection.execute("SELECT version FROM schema_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return False
    return row is not None and row[0] >= version
