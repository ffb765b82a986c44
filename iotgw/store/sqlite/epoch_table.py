"""The journal's epochs as rows; see `iotgw.core.epochs`. Used in the writer's thread only.

An epoch is written with the first commit that stores something in it, so before anybody hears a name of it. A start that
stores nothing leaves no row.
"""

from __future__ import annotations

import sqlite3

from iotgw.core.epochs import Epoch, new_name
from iotgw.store.sqlite.positions import Positions

# The lowest positions that anything still refers to. The index has those of uplinks whose telemetry outlived them.
_LOWEST_UPLINK = """
SELECT min(seq) FROM (SELECT min(seq) AS seq FROM uplink
    UNION ALL SELECT min(uplink) FROM telemetry WHERE uplink <> 0)
"""
_LOWEST_RECORD = "SELECT min(seq) FROM telemetry"
_LOWEST_PARKED = "SELECT min(nullif(uplink, 0)), min(seq) FROM parked"


class EpochTable:
    """``earlier`` are the epochs of which the journal has something, oldest first, and ``current`` is a new one."""

    def __init__(self, connection: sqlite3.Connection, positions: Positions) -> None:
        self._connection = connection
        rows = connection.execute("SELECT name, uplink, telemetry FROM epoch ORDER BY uplink, telemetry")
        self.earlier = [Epoch(*row) for row in rows]
        names = {epoch.name for epoch in self.earlier}
        name = new_name()
        while name in names:
            name = new_name()
        self.current = Epoch(name, positions.uplink, positions.telemetry)
        gone = self._ended()
        self._gone = [epoch.name for epoch in self.earlier[:gone]]
        del self.earlier[:gone]
        self._is_written = False

    def _ended(self) -> int:
        """How many epochs, from the oldest, name nothing any more."""
        later = [*self.earlier[1:], self.current]
        one = self._connection.execute
        uplink, record = one(_LOWEST_UPLINK).fetchone()[0], one(_LOWEST_RECORD).fetchone()[0]
        count = _before(later, uplink, record)
        if count:  # reading all that is parked may take a moment
            parked_uplink, parked_record = one(_LOWEST_PARKED).fetchone()
            count = min(count, _before(later, parked_uplink, parked_record))
        return count

    def write(self) -> None:
        """Within a transaction that stores something: have the current epoch stored, too."""
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


def _before(later: list[Epoch], uplink: int | None, record: int | None) -> int:
    """How many of the epochs that end where these begin lie below both positions; None is no position at all."""
    count = 0
    for epoch in later:
        if (uplink is not None and uplink <= epoch.uplink) or (
            record is not None and record <= epoch.telemetry
        ):
            break
        count += 1
    return count
