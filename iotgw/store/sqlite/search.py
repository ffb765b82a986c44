"""Users' searches for messages. What a damaged page hides is left out; the rest is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import msgspec
from msgspec import Struct

from iotgw.core.errors import Unavailable
from iotgw.core.message_query import FoundMessages, MessageQuery, affordable
from iotgw.core.model import ConversionError, Message, State
from iotgw.core.times import DateMs
from iotgw.store.names import NameTable
from iotgw.store.sqlite.damage import is_damage
from iotgw.store.sqlite.database import as_array
from iotgw.store.sqlite.rows import RECORD, UPLINK, RecordRow, UplinkRow
from iotgw.store.sqlite.scans import KEPT_TO, ROW, Ask, Scan, Scans, highest, lowest

MOST_LOST = 1000
"""Positions that one search passes by. Where more can't be read, damage is not on single pages."""
FIRST, LARGEST = 8_000, 128_000
"""What the first stretch of a search costs, and the largest one, in entries of an index: what is asked for is mostly near."""


class _MessageRow(Struct, array_like=True, gc=False):
    uplink: UplinkRow
    state: int | None
    converter: int | None
    error: str | None
    records: list[RecordRow]


MESSAGE = 150
"""What a message costs that is read and doesn't fit."""

_rows = msgspec.json.Decoder(list[_MessageRow]).decode
_error = msgspec.json.Decoder(ConversionError).decode

_READ_MESSAGES = f"""
SELECT json_group_array(json_array(
    {UPLINK.replace("seq", "uplink.seq").replace("datasource", "uplink.datasource")},
    coalesce(outcome.state, CASE WHEN uplink.seq <= {KEPT_TO} THEN 2 END), converter, cast(error AS text),
    (SELECT json_group_array(json_array({RECORD})) FROM (
        SELECT * FROM telemetry WHERE uplink <> 0 AND uplink = found.value AND seq >= coalesce(outcome.telemetry, 0)
        ORDER BY seq))
)) FROM json_each(?) AS found
JOIN uplink ON uplink.seq = found.value LEFT JOIN outcome ON outcome.seq = found.value
"""

_READ_SIZES = """
SELECT json_group_array(json_array(uplink.seq, length(payload) + length(metadata)
    + coalesce((SELECT sum(length(body)) FROM telemetry WHERE uplink <> 0 AND uplink = found.value), 0)))
FROM json_each(?) AS found JOIN uplink ON uplink.seq = found.value
"""
_sizes = msgspec.json.Decoder(list[tuple[int, int]]).decode


class _Area(Struct):
    """Positions that are still to be looked at, from the last range on; each has its first position and the one after its last."""

    ranges: list[tuple[int, int]]
    looked_to: int
    lost: int = 0


class MessageSearch:
    """Searches on one connection. ``ask(query, *values)`` runs a query that returns one row; ``lost(table, seq)`` is told
    what turned out to be unreadable."""

    def __init__(self, ask: Ask, names: NameTable, lost: Callable[[str, int], object]) -> None:
        self._ask = ask
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

    def find(self, query: MessageQuery, before: int, limit: int, cost: float = float("inf")) -> FoundMessages:
        """The newest messages of a query before a position, without those that can't be read. Stops when it
        has looked at about so much, in entries of an index. Raises Unavailable if more than `MOST_LOST` can't be read."""
        scans = Scans(query, self._number(query.tenant), self._number(query.datasource or "")).all()
        low, high = self._bounds(query, before)
        area = _Area([(low, high)] if low < high else [], high)
        found: list[Message] = []
        piece, left = FIRST, cost
        while area.ranges and len(found) < limit and left > 0:
            messages, spent = self._stretch(scans, query, area, limit - len(found), piece, left)
            found += messages
            left -= spent
            piece = min(piece * 4, LARGEST)
        if not area.ranges:
            return FoundMessages(found, 0, self.time(query, low))
        return FoundMessages(found, area.looked_to, self.time(query, area.looked_to))

    def _stretch(
        self, scans: list[Scan], query: MessageQuery, area: _Area, limit: int, piece: int, left: float
    ) -> tuple[list[Message], int]:
        """Look a bit further: the messages found, and what it cost. What is ``left`` is what messages may cost."""
        low, high = area.ranges.pop()
        try:
            messages, looked_to, cost = self._look(scans, query, low, high, limit, piece, left)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            if high - low > 1:
                middle = (low + high) // 2
                area.ranges += [(low, middle), (middle, high)]
                return [], 0
            # A range looks one row beyond its end, which may be the damaged one.
            try:
                one = self.message(low)
            except Unavailable:
                one = None
                area.lost += 1
                if area.lost > MOST_LOST:
                    raise
            messages, looked_to, cost = [one] if one is not None and query.matches(one) else [], low, ROW
        if looked_to > low:
            area.ranges.append((low, looked_to))
        area.looked_to = looked_to
        return messages, cost

    def _look(
        self,
        scans: list[Scan],
        query: MessageQuery,
        low: int,
        high: int,
        limit: int,
        piece: int,
        left: float,
    ) -> tuple[list[Message], int, int]:
        """Messages in a range, the position down to which all of it was looked at, and what that cost."""
        looked_to, spent, candidates = low, 0, set[int]()
        for scan in scans:
            stretch = scan.run(self._ask, looked_to, high, piece, limit)
            looked_to, spent = max(looked_to, stretch.looked_to), spent + stretch.cost
            fitting = scan.sifted(self._ask, stretch.positions, limit)
            if len(fitting) == limit:
                looked_to = max(looked_to, fitting[-1])
            candidates.update(fitting)
        newest = sorted((seq for seq in candidates if seq >= looked_to), reverse=True)
        if len(newest) > limit:
            newest = newest[:limit]
            looked_to = newest[-1]
        count, weight = self._affordable(newest, left)
        if count < len(newest):
            newest = newest[:count]
            looked_to = newest[-1]
        spent += weight
        found = [message for message in self._messages(newest) if query.matches(message)]
        if query.group is not None:  # which only the message itself tells
            spent += len(newest) * MESSAGE
        return found, looked_to, spent

    def _affordable(self, positions: list[int], left: float) -> tuple[int, int]:
        """How many of the messages may be read, and what they cost."""
        if not positions or left == float("inf"):
            return len(positions), 0
        (text,) = self._ask(_READ_SIZES, as_array(positions))
        sizes = dict(_sizes(text if isinstance(text, str) else "[]"))
        return affordable((sizes.get(seq, 0) for seq in positions), left)

    def _bounds(self, query: MessageQuery, before: int) -> tuple[int, int]:
        """The first position, and the one after the last. All, where the times that were noted can't be read."""
        try:
            return lowest(query, self._ask), highest(query, self._ask, before)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return 0, before

    def time(self, query: MessageQuery, looked_to: int) -> DateMs:
        """When the first message from a position on was received, so far as it can be read."""
        none = query.since.date_ms if query.since is not None else DateMs(0)
        try:
            (found,) = self._ask(
                "SELECT (SELECT received_ms FROM uplink NOT INDEXED WHERE seq >= ? ORDER BY seq LIMIT 1)",
                looked_to,
            )
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            found = None
        return DateMs(found) if isinstance(found, int) else none

    def _messages(self, positions: list[int]) -> list[Message]:
        """The messages at these positions, in this order. Missing ones are left out."""
        if not positions:
            return []
        (text,) = self._ask(_READ_MESSAGES, as_array(positions))
        return [self._message(row) for row in _rows(text if isinstance(text, str) else "[]")]

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
