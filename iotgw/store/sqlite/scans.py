"""Walks through the journal, newest first: which tables and indexes lead to the messages that a query asks for.

A scan looks at so much and says how far it came, so a search takes no longer than it may, however much is stored. A `Walk` goes
through all positions of a range, one after another, and costs little for each. A `Pick` goes along an index that has few
of them, and looks up the row of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from iotgw.core.message_query import MessageQuery
from iotgw.core.model import State
from iotgw.store.sqlite.commit import KEPT
from iotgw.store.sqlite.database import as_array

ROW = 2
"""What a row costs in a walk through a table, in entries of an index; one of these takes 0.06 µs."""
TEXT = 5
"""What a row costs whose metadata is searched."""
LOOK_UP = 32
"""What a row costs that is looked up by its position: mostly, it is on a page of its own."""
COARSE = 8
"""Ranges of telemetry positions that are told apart."""
FEWEST = 200
"""Candidates that a walk stops at, at least: some of them may be sifted out."""

KEPT_TO = f"""(SELECT cursor FROM conversion JOIN tally USING (datasource)
    WHERE conversion.datasource = uplink.datasource AND tally.state = {KEPT})"""
"""The position up to which uplinks without an outcome were kept, for datasources that keep some."""
_FIRST_WAITING = """
SELECT coalesce(min(coalesce(cursor, 0)) + 1, (SELECT max(seq) + 1 FROM uplink NOT INDEXED)) FROM tally LEFT JOIN conversion USING (datasource)
WHERE state = 0 AND (SELECT max(seq) FROM uplink INDEXED BY uplink_of_datasource WHERE uplink.datasource = tally.datasource) > coalesce(cursor, 0)
"""
"""Before this position, nothing waits to be converted."""
_HAS_NO_OUTCOME = "NOT EXISTS (SELECT 1 FROM outcome WHERE outcome.seq = uplink.seq)"
_KEEPING = f"(SELECT datasource FROM tally WHERE state = {KEPT})"

_positions = msgspec.json.Decoder(list[int]).decode


Ask = Callable[..., tuple[object, ...]]
"""``ask(query, *values)`` runs a query that answers with one row."""


class Condition(Struct, frozen=True):
    """An SQL condition with the values of its parameters."""

    text: str
    values: tuple[object, ...] = ()


def _all(conditions: Sequence[Condition]) -> Condition:
    text = " AND ".join(f"({each.text})" for each in conditions) or "1"
    return Condition(text, tuple(value for each in conditions for value in each.values))


def listed(ask: Ask, query: str, *values: object) -> list[int]:
    """The positions that a query gives in a column ``seq``, in its order."""
    (text,) = ask(f"SELECT json_group_array(seq) FROM ({query})", *values)
    return _positions(text if isinstance(text, str) else "[]")


class Leg(Struct, frozen=True):
    """A part of the way, gone at once: candidates, newest first, and the position down to which it has looked at everything. ``cost`` is in
    entries of an index."""

    positions: list[int]
    looked_to: int
    cost: int


class Scan(Struct, frozen=True):
    """A way through the journal. ``sift`` is what the rows of its candidates must meet, in `uplink` and `outcome`."""

    sift: Condition

    def run(self, ask: Ask, low: int, high: int, cost: int, limit: int) -> Leg:
        """Look at positions low <= position < high for about so much cost."""
        raise NotImplementedError

    def sifted(self, ask: Ask, positions: Sequence[int], limit: int) -> list[int]:
        """The first of these candidates that meet what their rows tell."""
        if not positions:
            return []
        return listed(
            ask,
            "SELECT uplink.seq FROM json_each(?) AS c CROSS JOIN uplink ON uplink.seq = c.value "
            f"LEFT JOIN outcome ON outcome.seq = uplink.seq WHERE {self.sift.text} LIMIT ?",
            as_array(positions), *self.sift.values, limit,
        )  # fmt: skip


class Walk(Scan, frozen=True, kw_only=True):
    """Through all positions. ``table`` (with its index) has a ``position``; ``check`` is what an entry must meet."""

    table: str
    position: str
    check: Condition
    each: int = 1

    def run(self, ask: Ask, low: int, high: int, cost: int, limit: int) -> Leg:
        """See `Scan.run`."""
        first, most = max(low, high - max(1, cost // self.each)), max(limit, FEWEST)
        at = self.position
        found = listed(
            ask,
            f"SELECT DISTINCT {at} AS seq FROM {self.table} WHERE {at} >= ? AND {at} < ? AND {self.check.text} "
            f"ORDER BY {at} DESC LIMIT ?",
            first, high, *self.check.values, most,
        )  # fmt: skip
        looked_to = found[-1] if len(found) == most else first
        return Leg(found, looked_to, (high - looked_to) * self.each)


class Pick(Scan, frozen=True, kw_only=True):
    """Along an index. ``source`` gives positions between two in a column ``seq``, newest first, and at most so many; its parameters are ``values``,
    the first position, the one after the last, and how many."""

    source: str
    values: tuple[object, ...]

    def run(self, ask: Ask, low: int, high: int, cost: int, limit: int) -> Leg:
        """See `Scan.run`."""
        most = max(1, cost // LOOK_UP)
        found = listed(ask, self.source, *self.values, low, high, most)
        return Leg(found, found[-1] if len(found) == most else low, len(found) * LOOK_UP)


def lowest(query: MessageQuery, ask: Ask) -> int:
    """The first position that can meet a query, by the times that were noted."""
    (first,) = ask("SELECT (SELECT seq FROM uplink NOT INDEXED ORDER BY seq LIMIT 1)")
    low = first if isinstance(first, int) else 0
    if query.since is not None:
        (noted,) = ask(
            "SELECT (SELECT uplink + 1 FROM mark WHERE at_ms <= ? ORDER BY at_ms DESC LIMIT 1)",
            query.since.moment_ms,
        )
        low = max(low, noted if isinstance(noted, int) else 0)
    if query.state is State.RECEIVED:
        (waiting,) = ask(_FIRST_WAITING)
        low = max(low, waiting if isinstance(waiting, int) else 0)
    return low


def highest(query: MessageQuery, ask: Ask, high: int) -> int:
    """The position before which all are that can meet a query. What comes is stored a moment later, or some seconds while the disk
    is slow, so the next mark but one is taken."""
    if query.until is None:
        return high
    (noted,) = ask(
        "SELECT (SELECT uplink + 1 FROM mark WHERE at_ms >= ? ORDER BY at_ms LIMIT 1 OFFSET 1)",
        query.until.moment_ms,
    )
    return min(high, noted) if isinstance(noted, int) else high


class Scans:
    """The scans that together find all messages of a query. ``tenant`` and ``datasource`` are the numbers of its names, -1 for one
    that the journal has none of."""

    def __init__(self, query: MessageQuery, tenant: int, datasource: int) -> None:
        self._query = query
        self._rows = [Condition("tenant = ?", (tenant,))]
        if query.datasource is not None:
            self._rows.append(Condition("datasource = ?", (datasource,)))
        for instant, sign in ((query.since, ">="), (query.until, "<")):
            if instant is not None:
                self._rows.append(Condition(f"received_ms {sign} ?", (instant.date_ms,)))
        if query.text is not None:
            self._rows.append(Condition("instr(metadata, ?) > 0", (query.needle,)))
        self._sift = list(self._rows)
        if query.state is not None:
            state = f"coalesce(outcome.state, CASE WHEN uplink.seq <= {KEPT_TO} THEN 2 END, 0) = ?"
            self._sift.append(Condition(state, (int(query.state),)))
        self._datasource = datasource

    def all(self) -> list[Scan]:
        """One, or several whose findings belong together."""
        query, unconverted = self._query, (State.FAILED, State.FILTERED)
        if query.parked is not None:
            return [self._parked()]
        if query.records is not None and not query.records:
            return []
        if query.device is not None or query.records is not None or query.has_output:
            named = [Condition("instr(metadata, ?) > 0", (query.name_value,))]
            states = (
                [state for state in unconverted if query.state in (None, state)] if query.or_named else []
            )
            without = [self._outcomes(state, named) for state in states]
            return without if query.state in unconverted else [self._outputs(), *without]
        if query.state is State.FILTERED:
            return [self._outcomes(query.state), self._kept()]
        if query.state is State.FAILED:
            return [self._outcomes(query.state)]
        return [self._uplinks()]

    def _parked(self) -> Scan:
        parked = self._query.parked
        assert parked is not None
        return Pick(
            _all(self._sift),
            source="SELECT DISTINCT uplink AS seq FROM parked WHERE integration IN "
            "(SELECT id FROM name WHERE text IN (SELECT value FROM json_each(?))) "
            "AND state IN (SELECT value FROM json_each(?)) AND uplink <> 0 "
            "AND uplink >= ? AND uplink < ? ORDER BY uplink DESC LIMIT ?",
            values=(msgspec.json.encode(parked.integrations).decode(), as_array(parked.states)),
        )

    def _outputs(self) -> Scan:
        """Along an index that only grows at its end and covers this."""
        query, checks = self._query, [Condition("uplink <> 0")]
        if query.device is not None:
            checks.append(Condition("device_name = ?", (query.device,)))
        if query.records is not None:
            ranges = coarse(query.records)
            text = " OR ".join(["seq BETWEEN ? AND ?"] * len(ranges))
            checks.append(Condition(text, tuple(bound for each in ranges for bound in each)))
        table = "telemetry INDEXED BY telemetry_of_uplink"
        return Walk(_all(self._sift), table=table, position="uplink", check=_all(checks))

    def _outcomes(self, state: State, more: Sequence[Condition] = ()) -> Scan:
        return Pick(
            _all([*self._sift, *more]),
            source="SELECT seq FROM outcome INDEXED BY outcome_unconverted WHERE state <> 1 AND state = ? "
            "AND seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?",
            values=(int(state),),
        )

    def _kept(self) -> Scan:
        """Uplinks that ended without an outcome, of the datasources that have some."""
        kept = [
            Condition(f"datasource IN {_KEEPING}"),
            Condition(f"seq <= {KEPT_TO}"),
            Condition(_HAS_NO_OUTCOME),
        ]
        return Walk(
            Condition("1"), table="uplink NOT INDEXED", position="seq", check=_all([*self._rows, *kept]), each=ROW
        )  # fmt: skip

    def _uplinks(self) -> Scan:
        if self._query.datasource is not None:
            return Pick(
                _all(self._sift),
                source="SELECT seq FROM uplink INDEXED BY uplink_of_datasource WHERE datasource = ? "
                "AND seq >= ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                values=(self._datasource,),
            )
        sift = Condition("1") if self._query.state is None else _all(self._sift)
        each = ROW if self._query.text is None else TEXT
        checks = self._rows
        if self._query.state is State.RECEIVED:  # few have
            each, checks = each + ROW, [*checks, Condition(_HAS_NO_OUTCOME)]
        return Walk(sift, table="uplink NOT INDEXED", position="seq", check=_all(checks), each=each)


def coarse(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Few ranges that hold all of these: neighbours are joined where the gap between them is smallest."""
    found = sorted(ranges)
    while len(found) > COARSE:
        at = min(range(1, len(found)), key=lambda n: found[n][0] - found[n - 1][1])
        found[at - 1 : at + 1] = [(found[at - 1][0], max(found[at - 1][1], found[at][1]))]
    return found
