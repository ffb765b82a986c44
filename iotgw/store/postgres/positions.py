"""How far a partition's streams and their consumers have got, and which epochs it has."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from iotgw.core.epochs import Epoch, new_name
from iotgw.store.postgres.connection import Connection

# A loose index scan: one step per datasource, not per uplink.
_LAST_OF_EACH = """
WITH RECURSIVE source(id) AS (
    SELECT min(datasource) FROM uplink WHERE part = %(part)s
    UNION ALL
    SELECT (SELECT min(datasource) FROM uplink WHERE part = %(part)s AND datasource > id) FROM source WHERE id IS NOT NULL
)
SELECT datasource, tenant, uplink.seq FROM source CROSS JOIN LATERAL
    (SELECT max(seq) AS seq FROM uplink WHERE part = %(part)s AND datasource = id) AS last
JOIN uplink ON part = %(part)s AND uplink.seq = last.seq WHERE id IS NOT NULL
"""
# A consumer may have begun at a position that was assigned and refused, so no position below it may be assigned again.
_LAST = """
SELECT greatest(uplink, (SELECT max(cursor) FROM conversion WHERE part = %(part)s),
                        (SELECT max(seq) FROM uplink WHERE part = %(part)s), (SELECT max(seq) FROM outcome WHERE part = %(part)s)),
    greatest(telemetry, (SELECT max(cursor) FROM integration WHERE part = %(part)s), (SELECT max(seq) FROM telemetry WHERE part = %(part)s)),
    coalesce((SELECT max(at_ms) FROM mark WHERE part = %(part)s), 0), coalesce((SELECT max(seq) FROM outcome WHERE part = %(part)s), 0), bytes
FROM partition WHERE id = %(part)s
"""
_IS_LEFT = """
SELECT EXISTS (SELECT 1 FROM uplink WHERE part = %(part)s AND seq > %(uplink)s AND seq <= %(next_uplink)s)
    OR EXISTS (SELECT 1 FROM telemetry WHERE part = %(part)s AND seq > %(record)s AND seq <= %(next_record)s)
    OR EXISTS (SELECT 1 FROM telemetry WHERE part = %(part)s AND uplink <> 0 AND uplink > %(uplink)s AND uplink <= %(next_uplink)s)
"""


class PartitionPositions:
    """The positions of a partition's streams and of their consumers as of the last commit."""

    def __init__(self, connection: Connection, part: int) -> None:
        one, here = connection.execute, {"part": part}
        row = one(_LAST, here).fetchone()
        assert row is not None
        self.uplink, self.telemetry, self.mark_ms, self.settled_at_start, self.bytes = (
            int(each) for each in row
        )
        self.settled: dict[int, int] = {}
        """For each datasource, the position after which no uplink has an outcome. Before its first entry,
        `settled_at_start` holds."""
        self.converted: dict[int, int] = dict(
            one("SELECT datasource, cursor FROM conversion WHERE part = %(part)s", here).fetchall()
        )
        self.received: dict[int, int] = {}
        """The position of each datasource's last uplink."""
        self.tenant: dict[int, int] = {}
        for datasource, tenant, last in one(_LAST_OF_EACH, here):
            self.received[datasource] = last
            self.tenant[datasource] = tenant
        rows = one("SELECT id, cursor, loan FROM integration WHERE part = %(part)s", here).fetchall()
        self.delivered: dict[int, int] = {id: cursor for id, cursor, _ in rows}
        self.lent: set[int] = {id for id, _, loan in rows if loan}
        """Integrations whose place others move."""


class PartitionEpochs:
    """``earlier`` are the epochs of which the partition has something, oldest first, and ``current`` is a new one: it is written with the
    first commit that gives a position in it. ``gone`` are names of those of which nothing is left."""

    def __init__(self, connection: Connection, part: int, positions: PartitionPositions) -> None:
        rows = connection.execute(
            "SELECT name, uplink, telemetry FROM epoch WHERE part = %s ORDER BY uplink, telemetry", (part,)
        )
        found = [Epoch(*row) for row in rows]
        self.current = Epoch(new_name(), positions.uplink, positions.telemetry)
        gone = self._gone_of(connection, part, [*found, self.current])
        self.earlier = [epoch for place, epoch in enumerate(found) if place not in gone]
        self.gone = [found[place].name for place in gone]
        self.is_written = False

    def _gone_of(self, connection: Connection, part: int, all: list[Epoch]) -> set[int]:
        gone = set()
        for place, (epoch, end) in enumerate(pairwise(all)):
            bounds = {
                "part": part, "uplink": epoch.uplink, "next_uplink": end.uplink, "record": epoch.telemetry,
                "next_record": end.telemetry,
            }  # fmt: skip
            row = connection.execute(_IS_LEFT, bounds).fetchone()
            if row is not None and not row[0]:
                gone.add(place)
        if gone:
            uplinks, records = [epoch.uplink for epoch in all], [epoch.telemetry for epoch in all]
            for uplink, record in connection.execute(
                "SELECT uplink, seq FROM parked WHERE part = %s", (part,)
            ):
                gone.discard(bisect_left(records, record) - 1)
                if uplink:
                    gone.discard(bisect_left(uplinks, uplink) - 1)
        return gone
