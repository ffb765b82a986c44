"""From a database into the files of a data directory that has none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from pathlib import Path

from iotgw.core import private
from iotgw.store.lock import DataDirectoryLock
from iotgw.store.manifest import sync
from iotgw.store.migration.copies import FILES, Copy, Migrated, NotMigrated, belongings, into_files
from iotgw.store.migration.into_database import opened, opened_file
from iotgw.store.postgres.connection import Address, Connection, sql
from iotgw.store.postgres.node import PART
from iotgw.store.restore import expect_finished
from iotgw.store.sqlite.events import EventFile

UNFINISHED = "migrating"
"""A directory in the data directory: what is copied, until all of it is."""
PIECE = 1000
"""Rows that are written at once."""


def migrate_into_files(data_dir: Path, address: Address) -> Migrated:
    """Copy what is in the database at ``address`` into ``data_dir``, where none of it may be yet, and rename the database's schema. Raises
    NotMigrated, AlreadyRunning or Unavailable, and has changed nothing then."""
    lock = DataDirectoryLock(data_dir)
    lock.acquire()
    try:
        expect_finished(data_dir)
        for name in FILES:
            if there := belongings(data_dir, name):
                raise NotMigrated(f"{there[0]}: expected no such file, as nothing is overwritten")
        folder = data_dir / UNFINISHED
        shutil.rmtree(folder, ignore_errors=True)
        private.make_directory(folder)
        try:
            with opened(address, data_dir) as connection:
                rows = _copy(connection, folder)
                for name in FILES:
                    (folder / name).rename(data_dir / name)
                sync(data_dir)
                aside = _rename_schema(connection)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()
    return Migrated(rows, f"schema {aside} of {address.shown}")


def _copy(connection: Connection, folder: Path) -> dict[str, int]:
    done: dict[str, int] = {}
    copies = into_files(PART)
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _expect_one_partition(connection)
        for name in FILES:
            path = folder / name
            if name == "events.db":
                file = EventFile(path)
                file.open()
                file.close()
            with opened_file(path) as target:
                for copy in copies:
                    if copy.file == name:
                        done[f"{path.stem}.{copy.table}"] = _copy_table(connection, target, copy)
            sync(path)
    sync(folder)
    return done


def _expect_one_partition(connection: Connection) -> None:
    """A file has one order of positions."""
    for table in ("uplink", "telemetry", "parked"):
        row = connection.execute(sql(f"SELECT part FROM {table} WHERE part <> {PART} LIMIT 1")).fetchone()
        if row is not None:
            raise NotMigrated(
                f"the database: expected messages of one node, got some of partition {row[0]} as well; have them delivered and trimmed first"
            )


def _copy_table(connection: Connection, target: sqlite3.Connection, copy: Copy) -> int:
    row = connection.execute(sql(f"SELECT count(*) FROM ({copy.query}) AS q")).fetchone()
    assert row is not None
    expected = int(row[0])
    marks = ", ".join("?" * len(copy.columns))
    statement = f"INSERT OR REPLACE INTO {copy.table} ({', '.join(copy.columns)}) VALUES ({marks})"
    with connection.cursor(f"copied_{copy.table}") as cursor:
        cursor.itersize = PIECE
        cursor.execute(sql(copy.query))
        target.execute("BEGIN IMMEDIATE")
        target.executemany(statement, copy.decoded(iter(cursor)))
        target.execute("COMMIT")
    where = " WHERE key = 'clock'" if copy.table == "meta" else ""
    (count,) = target.execute(f"SELECT count(*) FROM {copy.table}{where}").fetchone()
    if count != expected:
        raise NotMigrated(f"{copy.table}: expected {expected} rows in {copy.file}, got {count}")
    return expected


def _rename_schema(connection: Connection) -> str:
    name = f"iotgw_migrated_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}_{os.getpid()}"
    connection.execute(sql(f"ALTER SCHEMA iotgw RENAME TO {name}"))
    return name
