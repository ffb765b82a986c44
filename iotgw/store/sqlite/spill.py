"""The file of what was acknowledged while the journal's database was away."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from iotgw.core.epochs import Epoch
from iotgw.core.model import StoredUplink, Uplink
from iotgw.core.times import DateMs
from iotgw.store.group import ROW_BYTES, weigh
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.database import ManyRows, as_array, connect, upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator

SPILL = "spill.db"
"""The file's name, in the data directory."""
_ROWS = ManyRows("spilled", "seq, tenant, datasource, received_ms, metadata, payload", "INSERT OR IGNORE")
_BEFORE = "SELECT seq FROM spilled WHERE seq < ? AND seq > ? ORDER BY seq DESC LIMIT 1"
_END = 1 << 62
_SIZES = f"SELECT count(*), coalesce(sum(length(metadata) + length(payload) + {ROW_BYTES}), 0) FROM spilled"


class Spilled(Struct, frozen=True):
    """How many uplinks are in the file, and about how many bytes."""

    count: int = 0
    bytes: int = 0


class SpillFile:
    """``path`` is a database of its own, in which a commit outlasts a power cut. Used in one thread at a time.

    ``put_aside`` says what was wrong with the file before; empty if nothing was. One of which a part can be read is left where it is, and ``is_damaged``. Raises sqlite3.Error where the disk fails, and CannotOpen.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db, self.put_aside = damage.opened_anew(path, self._connect)
        self.size, self.is_damaged = Spilled(), False
        try:
            self.size = Spilled(*self._db.execute(_SIZES).fetchone())
        except sqlite3.DatabaseError as error:
            if not damage.is_damage(error):
                raise
            self.is_damaged = True

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path)
        try:
            upgrade(connection, "spill")
            connection.execute("SELECT seq FROM spilled LIMIT 1").fetchone()
        except Exception:
            connection.close()
            raise
        return connection

    @property
    def origin(self) -> Epoch | None:
        """The epoch in which the positions in the file were given; None where nothing was ever put into it."""
        row = self._db.execute("SELECT epoch, uplink, telemetry FROM origin").fetchone()
        return Epoch(*row) if row is not None else None

    def add(self, uplinks: Sequence[StoredUplink], epoch: Epoch) -> None:
        """Keep uplinks whose positions were given in ``epoch``, durably. A position that is there already stays as it is."""
        values: list[object] = []
        for stored in uplinks:
            uplink = stored.uplink
            values += (
                stored.seq,
                uplink.tenant,
                uplink.datasource,
                uplink.received_ms,
                uplink.metadata,
                uplink.payload,
            )
        with self._transaction():
            if not self.size.count:
                self._begin(epoch)
            before = self._db.total_changes
            _ROWS.write(self._db, values)
            are_new = self._db.total_changes - before == len(uplinks)
        if are_new:
            self.size = Spilled(self.size.count + len(uplinks), self.size.bytes + weigh(uplinks))
        else:
            self.size = Spilled(*self._db.execute(_SIZES).fetchone())

    def after(self, seq: int, limit: int) -> list[StoredUplink]:
        """The next uplinks after a position, in order; all of them where ``limit`` is negative."""
        rows = self._db.execute("SELECT * FROM spilled WHERE seq > ? ORDER BY seq LIMIT ?", (seq, limit))
        return [
            StoredUplink(at, Uplink(tenant, datasource, DateMs(received_ms), payload, metadata))
            for at, tenant, datasource, received_ms, metadata, payload in rows
        ]

    def readable(self, after: int) -> Iterator[StoredUplink]:
        """What can be read of a damaged file after a position, in order: from its beginning up to the first damage, and from its end back to the last."""
        last, behind = after, list[int]()
        with suppress(sqlite3.DatabaseError):
            while found := self.after(last, 1):
                last = found[0].seq
                yield found[0]
            return
        end = _END
        with suppress(sqlite3.DatabaseError):
            while row := self._db.execute(_BEFORE, (end, last)).fetchone():
                (end,) = row
                behind.append(end)
        for seq in reversed(behind):
            with suppress(sqlite3.DatabaseError):
                yield from self.after(seq - 1, 1)

    def put_all_aside(self) -> str:
        """Close a file that turned out to be damaged, and move it out of the way. Returns what happened."""
        self.close()
        return f"{self._path} was damaged; it is {damage.put_aside(self._path)} now, and a new one is begun"

    def drop(self, seq: int) -> None:
        """Drop what is in the journal: everything up to a position."""
        self._drop("seq <= ?", seq)

    def drop_these(self, seqs: Sequence[int]) -> None:
        """Drop single positions."""
        self._drop("seq IN (SELECT value FROM json_each(?))", as_array(list(seqs)))

    def _drop(self, which: str, value: object) -> None:
        with self._transaction():
            gone = Spilled(*self._db.execute(f"{_SIZES} WHERE {which}", (value,)).fetchone())
            self._db.execute(f"DELETE FROM spilled WHERE {which}", (value,))
        self.size = Spilled(self.size.count - gone.count, self.size.bytes - gone.bytes)

    def renumber(self, epoch: Epoch) -> None:
        """Give everything new positions, in order, the first ones of a new epoch."""
        with self._transaction():
            self._db.execute(
                "CREATE TEMP TABLE place AS SELECT seq, row_number() OVER (ORDER BY seq) AS number FROM spilled"
            )
            highest = "(SELECT max(seq) FROM place)"  # two steps, so that no two rows ever share a position
            self._db.execute(
                f"UPDATE spilled SET seq = seq + {highest} + ?", (epoch.uplink + self.size.count,)
            )
            self._db.execute(
                f"UPDATE spilled SET seq = ? + (SELECT number FROM place WHERE place.seq = spilled.seq - {highest} - ?)",
                (epoch.uplink, epoch.uplink + self.size.count),
            )
            self._db.execute("DROP TABLE place")
            self._begin(epoch)

    def _begin(self, epoch: Epoch) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO origin VALUES (1, ?, ?, ?)", (epoch.name, epoch.uplink, epoch.telemetry)
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with damage.changing(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close it."""
        self._db.close()
