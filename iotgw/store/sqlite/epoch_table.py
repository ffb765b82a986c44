"""The journal's epochs as rows; see `iotgw.core.epochs`. Used in the writer's thread only.

An epoch is written with the first commit that gives a position in it, so before anybody hears a name of it. A start that
stores nothing leaves no row. A row goes at a start at which nothing is left of what it names. So there are never more rows
than records, however often the gateway starts.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_left
from contextlib import suppress

from iotgw.core.epochs import Epoch, new_name
from iotgw.store.sqlite.positions import Positions

# Whether anything in the streams has a position after ?1 and up to ?2 (uplinks), or after ?3 and up to ?4 (records). Each
# part takes one step in an index. Telemetry may outlive its uplink, whose name it keeps.
_IS_LEFT = """
SELECT EXISTS (SELECT 1 FROM uplink WHERE seq > ?1 AND seq <= ?2)
    OR EXISTS (SELECT 1 FROM telemetry WHERE seq > ?3 AND seq <= ?4)
    OR EXISTS (SELECT 1 FROM telemetry WHERE uplink <> 0 AND uplink > ?1 AND uplink <= ?2)
"""


class EpochTable:
    """``earlier`` are the epochs of which the journal has something, oldest first, and ``current`` is a new one."""

    def __init__(self, connection: sqlite3.Connection, positions: Positions) -> None:
        self._connection = connection
        rows = connection.execute("SELECT name, uplink, telemetry FROM epoch ORDER BY uplink, telemetry")
        earlier = [Epoch(*row) for row in rows]
        names = {epoch.name for epoch in earlier}
        name = new_name()
        while name in names:
            name = new_name()
        self.current = Epoch(name, positions.uplink, positions.telemetry)
        gone: set[int] = set()
        with suppress(sqlite3.DatabaseError):  # while damage keeps some rows from being read, none goes
            gone = self._gone_of(earlier)
        self.earlier = [epoch for place, epoch in enumerate(earlier) if place not in gone]
        self._gone = [earlier[place].name for place in gone]
        self._is_written = False

    def _gone_of(self, epochs: list[Epoch]) -> set[int]:
        """The places of those epochs that name nothing any more."""
        all = [*epochs, self.current]
        gone = set()
        for place, epoch in enumerate(epochs):
            end = all[place + 1]
            bounds = (epoch.uplink, end.uplink, epoch.telemetry, end.telemetry)
            (is_left,) = self._connection.execute(_IS_LEFT, bounds).fetchone()
            if not is_left:
                gone.add(place)
        if gone:  # reading all that is parked may take a moment
            uplinks, records = [epoch.uplink for epoch in all], [epoch.telemetry for epoch in all]
            for uplink, record in self._connection.execute("SELECT uplink, seq FROM parked"):
                gone.discard(bisect_left(records, record) - 1)
                if uplink:
                    gone.discard(bisect_left(uplinks, uplink) - 1)
        return gone

    def write(self) -> None:
        """Within a transaction that gives a position: have the current epoch stored, too."""
        if self._is_written:
            return
        self._connection.executemany("DELETE FROM epoch WHERE name = ?", [(name,) for name in self._gone])
        self._connection.execute(
            "INSERT INTO epoch VALUES (?, ?, ?)",
            (self.current.name, self.current.uplink, self.current.telemetry),
        )

    def saved(self) -> None:
        """That transaction is durable."""
        self._is_written = True
