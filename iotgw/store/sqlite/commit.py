"""Turns a `Group` into rows, in one transaction. Used in the writer's thread only.

A commit works on a draft of the positions, which replaces them once the transaction is durable. So after a failure
everything is as it was, and the same group can be tried again.
"""

from __future__ import annotations

import sqlite3
from collections import Counter

import msgspec

from iotgw.core.model import DEFAULT_TENANT, Outcome, State, TelemetryRecord
from iotgw.core.times import DateMs
from iotgw.store.group import Advance, Group, SettledUplinks
from iotgw.store.names import NameTable
from iotgw.store.sqlite.database import ManyRows, as_array
from iotgw.store.sqlite.epoch_table import EpochTable
from iotgw.store.sqlite.positions import Positions
from iotgw.store.writing import Committed

KEPT = 4
"""The state of uplinks that ended as FILTERED without a row of their own. It occurs in the tally only."""
MARK_MS = 10_000
"""Milliseconds between the journal's time marks."""

_UPLINKS = ManyRows("uplink", "seq, tenant, datasource, received_ms, metadata, payload")
_OUTCOMES = ManyRows("outcome", "seq, state, converter, telemetry, error", "INSERT OR REPLACE")
_RECORD = "uplink, tenant, datasource, received_ms, kind, device_name, device_type, body"
_TELEMETRY = ManyRows("telemetry", f"seq, {_RECORD}")
_PARKED = ManyRows(
    "parked", f"integration, seq, state, attempts, next_try_ms, error, {_RECORD}, tries", "INSERT OR REPLACE"
)
_CURSORS = ManyRows("conversion", "datasource, cursor", "INSERT OR REPLACE")
_TALLIES = ManyRows(
    "tally", "datasource, state, count", tail="ON CONFLICT DO UPDATE SET count = count + excluded.count"
)

_json = msgspec.json.Encoder().encode
_pairs = msgspec.json.Decoder(list[tuple[int, int, DateMs]]).decode


def check_json(text: bytes) -> None:
    """Raise UnicodeDecodeError if a value could not be read back as JSON."""
    if not text.isascii():
        text.decode()


class _Draft:
    """A commit under way: the values of its rows, column by column, and what it changes."""

    def __init__(self, positions: Positions) -> None:
        self.telemetry_seq = positions.telemetry
        self.uplinks: list[object] = []
        self.outcomes: list[object] = []
        self.telemetry: list[object] = []
        self.tally: Counter[tuple[int, int]] = Counter()
        self.received: dict[int, int] = {}
        self.tenant: dict[int, int] = {}
        self.settled: dict[int, int] = {}
        self.converted: dict[int, int] = {}
        self.mark_ms = positions.mark_ms
        self.new_outcomes: list[Outcome] = []
        self.new_records: list[TelemetryRecord] = []


class Committer:
    """Writes groups to an open journal."""

    def __init__(
        self, connection: sqlite3.Connection, names: NameTable, positions: Positions, epochs: EpochTable
    ) -> None:
        self._connection = connection
        self._names = self.names = names
        self.positions = positions
        self._epochs = epochs
        self.marks = True
        """Whether times are noted. They aren't where they would be on a damaged page."""
        self._rested = (0, 0)

    def begin(self) -> None:
        """Open the next transaction before its group arrives. It holds no lock until it writes."""
        if not self._connection.in_transaction:
            self._connection.execute("BEGIN")

    def commit(self, group: Group, now_ms: int) -> Committed:
        """Write a group durably. Raises sqlite3.Error, or whatever a value raises that can't be stored."""
        connection = self._connection
        draft = _Draft(self.positions)
        try:
            self.begin()
            self._draft_uplinks(group, draft)
            self._draft_results(group.results, draft)
            if group.entries or group.results:
                draft.mark_ms = self.mark(now_ms)
            if group.entries or draft.new_records:
                self._epochs.write()
            self._write(draft)
            for integration in group.forgotten:
                self.forget(integration)
            for integration, advance in group.progress.items():
                self.advance(integration, advance)
            for pair in self._names.unsaved:
                connection.execute("INSERT OR IGNORE INTO name VALUES (?, ?)", pair)
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        self._take_over(group, draft)
        return Committed(draft.new_outcomes, draft.new_records, draft.telemetry_seq)

    def write_results(
        self, results: list[SettledUplinks | TelemetryRecord], uplinks_of: Group | None = None
    ) -> None:
        """Within a transaction that is rolled back, write results, or a group's uplinks: can it be done?"""
        draft = _Draft(self.positions)
        if uplinks_of is not None:
            self._draft_uplinks(uplinks_of, draft)
        self._draft_results(results, draft)
        self._write(draft)

    def rest(self, now_ms: int) -> None:
        """Note the time once after the last group, so that its age is known even if nothing else comes in."""
        positions = self.positions
        if (positions.uplink, positions.telemetry) != self._rested:
            marked_ms = self.mark(now_ms)
            if marked_ms != positions.mark_ms:
                positions.mark_ms = marked_ms
                self._rested = (positions.uplink, positions.telemetry)

    def keep(self, key: str, value: str) -> None:
        """Keep a fact about the journal, durably."""
        connection = self._connection
        try:
            self.begin()
            connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
            connection.execute("COMMIT")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def probe(self) -> None:
        """Find out whether a commit would succeed, by writing some data and rolling it back."""
        connection = self._connection
        try:
            self.begin()
            connection.execute("INSERT OR REPLACE INTO meta VALUES ('probe', zeroblob(262144))")
            connection.execute("COMMIT")
            connection.execute("DELETE FROM meta WHERE key = 'probe'")
        except Exception:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    # --- drafting: changes only the draft and the names ---

    def _draft_uplinks(self, group: Group, draft: _Draft) -> None:
        names = self._names
        extend = draft.uplinks.extend
        received, tenants = draft.received, draft.tenant
        sources = []
        datasource, source, tenant = "", 0, 0
        for stored, _ in group.entries:
            uplink = stored.uplink
            if uplink.datasource != datasource:
                datasource = uplink.datasource
                source, tenant = names[datasource], names[uplink.tenant]
                tenants[source] = tenant
            metadata = uplink.metadata
            if not metadata.isascii():
                check_json(metadata)
            extend((stored.seq, tenant, source, uplink.received_ms, metadata, uplink.payload))
            sources.append(source)
            received[source] = stored.seq
        for source, count in Counter(sources).items():
            draft.tally[source, State.RECEIVED.value] += count

    def _draft_results(self, results: list[SettledUplinks | TelemetryRecord], draft: _Draft) -> None:
        for item in results:
            if isinstance(item, SettledUplinks):
                self._draft_settlement(item, draft)
            else:
                self._draft_record(item, draft)

    def _draft_settlement(self, settlement: SettledUplinks, draft: _Draft) -> None:
        names = self._names
        source = names[settlement.datasource]
        outcomes = settlement.outcomes
        done = draft.converted.get(source, self.positions.converted.get(source, -1))
        if settlement.cursor > done:
            draft.converted[source] = settlement.cursor
        draft.tally[source, KEPT] += settlement.kept
        draft.tally[source, State.FAILED.value] += settlement.lost
        if not outcomes:
            return
        self._replace(source, outcomes, done, draft)
        origins = self._origins(settlement)
        records = draft.new_records
        extend_outcomes, extend_telemetry = draft.outcomes.extend, draft.telemetry.extend
        seq = draft.telemetry_seq
        states = []
        for outcome in outcomes:
            error = None if outcome.error is None else _json(outcome.error)
            state = outcome.state.value
            states.append(state)
            extend_outcomes((outcome.seq, state, names[outcome.converter], seq + 1, error))
            if outcome.outputs:
                # A user had it converted again while it was trimmed: only its tenant and time are unknown.
                tenant_id, received_ms = origins.get(outcome.seq) or (
                    names[DEFAULT_TENANT],
                    outcome.received_ms,
                )
                tenant = names.texts[tenant_id]
                for output in outcome.outputs:
                    seq += 1
                    name, type_, body = output.device_name, output.device_type, output.body
                    check_json(body)
                    extend_telemetry((seq, outcome.seq, tenant_id, source, received_ms, 0, name, type_, body))
                    records.append(
                        TelemetryRecord(
                            seq,
                            outcome.seq,
                            tenant,
                            settlement.datasource,
                            received_ms,
                            name,
                            type_,
                            body,
                            shape=output.shape,
                        )
                    )
        draft.telemetry_seq = seq
        draft.new_outcomes.extend(outcomes)
        for state, count in Counter(states).items():
            draft.tally[source, state] += count

    def _draft_record(self, record: TelemetryRecord, draft: _Draft) -> None:
        names = self._names
        check_json(record.body)
        draft.telemetry_seq = seq = draft.telemetry_seq + 1
        draft.telemetry.extend(
            (
                seq, record.uplink, names[record.tenant], names[record.datasource], record.received_ms,
                record.kind.value, record.device_name, record.device_type, record.body,
            )
        )  # fmt: skip
        draft.new_records.append(msgspec.structs.replace(record, seq=seq))

    def _replace(self, source: int, outcomes: list[Outcome], done: int, draft: _Draft) -> None:
        """Take the earlier outcomes of these uplinks out of the tally. Uplinks that are new, and come in order, have
        none. Uplinks up to ``done`` that have no row were kept without an outcome."""
        positions = self.positions
        settled = draft.settled.get(source) or positions.settled.get(source, positions.settled_at_start)
        numbers = [outcome.seq for outcome in outcomes]
        if min(numbers) <= max(settled, done):
            self._flush_outcomes(draft)
            unknown = sum([number <= done for number in numbers])
            for state, count in self._connection.execute(
                "SELECT state, count(*) FROM outcome WHERE seq IN (SELECT value FROM json_each(?)) GROUP BY state",
                (as_array(numbers),),
            ).fetchall():
                draft.tally[source, state] -= count
                unknown -= count
            if unknown > 0:
                kept = self._kept(source) + draft.tally[source, KEPT]
                draft.tally[source, KEPT] -= min(unknown, kept)
        draft.settled[source] = max(settled, *numbers)

    def _kept(self, source: int) -> int:
        row = self._connection.execute(
            "SELECT count FROM tally WHERE datasource = ? AND state = ?", (source, KEPT)
        ).fetchone()
        return int(row[0]) if row else 0

    def _flush_outcomes(self, draft: _Draft) -> None:
        """Write the outcomes drafted so far, so that a later one in the same group finds them."""
        _OUTCOMES.write(self._connection, draft.outcomes)
        draft.outcomes.clear()

    def _origins(self, settlement: SettledUplinks) -> dict[int, tuple[int, DateMs]]:
        """Position → (tenant's number, received_ms) of the uplinks that have outputs."""
        tenant = self.positions.tenant.get(self._names[settlement.datasource])
        outcomes = [outcome for outcome in settlement.outcomes if outcome.outputs]
        if tenant is not None and all(outcome.received_ms for outcome in outcomes):
            return {outcome.seq: (tenant, outcome.received_ms) for outcome in outcomes}
        (text,) = self._connection.execute(
            "SELECT json_group_array(json_array(seq, tenant, received_ms)) FROM uplink "
            "WHERE seq IN (SELECT value FROM json_each(?))",
            (as_array([outcome.seq for outcome in outcomes]),),
        ).fetchone()
        return {seq: (tenant, received_ms) for seq, tenant, received_ms in _pairs(text)}

    # --- writing ---

    def _write(self, draft: _Draft) -> None:
        connection = self._connection
        _UPLINKS.write(connection, draft.uplinks)
        _OUTCOMES.write(connection, draft.outcomes)
        _TELEMETRY.write(connection, draft.telemetry)
        if draft.converted:
            _CURSORS.write(connection, [value for pair in draft.converted.items() for value in pair])
        tally = [value for (source, state), n in draft.tally.items() if n for value in (source, state, n)]
        if tally:
            _TALLIES.write(connection, tally)

    def mark(self, now_ms: int) -> int:
        """Note the time now and then. What lies below the noted positions was received before that time; what isn't
        committed yet lies above. Returns the time of the last mark."""
        positions = self.positions
        if not self.marks or abs(now_ms - positions.mark_ms) < MARK_MS:
            return positions.mark_ms
        if now_ms < positions.mark_ms:  # the clock was wrong until now
            self._connection.execute("DELETE FROM mark WHERE at_ms >= ?", (now_ms,))
        self._connection.execute(
            "INSERT INTO mark VALUES (?, ?, ?)", (now_ms, positions.uplink, positions.telemetry)
        )
        return now_ms

    def forget(self, integration: str) -> None:
        """Within a transaction, delete an integration's rows."""
        number = self._names[integration]
        self._connection.execute("DELETE FROM integration WHERE id = ?", (number,))
        self._connection.execute("DELETE FROM parked WHERE integration = ?", (number,))

    def advance(self, integration: str, advance: Advance) -> None:
        """Within a transaction, write an integration's progress."""
        names = self._names
        number = names[integration]
        self._connection.execute(
            "INSERT OR REPLACE INTO integration VALUES (?, ?, ?)",
            (number, advance.cursor, _json(advance.counters)),
        )
        if advance.released:
            self._connection.execute(
                "DELETE FROM parked WHERE integration = ? AND seq IN (SELECT value FROM json_each(?))",
                (number, as_array(list(advance.released))),
            )
        values: list[object] = []
        for parked in advance.parked.values():
            record = parked.record
            values += (
                number, record.seq, parked.state.value, parked.attempts, parked.next_try_ms, parked.error,
                record.uplink, names[record.tenant], names[record.datasource], record.received_ms,
                record.kind.value, record.device_name, record.device_type, record.body,
                _json(parked.tries).decode() if parked.tries else "",
            )  # fmt: skip
        _PARKED.write(self._connection, values)

    def _take_over(self, group: Group, draft: _Draft) -> None:
        positions = self.positions
        names = self._names
        names.saved()
        if group.entries or draft.new_records:
            self._epochs.saved()
        if group.entries:
            positions.uplink = group.entries[-1][0].seq
        positions.telemetry = draft.telemetry_seq
        positions.mark_ms = draft.mark_ms
        positions.received.update(draft.received)
        positions.tenant.update(draft.tenant)
        positions.settled.update(draft.settled)
        positions.converted.update(draft.converted)
        for integration in group.forgotten:
            positions.delivered.pop(names[integration], None)
        for integration, advance in group.progress.items():
            positions.delivered[names[integration]] = advance.cursor
