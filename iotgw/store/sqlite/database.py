"""Opens SQLite databases: pragmas, and the schema with its versioned upgrades.

The schema of a database is the files ``schema/{name}-1.sql``, ``{name}-2.sql``, … applied in turn; ``user_version``
says how many of them a database has seen. A released file never changes: every change is a new file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from importlib import resources
from itertools import count
from pathlib import Path
from typing import Literal

import msgspec

from iotgw.core import private
from iotgw.core.errors import IotgwError
from iotgw.store.sqlite.damage import WAYS, Damaged

PAGE_CACHE_KIB = 16 << 10
CHECKPOINT_PAGES = 1000
"""WAL pages between checkpoints: 4 MB. Copying them holds up one commit for about 7 ms."""
WAL_KEEP_BYTES = 32 << 20
"""The WAL file is cut back to this size after a long read made it grow."""


sqlite3.register_adapter(bytes, bytes.__bytes__)
"""Python's sqlite3 looks how to adapt each blob. Where it finds nothing, that costs more than to bind it."""


class SchemaError(IotgwError):
    """A database is newer than this program."""


class CannotOpen(IotgwError):
    """The file system doesn't allow a database to be opened."""


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
    """Open a database for writing. It is made if missing, uses a WAL, and begins transactions by explicit BEGIN only.

    FULL syncs the WAL at every commit, so that what is committed outlasts a power cut. NORMAL may lose the last
    commits in a power cut, but never harms earlier ones. Raises Damaged if the file is no database, and CannotOpen if
    it can't be read and written.
    """
    try:
        private.make_file(path)  # SQLite gives its side files the mode of the database
        connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, cached_statements=256
        )
    except (sqlite3.OperationalError, OSError) as error:
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
    """Upgrade a database to the current schema. Returns the version that it had, 0 for a new one.

    All steps are one transaction, so after a crash it still has the old version. Raises SchemaError if the database
    was made by a newer program.
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
    """JSON text for ``json_each(?)``: many values in one parameter. It is text because newer versions of SQLite take a
    blob for JSONB."""
    return msgspec.json.encode(values).decode()


class ManyRows:
    """Inserts many rows with few statements. The first column must not be NULL in any row.

    Python's sqlite3 releases the GIL around each step. Beside a busy reactor it gets the GIL back only after a switch
    interval (5 ms). So rows are inserted by statements of 256, 128, 64, … rows, one step each, and the last statement
    is filled up with rows that it skips. Beside a busy thread this is 4 times as fast as executemany; alone it saves a
    quarter of the CPU.
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
        """Insert rows. ``values`` holds their columns, row after row."""
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
