"""Takes a tenant's messages out of a partition, a few at a time between commits. Used in the writer's thread only."""

from __future__ import annotations

from psycopg.types.numeric import Int8

from iotgw.store.names import NameTable
from iotgw.store.postgres.draft import RECORD_BYTES, UPLINK_BYTES
from iotgw.store.postgres.fenced import FencedConnection
from iotgw.store.postgres.packed import int8s
from iotgw.store.postgres.positions import PartitionPositions
from iotgw.store.postgres.statements import ERASE_TELEMETRY, ERASE_UPLINKS

PIECE = 500
"""Rows that are looked for at once."""
_UPLINKS = """SELECT seq, octet_length(metadata) + octet_length(payload) FROM uplink
WHERE part = %s AND seq > %s AND tenant = %s ORDER BY seq LIMIT %s"""
_TELEMETRY = """SELECT seq, octet_length(device_name) + octet_length(body) FROM telemetry
WHERE part = %s AND seq > %s AND tenant = %s ORDER BY seq LIMIT %s"""


def erase_some(
    database: FencedConnection, positions: PartitionPositions, names: NameTable, tenant: str, after: int
) -> tuple[int, int]:
    """See `iotgw.store.writing.GroupWriter.erase`."""
    number = names.get(tenant)
    if number is None:
        return 0, 0
    is_uplink = after >= 0
    begin = after if is_uplink else -after - 1
    query, each = (_UPLINKS, UPLINK_BYTES) if is_uplink else (_TELEMETRY, RECORD_BYTES)
    rows = database.fetch(query, (database.part, Int8(begin), number, PIECE))
    if not rows:
        return (-1, 0) if is_uplink else (0, 0)
    seqs, size = [seq for seq, _ in rows], sum(size + each for _, size in rows)
    if is_uplink:
        database.commit(ERASE_UPLINKS, [int8s(seqs), int8s(seqs)], bytes=-size)
    else:
        database.commit(ERASE_TELEMETRY, [int8s(seqs)], bytes=-size)
    positions.bytes = max(0, positions.bytes - size)
    return (seqs[-1] if is_uplink else -seqs[-1] - 1), len(seqs)
