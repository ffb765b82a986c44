"""Takes a tenant's messages out of the journal, a few at a time between commits. Used in the writer's thread only.

The newest row of each stream stays, as it tells where positions go on, but it is empty and nobody's.
"""

from __future__ import annotations

import sqlite3

PIECE = 500
"""Rows that are looked for at once."""


def erase_some(connection: sqlite3.Connection, tenant: str, after: int, nobody: int) -> tuple[int, int]:
    """Take out a piece of what a tenant has behind an uplink's position, or of telemetry once ``after`` is negative. Returns where to go on (0: all is gone), and how
    many rows went. ``nobody`` is the number of the tenant that has a row that can't go."""
    row = connection.execute("SELECT id FROM name WHERE text = ?", (tenant,)).fetchone()
    if row is None:
        return 0, 0
    table = "uplink" if after >= 0 else "telemetry"
    begin = abs(after) if after >= 0 else -after - 1
    seqs = [
        seq
        for (seq,) in connection.execute(
            f"SELECT seq FROM {table} WHERE seq > ? AND tenant = ? ORDER BY seq LIMIT ?",
            (begin, row[0], PIECE),
        )
    ]
    if not seqs:
        return (-1, 0) if after >= 0 else (0, 0)
    newest = connection.execute(f"SELECT max(seq) FROM {table}").fetchone()[0]
    gone = [(seq,) for seq in seqs if seq != newest]
    connection.execute("BEGIN")
    try:
        connection.executemany(f"DELETE FROM {table} WHERE seq = ?", gone)
        if table == "uplink":
            connection.executemany("DELETE FROM outcome WHERE seq = ?", gone)
            connection.execute(
                "UPDATE uplink SET tenant = ?, payload = x'', metadata = '{}' WHERE seq = ? AND tenant = ?",
                (nobody, newest, row[0]),
            )
        else:
            connection.execute(
                "UPDATE telemetry SET tenant = ?, device_name = '', device_type = '', body = '{}' WHERE seq = ? AND tenant = ?",
                (nobody, newest, row[0]),
            )
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return (seqs[-1] if after >= 0 else -seqs[-1] - 1), len(seqs)
