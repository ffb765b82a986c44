"""Trims a partition by age and size, in small steps between commits. Used in the writer's thread only.

Space is counted by the rows' own bytes (`iotgw.store.postgres.draft`), not by the server's files: these also hold what autovacuum has not
made room of yet. The newest record of each stream stays.
"""

from __future__ import annotations

import time

from psycopg.types.numeric import Int8

from iotgw.store.postgres.draft import RECORD_BYTES, UPLINK_BYTES
from iotgw.store.postgres.fenced import FencedConnection
from iotgw.store.postgres.positions import PartitionPositions
from iotgw.store.postgres.statements import TRIM_TELEMETRY, TRIM_UPLINKS
from iotgw.store.space import JournalLimits, Space

STEP_ROWS = 5000
STEP_SECONDS = 0.02
FEWEST = 100
"""Rows of a step, at least."""
CHECK_MS = 100
HEADROOM = 0.95
"""Trimming begins at this share of the size limit."""
PIECE = 50
"""One part in so many is trimmed, or given up, at a time."""
FEW = 20
PART = 4
"""One part in so many of the size limit is always there for telemetry that integrations wait for."""
GRACE_MS = 3_600_000
"""Milliseconds added to an integration's age limit, so that the delivery service counts expired records before they are gone."""

_FIRST = """SELECT (SELECT min(seq) FROM uplink WHERE part = %s), (SELECT min(seq) FROM telemetry WHERE part = %s),
    (SELECT uplink FROM telemetry WHERE part = %s ORDER BY seq LIMIT 1)"""
_SIZES = {
    "uplink": "SELECT coalesce(sum(octet_length(metadata) + octet_length(payload) + %s), 0)::bigint FROM uplink "
    "WHERE part = %s AND seq > %s AND seq <= %s",
    "telemetry": "SELECT coalesce(sum(octet_length(device_name) + octet_length(body) + %s), 0)::bigint FROM telemetry "
    "WHERE part = %s AND seq > %s AND seq <= %s",
}


class PartitionTrimmer:
    """Deletes what is old and no longer needed."""

    def __init__(
        self, database: FencedConnection, positions: PartitionPositions, limits: JournalLimits
    ) -> None:
        self._database = database
        self._positions = positions
        self._limits = limits
        self.holds: dict[int, int] = {}
        """Integration → the longest time in milliseconds that records wait for it."""
        self.space = Space()
        """Whether there is room, as of the last look."""
        self._next_ms = 0
        self._rows = 1000

    def step(self, now_ms: int) -> bool:
        """Delete a little if needed. Returns True if there is more to do. Looks at most ten times a second."""
        if 0 < self._next_ms - now_ms <= CHECK_MS:
            return False
        deleted = self._step(now_ms)
        self._next_ms = 0 if deleted else now_ms + CHECK_MS
        return deleted

    def _step(self, now_ms: int) -> bool:
        limits, part = self._limits, self._database.part
        used = self._positions.bytes
        first_uplink, first_telemetry, of_uplink = (
            each or 0 for each in self._database.fetch(_FIRST, (part, part, part))[0]
        )
        old_uplink, old_telemetry = self._positions_at(now_ms - limits.max_age_ms)
        uplink_floor, telemetry_floor = self._unconverted(), self._undelivered(now_ms)
        rows = self._rows
        deletable = max(uplink_floor - first_uplink, telemetry_floor - first_telemetry, 0)
        few = FEW + int(deletable * max(1 / PIECE, self._excess(used)))
        if used > limits.max_bytes * HEADROOM:
            old_uplink, old_telemetry = uplink_floor, telemetry_floor
            rows = min(rows, few)
        uplink_bound, telemetry_bound = min(old_uplink, uplink_floor), min(old_telemetry, telemetry_floor)
        trim_uplink = 0 < first_uplink <= uplink_bound
        trim_telemetry = 0 < first_telemetry <= telemetry_bound
        if trim_uplink and trim_telemetry:  # the older of both first, and what was made of an uplink after it
            trim_uplink = first_uplink <= of_uplink
            trim_telemetry = not trim_uplink
        if trim_uplink:
            self._delete("uplink", first_uplink, min(uplink_bound, first_uplink + rows - 1))
        elif trim_telemetry:
            self._delete("telemetry", first_telemetry, min(telemetry_bound, first_telemetry + rows - 1))
        full = used > limits.most and not (trim_uplink or trim_telemetry)
        short = 0
        if used > limits.max_bytes and uplink_bound - first_uplink < few:
            short = self._held_up(first_telemetry, telemetry_floor, used)
        self.space = Space(full, short)
        return trim_uplink or trim_telemetry

    def _excess(self, used: int) -> float:
        """The part of what is there that is too much."""
        return max(0.0, 1 - self._limits.max_bytes * HEADROOM / used) if used else 0.0

    def _held_up(self, first: int, floor: int, used: int) -> int:
        """The end of that piece of the telemetry that is too much, if integrations wait for it; 0 if they don't.

        A part of the journal is theirs: if telemetry takes no more, uplinks that wait for their conversion fill it, and
        giving up telemetry would not help."""
        last = self._positions.telemetry
        if floor >= min(first, last - 1):
            return 0
        waiting = last - first + 1
        size = self._size("telemetry", first - 1, first + FEW) / (FEW + 1)
        spare = waiting - self._limits.max_bytes / PART / max(size, RECORD_BYTES)
        if spare <= 0:
            return 0
        return first + int(min(spare, waiting * max(1 / PIECE, self._excess(used))))

    def _unconverted(self) -> int:
        """The position up to which every uplink is converted; the last uplink is never included."""
        positions = self._positions
        floor = positions.uplink - 1
        for datasource, last in positions.received.items():
            cursor = positions.converted.get(datasource, 0)
            if cursor < min(last, floor):
                rows = self._database.fetch(
                    "SELECT min(seq) FROM uplink WHERE part = %s AND datasource = %s AND seq > %s",
                    (self._database.part, datasource, Int8(cursor)),
                )
                floor = min(floor, int(rows[0][0] or cursor + 1) - 1)
        return floor

    def _undelivered(self, now_ms: int) -> int:
        """The position up to which every record is settled, or older than any integration waits for it."""
        positions = self._positions
        floor = positions.telemetry - 1
        if positions.lent:
            self._look_at_lent()
        for integration, cursor in positions.delivered.items():
            if cursor < floor:
                hold = max(self.holds.get(integration, 0), self._limits.max_age_ms) + GRACE_MS
                floor = min(floor, max(cursor, self._positions_at(now_ms - hold)[1]))
        return floor

    def _look_at_lent(self) -> None:
        """How far those have come that others deliver to. What these have no room for is dropped here: they find it gone."""
        positions, numbers = self._positions, list(self._positions.lent)
        query = "SELECT id, cursor FROM integration WHERE part = %s AND id = ANY(%s::int[])"
        found = dict(self._database.fetch(query, (self._database.part, numbers)))
        for number in numbers:
            if number in found:
                positions.delivered[number] = max(found[number], self.space.short)
            else:  # it is deleted
                positions.lent.discard(number)
                positions.delivered.pop(number, None)

    def _positions_at(self, ms: int) -> tuple[int, int]:
        """The positions up to which everything was received before a time, as far as the time marks tell."""
        rows = self._database.fetch(
            "SELECT uplink, telemetry FROM mark WHERE part = %s AND at_ms <= %s ORDER BY at_ms DESC LIMIT 1",
            (self._database.part, Int8(ms)),
        )
        return rows[0] if rows else (0, 0)

    def _size(self, table: str, after: int, last: int) -> int:
        each = UPLINK_BYTES if table == "uplink" else RECORD_BYTES
        values = (each, self._database.part, Int8(after), Int8(last))
        return int(self._database.fetch(_SIZES[table], values)[0][0])

    def _delete(self, table: str, first: int, last: int) -> None:
        began = time.perf_counter()
        size = self._size(table, first - 1, last)
        bounds, marks_ms = [Int8(first - 1), Int8(last)], Int8(self._idle_marks_ms())
        if table == "uplink":
            self._database.commit(TRIM_UPLINKS, [*bounds, *bounds, marks_ms], bytes=-size)
        else:
            self._database.commit(TRIM_TELEMETRY, [*bounds, marks_ms], bytes=-size)
        self._positions.bytes = max(0, self._positions.bytes - size)
        took = time.perf_counter() - began
        self._rows = max(FEWEST, min(STEP_ROWS, int(self._rows * min(2.0, STEP_SECONDS / max(took, 1e-6)))))

    def _idle_marks_ms(self) -> int:
        """Time marks from before this time mark nothing any more."""
        part = self._database.part
        rows = self._database.fetch(
            "SELECT max(at_ms) FROM mark WHERE part = %s AND uplink < (SELECT min(seq) FROM uplink WHERE part = %s) "
            "AND telemetry < (SELECT min(seq) FROM telemetry WHERE part = %s)",
            (part, part, part),
        )
        return int(rows[0][0] or 0)
