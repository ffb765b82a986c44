"""How the nodes hear of each other's changes to a shared table: whoever changes it counts up, in the same transaction."""

from __future__ import annotations

from iotgw.store.postgres.connection import Connection
from iotgw.store.postgres.listener import TELL

KEPT = "1 day"
"""How long what was deleted is kept for those who still know it."""


def count_up(db: Connection, what: str) -> int:
    """The number of a change, for the rows that it writes. Until the transaction is committed, nobody else changes the table."""
    row = db.execute(
        "UPDATE change SET count = count + 1 WHERE what = %s RETURNING count", (what,)
    ).fetchone()
    assert row is not None
    db.execute(TELL, (what,))
    return int(row[0])


def counted(db: Connection, what: str) -> int:
    """The number of the last change. Read it before the rows: what comes in between is read twice, and nothing is missed."""
    row = db.execute("SELECT count FROM change WHERE what = %s", (what,)).fetchone()
    assert row is not None
    return int(row[0])


def note_gone(db: Connection, what: str, tenant: str, id: bytes, changed: int) -> None:
    """A row was deleted."""
    db.execute(
        "INSERT INTO gone (what, tenant, id, changed) VALUES (%s, %s, %s, %s)", (what, tenant, id, changed)
    )


def gone_since(db: Connection, what: str, known: int) -> list[tuple[str, bytes, int]]:
    """Tenant, id and number of the change of each row that was deleted after a change."""
    return db.execute(
        "SELECT tenant, id, changed FROM gone WHERE what = %s AND changed > %s ORDER BY changed",
        (what, known),
    ).fetchall()


def forget_old(db: Connection, what: str) -> None:
    """Let go of what was deleted long ago."""
    db.execute(f"DELETE FROM gone WHERE what = %s AND at < now() - interval '{KEPT}'", (what,))
