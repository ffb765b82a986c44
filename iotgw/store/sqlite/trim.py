"""Trims the journal by age and size, in small steps between commits. Used in the writer's thread only.

Space is reused, not given back: deleted rows leave free pages, which the next rows fill. So the file stays as large as
it once was, and the size limit is the most that it gets. (`auto_vacuum` would cost a pointer page per 800 pages and a
lookup per moved page all the time, only to shrink a file that will grow again.)

The newest record of each stream stays, so that a restart knows where positions go on.
"""

from __future__ import annotations

import sqlite3
import time

from msgspec import Struct

from iotgw.store.sqlite.positions import Positions

STEP_ROWS = 5000
STEP_SECONDS = 0.008
CHECK_MS = 100
HEADROOM = 0.95
"""Trimming begins at this share of the size limit, to leave room for what arrives until the next check."""
GRACE_MS = 3_600_000
"""Milliseconds added to an integration's age limit, so that the delivery service counts expired records before they
are gone."""


class JournalLimits(Struct):
    """How much the journal keeps: age in milliseconds, size in bytes.

    Beyond ``max_bytes`` the oldest records go, except those that an integration or a converter still waits for. These
    may take up to ``ceiling`` times as much; then the journal has no more room.
    """

    max_age_ms: int = 7 * 86_400_000
    max_bytes: int = 2 << 30
    ceiling: float = 2.0


class Trimmer:
    """Deletes what is old and no longer needed."""

    def __init__(self, connection: sqlite3.Connection, positions: Positions, limits: JournalLimits) -> None:
        self._connection = connection
        self._positions = positions
        self.limits = limits
        self.holds: dict[int, int] = {}
        """Integration → the longest time in milliseconds that records wait for it."""
        self.trimmed = {"uplink": 0, "telemetry": 0}
        self.full = False
        """Whether even the ceiling is exceeded and nothing may be deleted."""
        self._next_ms = 0
        self._rows = 1000

    def step(self, now_ms: int) -> bool:
        """Delete a little if needed. Returns True if there is more to do. Looks at most ten times a second."""
        if 0 < self._next_ms - now_ms <= CHECK_MS:
            return False
        deleted = self._step(now_ms)
        self._next_ms = 0 if deleted else now_ms + CHECK_MS
        return deleted

    def used(self) -> int:
        """Bytes of the database that are in use."""
        one = self._connection.execute
        (pages,), (free,), (size,) = (
            one(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    def _step(self, now_ms: int) -> bool:
        used = self.used()
        first_uplink, uplink_ms = self._first("uplink")
        first_telemetry, telemetry_ms = self._first("telemetry")
        old_uplink, old_telemetry = self._positions_at(now_ms - self.limits.max_age_ms)
        uplink_floor = self._unconverted()
        telemetry_floor = self._undelivered(now_ms)
        rows = self._rows
        if used > self.limits.max_bytes * HEADROOM:
            old_uplink, old_telemetry = uplink_floor, telemetry_floor
            # A fiftieth of them at a time, so that hardly more goes than has to.
            rows = min(rows, 1 + max(uplink_floor - first_uplink, telemetry_floor - first_telemetry) // 50)
        uplink_bound = min(old_uplink, uplink_floor)
        telemetry_bound = min(old_telemetry, telemetry_floor)
        trim_uplink = 0 < first_uplink <= uplink_bound
        trim_telemetry = 0 < first_telemetry <= telemetry_bound
        if trim_uplink and trim_telemetry:  # the older of both first
            trim_uplink = uplink_ms <= telemetry_ms
            trim_telemetry = not trim_uplink
        if trim_uplink:
            self._delete(("uplink", "outcome"), min(uplink_bound, first_uplink + rows - 1))
        elif trim_telemetry:
            self._delete(("telemetry",), min(telemetry_bound, first_telemetry + rows - 1))
        self.full = used > self.limits.max_bytes * self.limits.ceiling and not (trim_uplink or trim_telemetry)
        return trim_uplink or trim_telemetry

    def _unconverted(self) -> int:
        """The position up to which every uplink is converted; the last uplink is never included."""
        positions = self._positions
        floor = positions.uplink - 1
        for datasource, last in positions.received.items():
            cursor = positions.converted.get(datasource, 0)
            if cursor < min(last, floor):
                (waits,) = self._connection.execute(
                    "SELECT min(seq) FROM uplink WHERE datasource = ? AND seq > ?", (datasource, cursor)
                ).fetchone()
                floor = min(floor, waits - 1)
        return floor

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
        row = self._connection.execute(
            "SELECT uplink, telemetry FROM mark WHERE at_ms <= ? ORDER BY at_ms DESC LIMIT 1", (ms,)
        ).fetchone()
        return row or (0, 0)

    def _first(self, table: str) -> tuple[int, int]:
        row = self._connection.execute(
            f"SELECT seq, received_ms FROM {table} ORDER BY seq LIMIT 1"
        ).fetchone()
        return row or (0, 0)

    def _delete(self, tables: tuple[str, ...], last: int) -> None:
        connection = self._connection
        began = time.perf_counter()
        try:
            if not connection.in_transaction:
                connection.execute("BEGIN")
            for table in tables:
                cursor = connection.execute(f"DELETE FROM {table} WHERE seq <= ?", (last,))
                if table in self.trimmed:
                    self.trimmed[table] += cursor.rowcount
            connection.execute(
                "DELETE FROM mark WHERE at_ms < (SELECT max(at_ms) FROM mark WHERE "
                "uplink < (SELECT min(seq) FROM uplink) AND telemetry < (SELECT min(seq) FROM telemetry))"
            )
            connection.execute("COMMIT")
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        took = time.perf_counter() - began
        # As many rows as can be deleted in the time that a commit may wait.
        self._rows = max(100, min(STEP_ROWS, int(self._rows * min(2.0, STEP_SECONDS / max(took, 1e-6)))))
