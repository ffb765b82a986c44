"""The state of the gateway's clock, as the last run left it in the database."""

from __future__ import annotations

import socket

import msgspec
import psycopg

from iotgw.core.clock import KeptClock
from iotgw.core.errors import IotgwError
from iotgw.store.postgres import names, schema
from iotgw.store.postgres.connection import Address
from iotgw.store.postgres.writer import clock_of

NODES = 3
"""The version of the schema in which nodes have names."""


def kept_clock(address: Address, node: str = "") -> KeptClock | None:
    """What the database keeps of a node's clock; None where it keeps nothing, or where it can't be read: opening it will say so."""
    try:
        connection = address.connect()
    except (psycopg.Error, IotgwError):
        return None
    with connection:
        if not schema.is_made(connection, NODES):
            return None
        part = names.named(connection, node, socket.gethostname()).part or 1
        row = connection.execute("SELECT value FROM fact WHERE key = %s", (clock_of(part),)).fetchone()
        marks = connection.execute(
            "SELECT coalesce(max(at_ms), 0) FROM mark WHERE part = %s", (part,)
        ).fetchone()
    last_ms = marks[0] if marks else 0
    if not last_ms and not row:
        return None
    try:
        kept = msgspec.json.decode(row[0], type=KeptClock) if row else KeptClock.of_dates(last_ms)
    except msgspec.DecodeError:
        kept = KeptClock.of_dates(last_ms)
    return msgspec.structs.replace(kept, seen_ms=max(kept.seen_ms, last_ms))
