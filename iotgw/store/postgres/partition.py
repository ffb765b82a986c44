"""Who owns a partition, and how a commit knows that he still does.

The owner is a row: ``owner_epoch`` goes up with each owner, and every commit names the epoch that it goes by, so what an earlier owner commits
matches no row, however long he stood still. An advisory lock, held by the writer's connection, makes the end of an owner quick to see; without
it, his lease (``alive_at``) runs out.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from msgspec import Struct

from iotgw.core.errors import IotgwError
from iotgw.store.postgres.connection import Connection

LEASE = 10.0
"""Seconds after which an owner that was not heard of is taken for dead."""
LOOK = 0.1
"""Seconds between looks whether a partition is free."""
_LOCKS = 7
"""The first number of the advisory locks of partitions."""
_ENDS_MS = 2000
"""How long an ended session may take to be gone."""


class Fenced(IotgwError):
    """Somebody else owns the partition now: this process has lost it, and may commit nothing more."""


class Taken(IotgwError):
    """Somebody else owns the partition, and is alive."""


class Ownership(Struct, frozen=True):
    """A partition that this process owns, as it was when it was taken. ``group_no`` counts its commits."""

    part: int
    epoch: int
    group_no: int


def take(
    connection: Connection, part: int, *, lease: float = LEASE, sleep: Callable[[float], None] = time.sleep
) -> Ownership:
    """Make this connection's process the owner of a partition, which is made if there is none. Waits until its owner's lease has run out; raises
    Taken when he turns out to be alive."""
    connection.execute("INSERT INTO partition (id) VALUES (%s) ON CONFLICT DO NOTHING", (part,))
    seen = _beats(connection, part)
    until = time.monotonic() + lease + 1.0
    while not _lock(connection, part):
        if _is_stale(connection, part, lease):
            _end_holder(connection, part)
        elif _beats(connection, part) != seen or time.monotonic() > until:
            raise Taken("another gateway works on this database: one at a time may; it was heard of just now")
        sleep(LOOK)
    return _begin(connection, part)


def retake(connection: Connection, mine: Ownership) -> int:
    """After the connection was lost: lock again, on a new one. Returns the number of the last group that is committed. Raises Fenced."""
    row = connection.execute(
        "SELECT owner_epoch, group_no FROM partition WHERE id = %s", (mine.part,)
    ).fetchone()
    if row is None or row[0] != mine.epoch:
        raise Fenced("another gateway has taken over")
    if not _lock(connection, mine.part):
        _end_holder(connection, mine.part)  # our earlier session, whose end the server has not noticed
        _lock(connection, mine.part)
    # Read once more: what the earlier session was about to commit is committed now, or never will be.
    row = connection.execute("SELECT group_no FROM partition WHERE id = %s", (mine.part,)).fetchone()
    assert row is not None
    return int(row[0])


def _begin(connection: Connection, part: int) -> Ownership:
    row = connection.execute(
        "UPDATE partition SET owner_epoch = owner_epoch + 1, alive_at = now() WHERE id = %s RETURNING owner_epoch, group_no",
        (part,),
    ).fetchone()
    assert row is not None
    return Ownership(part, row[0], row[1])


def _lock(connection: Connection, part: int) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCKS, part)).fetchone()
    return row is not None and bool(row[0])


def _beats(connection: Connection, part: int) -> tuple[object, ...] | None:
    return connection.execute(
        "SELECT owner_epoch, group_no, alive_at::text FROM partition WHERE id = %s", (part,)
    ).fetchone()


def _is_stale(connection: Connection, part: int, lease: float) -> bool:
    row = connection.execute(
        "SELECT alive_at < now() - make_interval(secs => %s) FROM partition WHERE id = %s", (lease, part)
    ).fetchone()
    return row is not None and bool(row[0])


def _end_holder(connection: Connection, part: int) -> None:
    """End the session that holds the lock. Its last commit is visible afterwards, or never happens."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s "
        "AND granted AND pid <> pg_backend_pid()",
        (_ENDS_MS, _LOCKS, part),
    ).fetchall()
