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
from iotgw.store.postgres.partition import LEASE, take
from iotgw.store.postgres.writer import clock_of
from iotgw.store.restore import expect_finished
from iotgw.store.sqlite.events import EventFile
from iotgw.store.sqlite.spill import SPILL, SpillFile

UNFINISHED = "migrating"
"""A directory in the data directory: what is copied, until all of it is."""
PIECE = 1000
"""Rows that are written at once."""


def migrate_into_files(data_dir: Path, address: Address, *, lease: float = LEASE) -> Migrated:
    """Copy what is in the database at ``address`` into ``data_dir``, where none of it may be yet, and rename the database's schema. Raises
    NotMigrated, AlreadyRunning or Unavailable, and has changed nothing then."""
    lock = DataDirectoryLock(data_dir)
    lock.acquire()
    try:
        expect_finished(data_dir)
        for name in FILES:
            if there := belongings(data_dir, name):
                raise NotMigrated(f"{there[0]}: expected no such file, as nothing is overwritten")
        _expect_nothing_spilled(data_dir)
        folder = data_dir / UNFINISHED
        shutil.rmtree(folder, ignore_errors=True)
        private.make_directory(folder)
        try:
            with opened(address, data_dir) as connection:
                _take_all(connection, lease)
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


def _expect_nothing_spilled(data_dir: Path) -> None:
    if (path := data_dir / SPILL).exists():
        file = SpillFile(path)
        count = file.size.count
        file.close()
        if count:
            raise NotMigrated(f"{path}: expected no messages that are not in the database yet, got {count}; start the gateway once, which puts them there")  # fmt: skip


def _copy(connection: Connection, folder: Path) -> dict[str, int]:
    done: dict[str, int] = {}
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        part = _only_partition(connection)
        copies = into_files(part, clock_of(part))
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


def _take_all(connection: Connection, lease: float) -> None:
    """Be the owner of every node's partition, so that none of them begins meanwhile. Raises Taken where one works."""
    for name, part in connection.execute("SELECT name, part FROM node ORDER BY part").fetchall():
        take(connection, part, name, lease=lease)


def _only_partition(connection: Connection) -> int:
    """The partition that has messages; a file has one order of positions, and room for one."""
    found = connection.execute(
        "SELECT part FROM uplink UNION SELECT part FROM telemetry UNION SELECT part FROM parked ORDER BY part"
    ).fetchall()
    if len(found) > 1:
        raise NotMigrated(
            f"the database: expected messages of one node, got some of the partitions {', '.join(str(part) for (part,) in found)}; "
            "have all but one delivered and trimmed first"
        )
    return int(found[0][0]) if found else 1


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
    (count,) = target.execute(f"SELECT count(*) FROM {copy.rows}").fetchone()
    if count != expected:
        raise NotMigrated(f"{copy.table}: expected {expected} rows in {copy.file}, got {count}")
    return expected


def _rename_schema(connection: Connection) -> str:
    name = f"iotgw_migrated_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}_{os.getpid()}"
    connection.execute(sql(f"ALTER SCHEMA iotgw RENAME TO {name}"))
    return name
