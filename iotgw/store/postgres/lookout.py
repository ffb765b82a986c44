"""Sees what happens on other nodes, for whoever looks on: each look finds what has come since the one before."""

from __future__ import annotations

from typing import Any

import msgspec

from iotgw.core.model import Event, Message
from iotgw.core.places import place
from iotgw.core.ports.live import HappenedElsewhere, LiveMessage, MessageElsewhere
from iotgw.store.postgres.connection import Connection
from iotgw.store.postgres.every_reader import EveryReader, PartitionView

MOST = 200
"""Messages of a datasource in a partition, and events of a node, that one look finds at most; of more, the newest."""
HEAD = 16
"""Bytes of a payload that are shown."""
_CURSORS = "SELECT part, datasource, cursor FROM conversion"
_ENDED = "SELECT seq FROM uplink WHERE part = %s AND datasource = %s AND seq > %s AND seq <= %s ORDER BY seq DESC LIMIT %s"
_NODES = "SELECT name, coalesce((SELECT max(no) FROM event WHERE event.node = node.name), 0) FROM node WHERE part <> %s"
_EVENTS = "SELECT no, body FROM event WHERE node = %s AND no > %s ORDER BY no DESC LIMIT %s"
_event = msgspec.msgpack.Decoder(Event).decode


class Lookout:
    """What it has seen is where it goes on: how far conversions have come, by partition and datasource, and the last event of each node. ``own`` is the
    process's partition."""

    def __init__(self, own: int) -> None:
        self._own = own
        self._cursors: dict[tuple[int, int], int] | None = None
        self._events: dict[str, int] | None = None

    def look(self, reader: EveryReader, messages: bool, events: bool) -> HappenedElsewhere:
        """What has happened since the look before; nothing at the first one. What nobody looks at is passed over."""
        db = reader.db
        found = HappenedElsewhere()
        cursors = {
            (part, source): cursor for part, source, cursor in db.execute(_CURSORS) if part != self._own
        }
        if messages and self._cursors is not None:
            for (part, source), cursor in cursors.items():
                before = self._cursors.get((part, source), 0)
                view = reader.view(part)
                if cursor > before and view is not None:
                    found.messages.extend(_ended(db, view, source, before, cursor))
            found.messages.sort(key=lambda each: each.message.received_ms)
        self._cursors = cursors if messages else None
        nodes: dict[str, int] = dict(db.execute(_NODES, (self._own,)).fetchall()) if events else {}
        if events and self._events is not None:
            for name, last in nodes.items():
                before = self._events.get(name, 0)
                if last > before:
                    rows: list[Any] = db.execute(_EVENTS, (name, before, MOST)).fetchall()
                    found.events.extend(_event(body) for _, body in reversed(rows))
        self._events = nodes if events else None
        return found


def _ended(
    db: Connection, view: PartitionView, source: int, before: int, cursor: int
) -> list[MessageElsewhere]:
    """The messages of a datasource between these positions, oldest first."""
    seqs = [seq for (seq,) in db.execute(_ENDED, (view.part, source, before, cursor, MOST))]
    return [_seen(view.part, message) for message in reversed(view.queries.search.these(seqs))]


def _seen(part: int, message: Message) -> MessageElsewhere:
    uplink = message.uplink
    shown = LiveMessage(
        place(part, message.seq),
        uplink.received_ms,
        len(uplink.payload),
        uplink.payload[:HEAD],
        message.error,
    )
    devices = tuple(dict.fromkeys(record.device_name for record in message.records))
    return MessageElsewhere(uplink.tenant, uplink.datasource, devices, message.state, shown)
