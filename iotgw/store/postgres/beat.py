"""One look of a node at its database: it says that it lives, renews what it runs, and sees how the others do."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.model import Counters
from iotgw.core.ports.nodes import Sums
from iotgw.store.postgres.connection import Connection

_LOCAL = "SET LOCAL synchronous_commit = local"
"""A standby that stands still doesn't make anybody look dead."""
_BEAT = "UPDATE node SET alive_at = now(), is_up = true, version = %s, figures = %s WHERE name = %s"
_END = "UPDATE node SET is_up = false WHERE name = %s"
_DROP = "DELETE FROM lease WHERE node = %s AND NOT what = ANY(%s::text[])"
_RENEW = """INSERT INTO lease SELECT what, %s, now() FROM unnest(%s::text[]) AS what ORDER BY what ON CONFLICT (what) DO UPDATE
SET node = excluded.node, alive_at = excluded.alive_at
WHERE lease.node = excluded.node OR lease.alive_at < now() - make_interval(secs => %s) RETURNING what"""
_NODES = """SELECT name, part, extract(epoch FROM now() - greatest(alive_at, 'epoch'))::float8, is_up, drains, version, figures
FROM node ORDER BY name"""
_PARTITIONS = """SELECT id, owner, wanted_by, extract(epoch FROM now() - greatest(alive_at, 'epoch'))::float8 FROM partition
WHERE owner_epoch > 0 ORDER BY id"""
_LEASES = "SELECT what, node FROM lease WHERE alive_at >= now() - make_interval(secs => %s) ORDER BY what"
_ACCOUNTS = "SELECT counters FROM integration JOIN name ON name.part = integration.part AND name.id = integration.id WHERE text = %s"
_DRAIN = "UPDATE node SET drains = %s WHERE name = %s"


class Beat(Struct, frozen=True):
    """What a node says: its version and figures (JSON), and what it runs or would run, while nobody else does."""

    name: str
    version: str
    figures: bytes
    seeks: list[str]
    lease: float


class NodeRow(Struct, frozen=True):
    """A node. ``heard`` in seconds since it beat last."""

    name: str
    part: int
    heard: float
    is_up: bool
    drains: bool
    version: str
    figures: bytes


class PartRow(Struct, frozen=True):
    """A partition. ``heard`` in seconds since its owner committed something."""

    part: int
    owner: str
    wanted_by: str
    heard: float


class Look(Struct, frozen=True):
    """What is seen, and what this node holds."""

    nodes: list[NodeRow]
    parts: list[PartRow]
    leases: list[tuple[str, str]]
    """What runs on one node, and on which."""
    held: frozenset[str]


def look(db: Connection, beat: Beat) -> Look:
    """In one transaction."""
    db.execute(_LOCAL)
    db.execute(_BEAT, (beat.version, beat.figures, beat.name))
    db.execute(_DROP, (beat.name, beat.seeks))
    held = db.execute(_RENEW, (beat.name, beat.seeks, beat.lease)).fetchall() if beat.seeks else []
    nodes = [NodeRow(*_plain(row)) for row in db.execute(_NODES)]
    parts = [PartRow(*row) for row in db.execute(_PARTITIONS)]
    leases = db.execute(_LEASES, (beat.lease,)).fetchall()
    return Look(nodes, parts, leases, frozenset(what for (what,) in held))


def end(db: Connection, name: str) -> None:
    """A node stops: nobody has to wait for what it ran."""
    db.execute(_LOCAL)
    db.execute(_DROP, (name, []))
    db.execute(_END, (name,))


def accounts(db: Connection, id: str) -> Sums:
    """The accounts of an integration, of all partitions together."""
    found = [msgspec.json.decode(text, type=Counters) for (text,) in db.execute(_ACCOUNTS, (id.encode(),))]
    queued, delivered, expired, dead = (
        sum(getattr(each, word) for each in found) for word in ("queued", "delivered", "expired", "dead")
    )
    dropped = sum(sum(each.dropped.values()) for each in found)
    waiting = queued - delivered - expired - dead - dropped
    return Sums(len(found), queued, delivered, expired, dead, dropped, waiting)


def drain(db: Connection, name: str, drains: bool) -> bool:
    """Have a node drain, or not. False where there is none of this name."""
    return db.execute(_DRAIN, (drains, name)).rowcount == 1


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*row[:-1], bytes(row[-1]))
