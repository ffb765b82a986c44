"""Users' searches for messages of a partition, newest first.

A search looks at so much and says how far it came. A `Walk` goes through all positions of a range; a `Pick` goes along an index that has few of
them, and looks up their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from iotgw.core.message_query import FoundMessages, MessageQuery, affordable
from iotgw.core.model import ConversionError, Message, State
from iotgw.core.times import DateMs
from iotgw.store.names import NameTable
from iotgw.store.postgres.draft import KEPT
from iotgw.store.postgres.rows import RECORD, Row, stored_uplink, telemetry_record

Rows = Callable[..., list[Row]]
"""``rows(query, **values)`` runs a query; ``part`` is among its values already."""
FIRST, LARGEST = 10_000, 160_000
"""Positions of the first stretch of a search, and of the largest: what is asked for is mostly near."""
PICKED = 3000
"""Candidates of one stretch along an index."""
LOOK_UP = 32
"""What a row costs that is looked up by its position, in positions of a walk."""
NO_END = 1 << 62

_STATE = f"""coalesce(o.state, CASE WHEN u.seq <= (SELECT cursor FROM conversion JOIN tally USING (part, datasource)
    WHERE part = u.part AND datasource = u.datasource AND tally.state = {KEPT}) THEN {State.FILTERED.value} END, 0)"""
_FROM = "FROM uplink u LEFT JOIN outcome o ON o.part = u.part AND o.seq = u.seq WHERE u.part = %(part)s"
_MESSAGES = f"""SELECT u.seq, u.tenant, u.datasource, u.received_ms, u.metadata, u.payload, {_STATE}, o.converter, o.error
{_FROM} AND u.seq = ANY(%(seqs)s::bigint[]) ORDER BY u.seq DESC"""
_RECORDS = f"""SELECT {", ".join(f"t.{each}" for each in RECORD.split(", "))} FROM telemetry t
LEFT JOIN outcome o ON o.part = t.part AND o.seq = t.uplink
WHERE t.part = %(part)s AND t.uplink <> 0 AND t.uplink = ANY(%(seqs)s::bigint[]) AND t.seq >= coalesce(o.telemetry, 0) ORDER BY t.seq"""
_SIZES = """SELECT u.seq, octet_length(u.payload) + octet_length(u.metadata) + coalesce((SELECT sum(octet_length(t.body)) FROM telemetry t
    WHERE t.part = u.part AND t.uplink <> 0 AND t.uplink = u.seq), 0)
FROM uplink u WHERE u.part = %(part)s AND u.seq = ANY(%(seqs)s::bigint[])"""
_OUTPUTS = "SELECT DISTINCT uplink FROM telemetry WHERE part = %(part)s AND uplink <> 0 AND uplink >= %(low)s AND uplink < %(high)s"
_OF_STATE = "SELECT seq FROM outcome WHERE part = %(part)s AND state <> 1 AND state = %(picked)s AND seq >= %(low)s AND seq < %(high)s"
_OF_DATASOURCE = "SELECT seq FROM uplink WHERE part = %(part)s AND datasource = %(datasource)s AND seq >= %(low)s AND seq < %(high)s"
_OF_PARKED = """SELECT DISTINCT uplink AS seq FROM parked WHERE part = %(part)s AND integration = ANY(%(integrations)s::int[])
    AND state = ANY(%(parked)s::int[]) AND uplink <> 0 AND uplink >= %(low)s AND uplink < %(high)s"""
_error = msgspec.json.Decoder(ConversionError).decode


class PartitionScan(Struct, frozen=True):
    """A way through the partition. ``source`` gives positions; ``sift`` is what the rows of these must meet. ``is_pick``: along an index that has
    few. ``values`` are those of both texts."""

    source: str
    sift: str
    values: dict[str, Any]
    is_pick: bool = False


class ScanLeg(Struct, frozen=True):
    """Positions that fit, newest first, and the one down to which everything was looked at; ``cost`` in positions of a walk."""

    seqs: list[int]
    looked_to: int
    cost: int


class PartitionSearch:
    """Searches on one connection."""

    def __init__(self, rows: Rows, names: NameTable) -> None:
        self._rows = rows
        self._names = names

    def message(self, seq: int) -> Message | None:
        """See `MessageReads.message`."""
        return next(iter(self._messages([seq])), None)

    def these(self, seqs: Sequence[int]) -> list[Message]:
        """The messages at these positions, newest first. Missing ones are left out."""
        return self._messages(seqs)

    def find(self, query: MessageQuery, before: int, limit: int, cost: float = float("inf")) -> FoundMessages:
        """See `MessageReads.find`."""
        low, high = self.bounds(query, before)
        scans = self.scans(query)
        found: list[Message] = []
        piece, left = FIRST, cost
        while scans and high > low and len(found) < limit and left > 0:
            legs = [self.run(scan, low, high, limit - len(found), piece) for scan in scans]
            looked_to = max(leg.looked_to for leg in legs)
            newest = sorted({seq for leg in legs for seq in leg.seqs if seq >= looked_to}, reverse=True)
            if len(newest) > limit - len(found):
                newest = newest[: limit - len(found)]
                looked_to = newest[-1]
            count, weight = self._affordable(newest, left)
            if count < len(newest):
                newest = newest[:count]
                looked_to = newest[-1]
            found += [message for message in self._messages(newest) if query.matches(message)]
            left -= weight + sum(leg.cost for leg in legs)
            high, piece = looked_to, min(piece * 4, LARGEST)
        next_ = high if scans and high > low else 0
        return FoundMessages(found, next_, self.time(query, high if next_ else low))

    def _affordable(self, seqs: Sequence[int], left: float) -> tuple[int, int]:
        """How many of the messages may be read, and what they cost."""
        if not seqs or left == float("inf"):
            return len(seqs), 0
        sizes = {seq: int(size) for seq, size in self._rows(_SIZES, seqs=list(seqs))}
        return affordable((sizes.get(seq, 0) for seq in seqs), left)

    def bounds(self, query: MessageQuery, before: int) -> tuple[int, int]:
        """The first position that can meet a query, and the one after the last, by the times that were noted."""
        ((first,),) = self._rows("SELECT min(seq) FROM uplink WHERE part = %(part)s")
        low, high = first or 0, before
        if query.since is not None:
            noted = self._rows(
                "SELECT uplink + 1 FROM mark WHERE part = %(part)s AND at_ms <= %(ms)s ORDER BY at_ms DESC LIMIT 1",
                ms=query.since.moment_ms,
            )
            low = max(low, noted[0][0] if noted else 0)
        if query.state is State.RECEIVED:
            ((converted,),) = self._rows("SELECT min(cursor) + 1 FROM conversion WHERE part = %(part)s")
            low = max(low, converted or 0)
        if query.until is not None:  # what comes is stored a moment later: the next mark but one
            noted = self._rows(
                "SELECT uplink + 1 FROM mark WHERE part = %(part)s AND at_ms >= %(ms)s ORDER BY at_ms LIMIT 1 OFFSET 1",
                ms=query.until.moment_ms,
            )
            high = min(high, noted[0][0]) if noted else high
        return low, high

    def time(self, query: MessageQuery, looked_to: int) -> DateMs:
        """When the first message from a position on was received."""
        found = self._rows(
            "SELECT received_ms FROM uplink WHERE part = %(part)s AND seq >= %(low)s ORDER BY seq LIMIT 1", low=looked_to
        )  # fmt: skip
        if found:
            return DateMs(found[0][0])
        return query.since.date_ms if query.since is not None else DateMs(0)

    def run(self, scan: PartitionScan, low: int, high: int, limit: int, piece: int) -> ScanLeg:
        """Look at positions low <= position < high: so many of them, or at so many candidates."""
        if not scan.is_pick:
            first = max(low, high - piece)
            seqs = self._sifted(scan, f"u.seq IN ({scan.source})", limit, low=first, high=high)
            looked_to = seqs[-1] if len(seqs) == limit else first
            return ScanLeg(seqs, looked_to, high - looked_to)
        most = max(limit, min(PICKED, piece // LOOK_UP))
        bounds = {"low": low, "high": high, "most": most}
        candidates = [
            seq
            for (seq,) in self._rows(f"{scan.source} ORDER BY 1 DESC LIMIT %(most)s", **scan.values, **bounds)
        ]
        looked_to = candidates[-1] if len(candidates) == most else low
        seqs = self._sifted(scan, "u.seq = ANY(%(candidates)s::bigint[])", limit, candidates=candidates)
        looked_to = max(looked_to, seqs[-1]) if len(seqs) == limit else looked_to
        return ScanLeg(seqs, looked_to, len(candidates) * LOOK_UP)

    def _sifted(self, scan: PartitionScan, which: str, limit: int, **more: Any) -> list[int]:
        query = f"SELECT u.seq {_FROM} AND {which} AND {scan.sift} ORDER BY u.seq DESC LIMIT %(limit)s"
        return [seq for (seq,) in self._rows(query, **scan.values, **more, limit=limit)]

    def scans(self, query: MessageQuery) -> list[PartitionScan]:
        """The scans that together find all messages of a query: one, or several whose findings belong together."""
        values: dict[str, Any] = {
            "tenant": self.number(query.tenant),
            "datasource": self.number(query.datasource or ""),
        }
        sift = ["u.tenant = %(tenant)s"]
        if query.datasource is not None:
            sift.append("u.datasource = %(datasource)s")
        for name, instant, sign in (("since", query.since, ">="), ("until", query.until, "<")):
            if instant is not None:
                values[name] = instant.date_ms
                sift.append(f"u.received_ms {sign} %({name})s")
        if query.text is not None:
            values["needle"] = query.needle
            sift.append("position(%(needle)s::bytea in u.metadata) > 0")
        if query.state is not None:
            values["state"] = int(query.state)
            sift.append(f"{_STATE} = %(state)s")
        text = " AND ".join(sift)
        if query.parked is not None:
            numbers = [self.number(each) for each in query.parked.integrations]
            values |= {"integrations": numbers, "parked": list(query.parked.states)}
            return [PartitionScan(_OF_PARKED, text, values, True)]
        if query.records is not None and not query.records:
            return []
        if query.device is not None or query.records is not None or query.has_output:
            return self._of_outputs(query, text, values)
        if query.state is State.FAILED:
            return [PartitionScan(_OF_STATE, text, {**values, "picked": int(State.FAILED)}, True)]
        if query.datasource is not None and query.state is None:
            return [PartitionScan(_OF_DATASOURCE, text, values, True)]
        everything = "SELECT seq FROM uplink WHERE part = %(part)s AND seq >= %(low)s AND seq < %(high)s"
        return [PartitionScan(everything, text, values)]

    def _of_outputs(self, query: MessageQuery, sift: str, values: dict[str, Any]) -> list[PartitionScan]:
        unconverted = (State.FAILED, State.FILTERED)
        named = f"{sift} AND position(%(named)s::bytea in u.metadata) > 0"
        without = [
            PartitionScan(_OF_STATE, named, {**values, "picked": int(state), "named": query.name_value}, True)
            for state in unconverted
            if query.or_named and query.state in (None, state)
        ]
        if query.state in unconverted:
            return without
        source, values = _OUTPUTS, dict(values)
        if query.device is not None:
            values["device"] = query.device.encode("utf-8", "replace")
            source += " AND device_name = %(device)s"
        if query.records is not None:
            values["firsts"], values["lasts"] = (
                [each[0] for each in query.records],
                [each[1] for each in query.records],
            )
            source += (
                " AND EXISTS (SELECT 1 FROM unnest(%(firsts)s::bigint[], %(lasts)s::bigint[]) AS r(first, last) "
                "WHERE telemetry.seq BETWEEN r.first AND r.last)"
            )
        return [PartitionScan(source, sift, values), *without]

    def _messages(self, seqs: Sequence[int]) -> list[Message]:
        """The messages at these positions, newest first. Missing ones are left out."""
        if not seqs:
            return []
        texts = self._names.texts
        records: dict[int, list[Any]] = {}
        for row in self._rows(_RECORDS, seqs=list(seqs)):
            records.setdefault(row[1], []).append(telemetry_record(row, texts))
        found = []
        for row in self._rows(_MESSAGES, seqs=list(seqs)):
            stored = stored_uplink(row[:6], texts)
            state, converter, error = row[6:]
            found.append(
                Message(
                    stored.seq, stored.uplink, State(state), "" if converter is None else texts[converter],
                    None if error is None else _error(error), tuple(records.get(stored.seq, ())),
                )
            )  # fmt: skip
        return found

    def number(self, text: str) -> int:
        """The number of a name, -1 for one that the partition has none of."""
        return self._names.get(text, -1)  # never `[]`, which would make a new one
