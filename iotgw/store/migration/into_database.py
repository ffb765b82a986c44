"""From the files of a data directory into an empty database: all in one transaction."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from iotgw.core import private
from iotgw.core.errors import Unavailable
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.manifest import KEY, fingerprint, sync
from iotgw.store.migration.copies import FILES, Copy, Migrated, NotMigrated, belongings, into_database
from iotgw.store.postgres import names, schema
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.device_rows import folded
from iotgw.store.postgres.draft import RECORD_BYTES, UPLINK_BYTES
from iotgw.store.postgres.partition import LEASE, take
from iotgw.store.postgres.writer import clock_of
from iotgw.store.restore import expect_finished
from iotgw.store.sqlite.damage import OpenMark
from iotgw.store.sqlite.database import connect, upgrade
from iotgw.store.sqlite.device_rows import SMALL_PAGE

_KEY = "secret-key"
"""Of the table ``fact``, as `iotgw.store.postgres.node` has it."""
_POSITIONS = """UPDATE partition SET
    uplink = (SELECT greatest(partition.uplink, (SELECT max(seq) FROM uplink), (SELECT max(cursor) FROM conversion), (SELECT max(seq) FROM outcome))),
    telemetry = (SELECT greatest(partition.telemetry, (SELECT max(seq) FROM telemetry), (SELECT max(cursor) FROM integration))),
    bytes = coalesce((SELECT sum(octet_length(metadata) + octet_length(payload) + %s) FROM uplink), 0)
          + coalesce((SELECT sum(octet_length(device_name) + octet_length(body) + %s) FROM telemetry), 0)
WHERE id = %s"""


def migrate_into_database(
    data_dir: Path, address: Address, node: str = "", *, lease: float = LEASE
) -> Migrated:
    """Copy what a gateway has in ``data_dir`` into the database at ``address``, where none of it may be yet, and put the files aside. The node
    ``node``, or the one that has this machine's name, goes on with it. Raises NotMigrated, AlreadyRunning or Unavailable, and has changed nothing then."""
    lock = DataDirectoryLock(data_dir)
    lock.acquire()
    try:
        expect_finished(data_dir)
        files = [name for name in FILES if (data_dir / name).exists()]
        if not files:
            raise NotMigrated(
                f"{data_dir}: expected {FILES[0]} or another of a gateway's databases, there is none"
            )
        for name in files:
            if lost := OpenMark(data_dir / name).lost():
                raise NotMigrated(f"{lost}. Start the gateway on its files once, and stop it")
        with opened(address, data_dir) as connection:
            home = names.join(connection, node, socket.gethostname())
            take(connection, home.part, home.name, lease=lease)
            rows = _copy(connection, data_dir, files, home)
        aside = _put_aside(data_dir, files)
    finally:
        lock.release()
    return Migrated(rows, str(aside))


@contextmanager
def opened(address: Address, data_dir: Path) -> Iterator[Connection]:
    """A connection to a database whose secrets are sealed with this data directory's key."""
    try:
        connection = address.connect()
    except psycopg.OperationalError as error:
        raise Unavailable(
            f"store.url: expected a database at {address.shown}, got: {str(error).strip()}"
        ) from error
    with closing(connection):
        try:
            schema.upgrade(connection)
            _check_key(connection, data_dir / KEY)
            yield connection
        except psycopg.Error as error:
            raise NotMigrated(f"the database at {address.shown}: {str(error).strip()}") from error


def _check_key(connection: Connection, file: Path) -> None:
    if not file.exists():
        raise NotMigrated(f"{file}: expected the key of the secrets, got no file")
    known = connection.execute("SELECT value FROM fact WHERE key = %s", (_KEY,)).fetchone()
    if known is not None and known[0] != fingerprint(file.read_bytes()).encode():
        raise NotMigrated(
            f"{file}: expected the key that the database's secrets are sealed with, got another"
        )


def _copy(connection: Connection, data_dir: Path, files: list[str], home: names.NodeName) -> dict[str, int]:
    done: dict[str, int] = {}
    copies = [copy for copy in into_database(home.part, home.name, clock_of(home.part)) if copy.file in files]
    with connection.transaction():
        for copy in copies:
            if copy.table != "fact":
                _expect_empty(connection, copy.table)
        connection.execute("DELETE FROM fact WHERE key = %s", (clock_of(home.part),))
        for name in files:
            with opened_file(data_dir / name) as source:
                for copy in copies:
                    if copy.file == name:
                        done[copy.table] = _copy_table(connection, source, copy)
        if "journal.db" in files:
            connection.execute(_POSITIONS, (UPLINK_BYTES, RECORD_BYTES, home.part))
        mine = fingerprint((data_dir / KEY).read_bytes()).encode()
        connection.execute("INSERT INTO fact VALUES (%s, %s) ON CONFLICT DO NOTHING", (_KEY, mine))
    # A commit whose wait for a standby was cancelled counts once a later one is replicated.
    connection.execute("UPDATE schema_version SET version = version")
    connection.execute("ANALYZE")
    return done


def _expect_empty(connection: Connection, table: str) -> None:
    if connection.execute(sql(f"SELECT 1 FROM {table} LIMIT 1")).fetchone() is not None:
        raise NotMigrated(
            f"the database: expected nothing in the table {table}, as nothing is overwritten. Take an empty database; "
            "or, if all was copied before, move the files away"
        )


def _copy_table(connection: Connection, source: sqlite3.Connection, copy: Copy) -> int:
    columns = ", ".join(copy.columns)
    (expected,) = source.execute(f"SELECT count(*) FROM ({copy.query})").fetchone()
    with connection.cursor() as cursor:
        try:
            with cursor.copy(sql(f"COPY {copy.table} ({columns}) FROM STDIN")) as target:
                for row in copy.encoded(iter(source.execute(copy.query))):
                    target.write_row(row)
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeEncodeError) as error:
            raise NotMigrated(
                f"{copy.file}: a row of {copy.table} has no place in PostgreSQL: {error}"
            ) from error
        except sqlite3.DatabaseError as error:
            raise NotMigrated(f"{copy.file} can't be read: {error}") from error
    found = connection.execute(sql(f"SELECT count(*) FROM {copy.rows}")).fetchone()
    if found is None or found[0] != expected:
        raise NotMigrated(f"{copy.table}: expected {expected} rows in the database, got {found}")
    return int(expected)


@contextmanager
def opened_file(path: Path) -> Iterator[sqlite3.Connection]:
    """A database in a file, in today's schema. Afterwards it is complete without its log."""
    try:
        connection = connect(path, page_size=SMALL_PAGE if path.stem == "devices" else 4096)
        with closing(connection):
            upgrade(connection, path.stem)
            connection.create_function("folded", 1, folded, deterministic=True)
            yield connection
    except sqlite3.DatabaseError as error:
        raise NotMigrated(f"{path}: {error}") from error
    OpenMark(path).clear()


def _put_aside(data_dir: Path, files: list[str]) -> Path:
    aside = data_dir / f"migrated-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{os.getpid()}"
    private.make_directory(aside)
    for name in files:
        for path in belongings(data_dir, name):
            path.rename(aside / path.name)
    sync(aside)
    sync(data_dir)
    return aside
