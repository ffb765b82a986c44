"""Opening a SQLite database: pragmas, and the schema with its versioned upgrades.

A database's schema is the files ``schema/{name}-1.sql``, ``{name}-2.sql``, … in turn; ``user_version`` says
how many of them a database has seen. A file that was released never changes: a change is the next file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec

from iotgw.core.errors import IotgwError
from iotgw.store.sqlite.damage import WAYS, Damaged

PAGE_CACHE_KIB = 16 << 10
CHECKPOINT_PAGES = 1000
"""WAL pages between checkpoints: 4 MB, whose copying holds one commit up for some 7 ms."""
WAL_KEEP_BYTES = 32 << 20
"""The WAL file is cut back to this after a long read made it grow."""


class SchemaError(IotgwError):
    """A database is newer than this program."""


class CannotOpen(IotgwError):
    """The file system doesn't let a database be opened."""


def upgrades(name: str) -> list[str]:
    """The SQL texts that bring an empty database to the current schema, oldest first."""
    folder = resources.files("iotgw.store.sqlite") / "schema"
    found: list[str] = []
    for version in count(1):
        file = folder / f"{name}-{version}.sql"
        if not file.is_file():
            return found
        found.append(file.read_text("utf-8"))
    raise AssertionError


def connect(
    path: Path, *, synchronous: Literal["FULL", "NORMAL"] = "FULL", page_size: int = 4096
) -> sqlite3.Connection:
    """Open a database for writing; made when missing, in WAL mode, transactions by explicit BEGIN.

    FULL syncs the WAL at every commit: what is committed outlasts a power cut. NORMAL may lose the last
    commits then, but never harms the rest. Raises Damaged when the file is no database, CannotOpen when it
    can't be read and written.
    """
    try:
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except sqlite3.OperationalError as error:
        raise CannotOpen(f"{path}: can't be opened: {error}") from error
    try:
        connection.execute(f"PRAGMA page_size = {page_size}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_KEEP_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        # Debian's SQLite overwrites what is deleted with zeros, which makes trimming write everything again.
        connection.execute("PRAGMA secure_delete = OFF")
    except sqlite3.OperationalError as error:
        connection.close()
        raise CannotOpen(f"{path}: can't be opened for writing: {error}") from error
    except sqlite3.DatabaseError as error:
        connection.close()
        raise Damaged(f"{path}: expected an iotgw database: SQLite says {str(error)!r}. {WAYS}") from error
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open an existing database for reading only, beside its writer."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA query_only = ON")
    connection.execute(f"PRAGMA cache_size = -{PAGE_CACHE_KIB // 2}")
    connection.execute("PRAGMA temp_store = MEMORY")
    return connection


def upgrade(connection: sqlite3.Connection, name: str, texts: list[str] | None = None) -> int:
    """Bring a database to the current schema; returns the version that it had (0 for a new one).

    All steps are one transaction: after a crash it is still at the old version. Raises SchemaError when the
    database was made by a newer program.
    """
    texts = upgrades(name) if texts is None else texts
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > len(texts):
        raise SchemaError(
            f"{name}: expected schema version {len(texts)} or older, got {version}; made by a newer iotgw?"
        )
    if version < len(texts):
        script = "\n".join(texts[version:])
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {len(texts)};\nCOMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    return int(version)


def as_array(values: Sequence[object]) -> str:
    """JSON text for ``json_each(?)``: many values in one parameter. A text, since newer versions of SQLite
    take a blob for JSONB."""
    return msgspec.json.encode(values).decode()


class ManyRows:
    """Inserts many rows by few statements; the first column must not be NULL in any.

    Python's sqlite3 lets go of the GIL around each step, and beside a busy reactor it gets it back only
    after a switch interval (5 ms). So rows go in by statements of 256, 128, 64, … rows, one step each, the last
    of them filled up with rows that it skips: beside a busy thread that is 4 times quicker than executemany,
    and alone it saves a quarter of the CPU.
    """

    LARGEST = 256

    def __init__(self, table: str, columns: str, verb: str = "INSERT", tail: str = "") -> None:
        self._columns = columns.count(",") + 1
        row = f"({', '.join('?' * self._columns)})"
        head = f"{verb} INTO {table} ({columns}) SELECT * FROM (VALUES "
        self._statements = [
            (rows, f"{head}{', '.join([row] * rows)}) WHERE column1 IS NOT NULL {tail}")
            for rows in _powers_of_two(self.LARGEST)
        ]

    def write(self, connection: sqlite3.Connection, values: Sequence[object]) -> None:
        """Insert rows; ``values`` are their columns one after another."""
        columns = self._columns
        done, left = 0, len(values) // columns
        for rows, statement in self._statements:
            while left >= rows or left * 4 > rows * 3:
                part = values[done : done + rows * columns] if done or left > rows else values
                if left < rows:
                    part = [*part, *[None] * ((rows - left) * columns)]
                connection.execute(statement, part)
                done += rows * columns
                left = max(0, left - rows)


def _powers_of_two(largest: int) -> list[int]:
    """``[largest, …, 4, 2, 1]``."""
    return [1 << bit for bit in reversed(range(largest.bit_length()))]
