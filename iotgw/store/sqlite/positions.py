"""How far the journal's streams and their consumers have got."""

from __future__ import annotations

import sqlite3

# A loose index scan: one step per datasource, not per uplink.
_LAST_OF_EACH = """
WITH RECURSIVE source(id) AS (
    SELECT min(datasource) FROM uplink
    UNION ALL SELECT (SELECT min(datasource) FROM uplink WHERE datasource > id) FROM source WHERE id IS NOT NULL
)
SELECT datasource, tenant, seq FROM source
JOIN uplink ON seq = (SELECT max(seq) FROM uplink WHERE datasource = id) WHERE id IS NOT NULL
"""

# A consumer may have begun at a position that was assigned and refused, so no position below it may be assigned again.
_LAST = """
SELECT max((SELECT coalesce(max(seq), 0) FROM {stream}), (SELECT coalesce(max(cursor), 0) FROM {consumer}))
"""


class Positions:
    """The positions of the streams and of their consumers as of the last commit."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        one = connection.execute
        self.uplink: int = one(_LAST.format(stream="uplink", consumer="conversion")).fetchone()[0]
        self.telemetry: int = one(_LAST.format(stream="telemetry", consumer="integration")).fetchone()[0]
        self.mark_ms: int = one("SELECT coalesce(max(at_ms), 0) FROM mark").fetchone()[0]
        self.settled_at_start: int = one("SELECT coalesce(max(seq), 0) FROM outcome").fetchone()[0]
        self.uplink = max(self.uplink, self.settled_at_start)  # where the last uplinks were lost
        self.settled: dict[int, int] = {}
        """For each datasource, the position after which no uplink has an outcome. Before its first entry,
        `settled_at_start` holds."""
        self.converted: dict[int, int] = dict(one("SELECT datasource, cursor FROM conversion"))
        self.received: dict[int, int] = {}
        """The position of each datasource's last uplink."""
        self.tenant: dict[int, int] = {}
        for datasource, tenant, last in one(_LAST_OF_EACH):
            self.received[datasource] = last
            self.tenant[datasource] = tenant
        self.delivered: dict[int, int] = dict(one("SELECT id, cursor FROM integration"))
