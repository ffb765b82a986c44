"""Trims the journal by age and size, in small steps between commits. Used in the writer's thread only.

Space is reused, not given back: deleted rows leave free pages, which the next rows fill. So the file stays as large as
it once was, and the size limit is the most that it gets. (`auto_vacuum` would cost a pointer page per 800 pages and a
lookup per moved page all the time, only to shrink a file that will grow again.)

Rows that a damaged page keeps from being deleted stay, and trimming goes on behind them (`iotgw.store.sqlite.stuck`).

The newest record of each stream stays, so that a restart knows where positions go on.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress

from iotgw.store.space import JournalLimits, Space
from iotgw.store.sqlite.damage import Tell, is_damage
from iotgw.store.sqlite.positions import Positions
from iotgw.store.sqlite.stuck import StuckRows

STEP_ROWS = 5000
STEP_SECONDS = 0.008
FEWEST = 100
"""Rows of a step that isn't slowed down by damage, at least."""
CHECK_MS = 100
HEADROOM = 0.95
"""Trimming begins at this share of the size limit, to leave room for what arrives until the next check."""
PIECE = 50
"""One part in so many is trimmed, or given up, at a time, so that hardly more goes than has to."""
FEW = 20
"""Rows that are trimmed at a time, at least."""
PART = 4
"""One part in so many of the size limit is always there for telemetry that integrations wait for."""
ROW_BYTES = 90
"""About what a telemetry record takes in the database besides its texts."""
GRACE_MS = 3_600_000
"""Milliseconds added to an integration's age limit, so that the delivery service counts expired records before they
are gone."""


class Trimmer:
    """Deletes what is old and no longer needed. ``stuck`` is told which rows can't be deleted."""

    def __init__(
        self, connection: sqlite3.Connection, positions: Positions, limits: JournalLimits, stuck: Tell
    ) -> None:
        self._connection = connection
        self._positions = positions
        self._stuck = {table: StuckRows(connection, table, stuck) for table in ("uplink", "telemetry")}
        self.limits = limits
        self.holds: dict[int, int] = {}
        """Integration → the longest time in milliseconds that records wait for it."""
        self.trimmed = {"uplink": 0, "telemetry": 0}
        self.unused = 0
        """Pages that can't be used before the next start (`iotgw.store.sqlite.uplinks_anew`)."""
        self.space = Space()
        """Whether there is room, as of the last look."""
        self._next_ms = 0
        self._rows = 1000
        self._marks_past_ms = 0
        """Time marks up to this time can't be deleted: there is damage among them."""

    def step(self, now_ms: int) -> bool:
        """Delete a little if needed. Returns True if there is more to do. Looks at most ten times a second."""
        if 0 < self._next_ms - now_ms <= CHECK_MS:
            return False
        deleted = self._step(now_ms)
        self._next_ms = 0 if deleted else now_ms + CHECK_MS
        return deleted

    def used(self) -> int:
        """Bytes of the database that are in use, without the pages that a damaged table left."""
        one = self._connection.execute
        (pages,), (free,), (size,) = (
            one(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free - self.unused) * size)

    def _step(self, now_ms: int) -> bool:
        used = self.used()
        first_uplink, _ = self._stuck["uplink"].first()
        first_telemetry, of_uplink = self._stuck["telemetry"].first()
        old_uplink, old_telemetry = self._positions_at(now_ms - self.limits.max_age_ms)
        uplink_floor = self._unconverted()
        telemetry_floor = self._undelivered(now_ms)
        rows = self._rows
        deletable = max(uplink_floor - first_uplink, telemetry_floor - first_telemetry, 0)
        few = FEW + int(deletable * max(1 / PIECE, self._excess(used)))
        if used > self.limits.max_bytes * HEADROOM:
            old_uplink, old_telemetry = uplink_floor, telemetry_floor
            rows = min(rows, few)
        uplink_bound = min(old_uplink, uplink_floor)
        telemetry_bound = min(old_telemetry, telemetry_floor)
        trim_uplink = 0 < first_uplink <= uplink_bound
        trim_telemetry = 0 < first_telemetry <= telemetry_bound
        if trim_uplink and trim_telemetry:  # the older of both first, and what was made of an uplink after it
            trim_uplink = first_uplink <= of_uplink
            trim_telemetry = not trim_uplink
        if trim_uplink:
            self._delete(("uplink", "outcome"), first_uplink, min(uplink_bound, first_uplink + rows - 1))
        elif trim_telemetry:
            self._delete(("telemetry",), first_telemetry, min(telemetry_bound, first_telemetry + rows - 1))
        else:
            for stuck in self._stuck.values():
                stuck.report()
        full = used > self.limits.most and not (trim_uplink or trim_telemetry)
        short = 0
        if used > self.limits.max_bytes and uplink_bound - first_uplink < few:
            short = self._held_up(first_telemetry, telemetry_floor, used)
        self.space = Space(full, short)
        return trim_uplink or trim_telemetry

    def _excess(self, used: int) -> float:
        """The part of what is there that is too much."""
        return max(0.0, 1 - self.limits.max_bytes * HEADROOM / used)

    def _held_up(self, first: int, floor: int, used: int) -> int:
        """The end of that piece of the telemetry that is too much, if integrations wait for it; 0 if they don't.

        A part of the journal is theirs: if telemetry takes no more, uplinks that wait for their conversion fill it, and
        giving up telemetry would not help."""
        last = self._positions.telemetry
        if floor >= min(first, last - 1):
            return 0
        waiting = last - first + 1
        spare = waiting - self.limits.max_bytes / PART / self._mean_size(first, last)
        if spare <= 0:
            return 0
        return first + int(min(spare, waiting * max(1 / PIECE, self._excess(used))))

    def _mean_size(self, first: int, last: int) -> float:
        """About how many bytes a telemetry record between these positions takes, by a few of them that can be read."""
        sizes: list[int] = []
        for seq in range(first, last + 1, max(1, (last - first) // FEW)):
            with suppress(sqlite3.DatabaseError):
                row = self._connection.execute(
                    "SELECT length(body) + length(device_name) FROM telemetry WHERE seq = ?", (seq,)
                ).fetchone()
                sizes += row or ()
        return ROW_BYTES + sum(sizes) / max(1, len(sizes))

    def _unconverted(self) -> int:
        """The position up to which every uplink is converted; the last uplink is never included."""
        positions = self._positions
        floor = positions.uplink - 1
        for datasource, last in positions.received.items():
            cursor = positions.converted.get(datasource, 0)
            if cursor < min(last, floor):
                floor = min(floor, self._waits(datasource, cursor) - 1)
        return floor

    def _waits(self, datasource: int, cursor: int) -> int:
        """The first uplink of a datasource behind its cursor; if that can't be told, the next position."""
        try:
            (found,) = self._connection.execute(
                "SELECT min(seq) FROM uplink WHERE datasource = ? AND seq > ?", (datasource, cursor)
            ).fetchone()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            found = None
        return int(found or cursor + 1)

    def _undelivered(self, now_ms: int) -> int:
        """The position up to which every record is settled, or older than any integration waits for it."""
        positions = self._positions
        floor = positions.telemetry - 1
        for integration, cursor in positions.delivered.items():
            if cursor < floor:
                hold = max(self.holds.get(integration, 0), self.limits.max_age_ms) + GRACE_MS
                floor = min(floor, max(cursor, self._positions_at(now_ms - hold)[1]))
        return floor

    def _positions_at(self, ms: int) -> tuple[int, int]:
        """The positions up to which everything was received before a time, as far as the time marks tell."""
        try:
            row = self._connection.execute(
                "SELECT uplink, telemetry FROM mark WHERE at_ms <= ? ORDER BY at_ms DESC LIMIT 1", (ms,)
            ).fetchone()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            row = None
        return row or (0, 0)

    def _delete(self, tables: tuple[str, ...], first: int, last: int) -> None:
        """Delete these rows. If a damaged page is in the way, delete fewer; in the end step over the first one."""
        stuck, bound = self._stuck[tables[0]], last
        until = time.perf_counter() + STEP_SECONDS
        while 0 < first <= bound and time.perf_counter() < until:
            try:
                self._delete_rows(tables, stuck.past, last)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                if last > first:
                    last = (first + last) // 2
                else:
                    stuck.step_over(first, last, error)
                    last = first = stuck.first()[0]
                self._rows = last - first + 1
            else:
                if last - stuck.past >= FEWEST:
                    stuck.report()
                return

    def _delete_rows(self, tables: tuple[str, ...], after: int, last: int) -> None:
        # Each attempt is a transaction of its own: after any damage within one, SQLite refuses to commit it.
        connection = self._connection
        marks_ms = self._idle_marks_ms()
        at_marks = False
        began = time.perf_counter()
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN")
            gone = [
                connection.execute(f"DELETE FROM {table} WHERE seq > ? AND seq <= ?", (after, last)).rowcount
                for table in tables
            ]
            if marks_ms > self._marks_past_ms:
                at_marks = True
                connection.execute(
                    "DELETE FROM mark WHERE at_ms > ? AND at_ms < ?", (self._marks_past_ms, marks_ms)
                )
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            if not (at_marks and is_damage(error)):
                raise
            self._marks_past_ms = marks_ms
            self._delete_rows(tables, after, last)
            return
        self.trimmed[tables[0]] += gone[0]
        took = time.perf_counter() - began
        # As many rows as can be deleted in the time that a commit may wait.
        self._rows = max(FEWEST, min(STEP_ROWS, int(self._rows * min(2.0, STEP_SECONDS / max(took, 1e-6)))))

    def _idle_marks_ms(self) -> int:
        """Time marks from before this time mark nothing any more; 0 if that can't be told."""
        try:
            (found_ms,) = self._connection.execute(
                "SELECT max(at_ms) FROM mark WHERE uplink < (SELECT min(seq) FROM uplink WHERE seq > ?) "
                "AND telemetry < (SELECT min(seq) FROM telemetry WHERE seq > ?)",
                (self._stuck["uplink"].past, self._stuck["telemetry"].past),
            ).fetchone()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return 0
        return int(found_ms or 0)
