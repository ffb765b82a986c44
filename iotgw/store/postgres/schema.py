"""The schema, with its versioned upgrades: the files ``schema/1.sql``, ``2.sql``, … applied in turn. A released file never changes."""

from __future__ import annotations

from importlib import resources
from itertools import count

import psycopg

from iotgw.core.errors import IotgwError
from iotgw.store.postgres.connection import Connection, sql

LOCK = 0x696F7467
"""The advisory lock of whoever upgrades."""


class NewerSchema(IotgwError):
    """The database was made by a newer program."""


def upgrades() -> list[str]:
    """The SQL texts that bring an empty database to the current schema, oldest first."""
    folder = resources.files("iotgw.store.postgres") / "schema"
    found: list[str] = []
    for version in count(1):
        file = folder / f"{version}.sql"
        if not file.is_file():
            return found
        found.append(file.read_text("utf-8"))
    raise AssertionError


def upgrade(connection: Connection, texts: list[str] | None = None) -> int:
    """Upgrade to the current schema, in one transaction; whoever comes second waits, and finds it done. Returns the version that it had,
    0 for a new database. Raises NewerSchema."""
    texts = upgrades() if texts is None else texts
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        connection.execute("CREATE SCHEMA IF NOT EXISTS iotgw")
        connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version int NOT NULL)")
        row = connection.execute("SELECT version FROM schema_version").fetchone()
        version = row[0] if row else 0
        if version > len(texts):
            raise NewerSchema(
                f"the database: expected schema version {len(texts)} or older, got {version}; made by a newer iotgw?"
            )
        for text in texts[version:]:
            connection.execute(sql(text))
        if row is None:
            connection.execute("INSERT INTO schema_version VALUES (%s)", (len(texts),))
        elif version < len(texts):
            connection.execute("UPDATE schema_version SET version = %s", (len(texts),))
    return int(version)


def is_made(connection: Connection) -> bool:
    """Whether there is a schema at all."""
    try:
        connection.execute("SELECT version FROM schema_version")
    except psycopg.errors.UndefinedTable:
        return False
    return True
