"""Which node a process is, and which partition is its home."""

from __future__ import annotations

import re

from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.store.postgres.connection import Connection

LONGEST = 63


class NodeName(Struct, frozen=True):
    """A node's name, and its partition; 0 for a node that is new."""

    name: str
    part: int = 0


def check(name: str) -> None:
    """Raise SettingsError where a name is none that a node may have."""
    if not re.fullmatch(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST - 1}}}", name):
        raise SettingsError(
            "--node", f"expected 1 to {LONGEST} letters, digits, dots, dashes or underscores, beginning with a letter or digit, got {name!r}"
        )  # fmt: skip


def named(connection: Connection, wanted: str, machine: str) -> NodeName:
    """Who a process is that is called ``wanted``. Without a name it is called as its machine, except where the database has one node alone, of
    another name: then it is that one, as a machine that replaces a lost one."""
    rows = connection.execute("SELECT name, part FROM node").fetchall()
    known: dict[str, int] = dict(rows)
    if not wanted and len(known) == 1 and machine not in known:
        (wanted,) = known
    name = wanted or machine
    return NodeName(name, known.get(name, 0))


def join(connection: Connection, wanted: str, machine: str) -> NodeName:
    """As `named`; a new node is noted, with a partition of its own. A partition from before nodes had names is the first one's."""
    with connection.transaction():
        connection.execute("LOCK TABLE node IN EXCLUSIVE MODE")
        found = named(connection, wanted, machine)
        if not found.part:
            row = connection.execute(
                "INSERT INTO node (name, part) VALUES (%s, (SELECT coalesce(max(part), 0) + 1 FROM node)) RETURNING part",
                (found.name,),
            ).fetchone()
            assert row is not None
            found = NodeName(found.name, row[0])
    return found
