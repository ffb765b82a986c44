"""Users' searches for messages. What a damaged page hides is left out; the rest is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Protocol

import msgspec
from msgspec import Struct

from iotgw.core.errors import Unavailable
from iotgw.core.model import ConversionError, Message, State
from iotgw.store.sqlite.commit import KEPT
from iotgw.store.sqlite.damage import is_damage
from iotgw.store.sqlite.database import as_array
from iotgw.store.sqlite.names import NameTable
from iotgw.store.sqlite.rows import RECORD, UPLINK, RecordRow, UplinkRow

MOST_LOST = 1000
"""Positions that one search passes by. Where more can't be read, damage is not on single pages."""


class _MessageRow(Struct, array_like=True, gc=False):
    uplink: UplinkRow
    state: int | None
    converter: int | None
    error: str | None
    records: list[RecordRow]


_rows = msgspec.json.Decoder(list[_MessageRow]).decode
_positions = msgspec.json.Decoder(list[int]).decode
_error = msgspec.json.Decoder(ConversionError).decode

_KEPT_TO = f"""(SELECT cursor FROM conversion JOIN tally USING (datasource)
    WHERE conversion.datasource = uplink.datasource AND tally.state = {KEPT})"""
"""The position up to which uplinks without an outcome were kept, for datasources that keep some."""
_WAS_KEPT = f"""uplink.datasource IN (SELECT datasource FROM tally WHERE state = {KEPT})
    AND uplink.seq <= {_KEPT_TO} AND NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.seq = uplink.seq)"""
_READ_MESSAGES = f"""
SELECT json_group_array(json_array(
    {UPLINK.replace("seq", "uplink.seq").replace("datasource", "uplink.datasource")},
    coalesce(outcome.state, CASE WHEN uplink.seq <= {_KEPT_TO} THEN 2 END), converter, cast(error AS text),
    (SELECT json_group_array(json_array({RECORD})) FROM (
        SELECT * FROM telemetry WHERE uplink <> 0 AND uplink = found.value AND seq >= coalesce(outcome.telemetry, 0)
        ORDER BY seq))
)) FROM json_each(?) AS found
JOIN uplink ON uplink.seq = found.value LEFT JOIN outcome ON outcome.seq = found.value
"""


class _One(Protocol):
    def __call__(self, query: str, *values: object) -> str: ...


class MessageSearch:
    """Searches on one connection. ``one(query, *values)`` runs a query that returns one text; ``lost(table, seq)`` is told
    what turned out to be unreadable."""

    def __init__(self, one: _One, names: NameTable, lost: Callable[[str, int], object]) -> None:
        self._one = one
        self._names = names
        self._lost = lost

    def message(self, seq: int) -> Message | None:
        """The message at a position; None if there is none. Raises Unavailable if it can't be read."""
        try:
            return next(iter(self._messages([seq])), None)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._lost("uplink", seq)
            raise Unavailable(f"the journal is damaged where this message is: {error}") from error

    def find(
        self,
        tenant: str,
        before: int,
        limit: int,
        datasource: str | None,
        state: State | None,
        device: str | None,
    ) -> list[Message]:
        """The newest messages before a position that meet all conditions, without those that can't be read. Raises
        Unavailable if these are more than `MOST_LOST`."""

        def is_meant(message: Message) -> bool:
            return (
                message.uplink.tenant == tenant
                and datasource in (None, message.uplink.datasource)
                and state in (None, message.state)
                and (device is None or any(record.device_name == device for record in message.records))
            )

        found: list[Message] = []
        lost = 0
        ranges = [(0, before)]
        while ranges and len(found) < limit:
            low, high = ranges.pop()
            try:
                found += self._find(low, high, limit - len(found), tenant, datasource, state, device)
            except sqlite3.Error as error:
                if not is_damage(error):
                    raise
                if high - low > 1:
                    middle = (low + high) // 2
                    ranges += [(low, middle), (middle, high)]
                    continue
                # A range looks one row beyond its end, which may be the damaged one.
                try:
                    found += filter(is_meant, [one] if (one := self.message(low)) else ())
                except Unavailable:
                    lost += 1
                    if lost > MOST_LOST:
                        raise
        return found

    def _find(
        self,
        first: int,
        before: int,
        limit: int,
        tenant: str,
        datasource: str | None,
        state: State | None,
        device: str | None,
    ) -> list[Message]:
        """Those of the positions from ``first`` on."""
        origin, conditions = "uplink", ["uplink.tenant = ?", "uplink.seq >= ?", "uplink.seq < ?"]
        values: list[int | str] = [self._number(tenant), first, before]
        order = "uplink.seq"
        kept: list[int] = []
        if datasource is not None:
            conditions.append("uplink.datasource = ?")
            values.append(self._number(datasource))
        if device is not None:
            # CROSS JOIN keeps the order of the tables: along the covering index, newest first.
            origin = "telemetry t CROSS JOIN uplink ON uplink.seq = t.uplink"
            conditions += ["t.uplink <> 0", "t.uplink >= ?", "t.uplink < ?", "t.device_name = ?"]
            values += [first, before, device]
            order = "t.uplink"
        if state is State.RECEIVED:
            origin += " LEFT JOIN outcome o ON o.seq = uplink.seq"
            conditions += [
                "o.seq IS NULL",
                "uplink.seq > (SELECT coalesce(min(cursor), 0) FROM conversion)",
                f"uplink.seq > coalesce({_KEPT_TO}, 0)",
            ]
        elif state is not None and state is not State.CONVERTED and device is None:
            if state is State.FILTERED:
                kept = self._positions("uplink", [*conditions, _WAS_KEPT], order, values, limit)
            origin = "outcome o CROSS JOIN uplink ON uplink.seq = o.seq"
            conditions += ["o.state <> 1", "o.state = ?", "o.seq >= ?", "o.seq < ?"]
            values += [int(state), first, before]
            order = "o.seq"
        elif state is not None:
            origin += " JOIN outcome o ON o.seq = uplink.seq"
            conditions.append("o.state = ?")
            values.append(int(state))
        found = self._positions(origin, conditions, order, values, limit)
        return self._messages(sorted({*found, *kept}, reverse=True)[:limit])

    def _positions(
        self, origin: str, conditions: list[str], order: str, values: list[int | str], limit: int
    ) -> list[int]:
        found = self._one(
            f"SELECT json_group_array(seq) FROM (SELECT DISTINCT {order} AS seq FROM {origin} "
            f"WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT ?)",
            *values,
            limit,
        )
        return _positions(found)

    def _messages(self, positions: list[int]) -> list[Message]:
        """The messages at these positions, in this order. Missing ones are left out."""
        return [self._message(row) for row in _rows(self._one(_READ_MESSAGES, as_array(positions)))]

    def _message(self, row: _MessageRow) -> Message:
        texts = self._names.texts
        stored = row.uplink.stored(texts)
        return Message(
            stored.seq,
            stored.uplink,
            State(row.state or 0),
            "" if row.converter is None else texts[row.converter],
            None if row.error is None else _error(row.error),
            tuple([record.record(texts) for record in row.records]),
        )

    def _number(self, text: str) -> int:
        return self._names.get(text, -1)  # never `[]`, which would make a new one
