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
HAND_BACK = 30.0
"""Seconds that a node has to hand an adopted partition back to its home."""
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


class Seen(Struct, frozen=True):
    """What is seen of an owner. He lives if it changes."""

    owner: str
    epoch: int
    group_no: int
    alive_at: str
    is_stale: bool


def take(
    connection: Connection, part: int, name: str = "", *, lease: float = LEASE, sleep: Callable[[float], None] = time.sleep
) -> Ownership:  # fmt: skip
    """Make the node ``name`` the owner of its partition, which is made if there is none. Waits until the owner's lease has run out; another node
    that has adopted the partition is asked to hand it back. Raises Taken when another process of this name turns out to be alive."""
    connection.execute("INSERT INTO partition (id) VALUES (%s) ON CONFLICT DO NOTHING", (part,))
    first = _look(connection, part, lease)
    began = time.monotonic()
    while not _lock(connection, part):
        seen = _look(connection, part, lease)
        waited = time.monotonic() - began
        if seen.is_stale:
            _end_holder(connection, part)
        elif seen.owner not in ("", name):
            if waited > HAND_BACK + lease:
                raise Taken(
                    f"the partition of node {name!r} is with node {seen.owner!r}, which doesn't hand it back"
                )
            connection.execute("UPDATE partition SET wanted_by = %s WHERE id = %s AND wanted_by <> %s", (name, part, name))  # fmt: skip
        elif seen != first or waited > lease + 1.0:
            raise Taken(
                f"another gateway works on this database as node {name!r}; it was heard of just now. Several need a name each: twistd iotgw --node NAME"
            )
        sleep(LOOK)
    mine = begin(connection, part, name, _look(connection, part, lease).epoch)
    if mine is None:
        raise Taken("another gateway has taken the partition meanwhile")
    return mine


def adopt(connection: Connection, part: int, name: str, *, lease: float = LEASE) -> Ownership | None:
    """Make the node ``name`` the owner of a partition whose owner is dead. None where he turns out to be alive, or somebody else was first."""
    seen = _look(connection, part, lease)
    if not seen.is_stale:
        return None
    if not _lock(connection, part):
        _end_holder(connection, part)
        if not _lock(connection, part):
            return None
    return begin(connection, part, name, seen.epoch)


def begin(connection: Connection, part: int, name: str, epoch: int) -> Ownership | None:
    """Become the owner after the one with this epoch. None where there was another one since."""
    row = connection.execute(
        "UPDATE partition SET owner_epoch = owner_epoch + 1, alive_at = now(), owner = %s, wanted_by = '' "
        "WHERE id = %s AND owner_epoch = %s RETURNING owner_epoch, group_no",
        (name, part, epoch),
    ).fetchone()
    return Ownership(part, row[0], row[1]) if row is not None else None


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


def _lock(connection: Connection, part: int) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (_LOCKS, part)).fetchone()
    return row is not None and bool(row[0])


def _look(connection: Connection, part: int, lease: float) -> Seen:
    row = connection.execute(
        "SELECT owner, owner_epoch, group_no, alive_at::text, alive_at < now() - make_interval(secs => %s) FROM partition WHERE id = %s",
        (lease, part),
    ).fetchone()
    assert row is not None
    return Seen(*row)


def _end_holder(connection: Connection, part: int) -> None:
    """End the session that holds the lock. Its last commit is visible afterwards, or never happens."""
    connection.execute(
        "SELECT pg_terminate_backend(pid, %s) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s AND objid = %s "
        "AND granted AND pid <> pg_backend_pid() AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
        (_ENDS_MS, _LOCKS, part),
    ).fetchall()
