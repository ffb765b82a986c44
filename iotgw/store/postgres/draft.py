"""Turns a `Group` into the columns of its rows. Nothing but the draft and the names changes, so a group can be drafted again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import msgspec

from iotgw.core.model import DEFAULT_TENANT, Outcome, State, TelemetryRecord
from iotgw.core.times import DateMs
from iotgw.store.group import Advance, Group, SettledUplinks
from iotgw.store.names import NameTable
from iotgw.store.postgres.positions import PartitionPositions

KEPT = 4
"""The state of uplinks that ended as FILTERED without a row of their own. It occurs in the tally only."""
UPLINK_BYTES = 200
"""About what an uplink takes in the database besides its texts, with its outcome and its places in indexes."""
RECORD_BYTES = 150
"""The same for a telemetry record."""

_json = msgspec.json.Encoder().encode
OutcomeRow = tuple[int, int, int, int, bytes | None]
"""Position, state, converter, first telemetry record, error."""
Find = Callable[[list[int]], dict[int, tuple[int, int]]]
"""What a function finds of positions: two numbers of each that is there."""


def check_json(text: bytes) -> bytes:
    """Raise UnicodeDecodeError if a value could not be read back as JSON, and TypeError if it is no bytes."""
    if not text.isascii():
        text.decode()
    return text


class ProgressDraft:
    """How far integrations have come, as rows."""

    def __init__(self, names: NameTable) -> None:
        self._names = names
        self.integrations: list[tuple[int, int, bytes, bool]] = []
        self.released: list[tuple[int, int]] = []
        self.parked: list[
            tuple[int, int, int, int, int, bytes, int, int, int, int, int, bytes, bytes, bytes, bytes]
        ] = []

    def advance(self, number: int, advance: Advance) -> None:
        """Draft the progress of an integration that has this number."""
        names = self._names
        self.integrations.append((number, advance.cursor, _json(advance.counters), advance.lent))
        self.released += [(number, seq) for seq in advance.released]
        for parked in advance.parked.values():
            record = parked.record
            row = self._row(record, names[record.tenant], names[record.datasource])
            self.parked.append((
                number, record.seq, parked.state.value, parked.attempts, parked.next_try_ms, parked.error.encode(), *row[1:],
                _json(parked.tries) if parked.tries else b"",
            ))  # fmt: skip

    def _row(
        self, record: TelemetryRecord, tenant: int, source: int
    ) -> tuple[int, int, int, int, int, int, bytes, bytes, bytes]:
        return (
            record.seq, record.uplink, tenant, source, record.received_ms, record.kind.value,
            record.device_name.encode(), record.device_type.encode(), record.body,
        )  # fmt: skip


class GroupDraft(ProgressDraft):
    """A commit under way: the rows, and what they change.

    ``states(positions)`` finds stored outcomes: state and 0; ``origins(positions)`` stored uplinks: tenant and received_ms; ``kept(datasource)`` how many
    uplinks of a datasource were kept without an outcome.

    Many methods: one for each kind of row.
    """

    def __init__(
        self, positions: PartitionPositions, names: NameTable, states: Find, origins: Find, kept: Callable[[int], int]
    ) -> None:  # fmt: skip
        super().__init__(names)
        self._positions = positions
        self._states, self._origins, self._kept = states, origins, kept
        self.telemetry_seq = positions.telemetry
        self.uplinks: list[tuple[int, int, int, int, bytes, bytes]] = []
        self.outcomes: dict[int, OutcomeRow] = {}
        """By position: of two outcomes in one group the later counts, as one statement can't write a row twice."""
        self.telemetry: list[tuple[int, int, int, int, int, int, bytes, bytes, bytes]] = []
        self.tally: Counter[tuple[int, int]] = Counter()
        self.received: dict[int, int] = {}
        self.tenant: dict[int, int] = {}
        self.settled: dict[int, int] = {}
        self.converted: dict[int, int] = {}
        self.bytes = 0
        """About how much more the partition takes with it."""
        self.new_outcomes: list[Outcome] = []
        self.new_records: list[TelemetryRecord] = []

    def add(self, group: Group) -> None:
        """Draft all of a group. Raises whatever a value raises that can't be stored."""
        self._uplinks(group)
        for item in group.results:
            if isinstance(item, SettledUplinks):
                self._settlement(item)
            else:
                self._record(item)
        for integration, advance in group.progress.items():
            self.advance(self._names[integration], advance)
        for uplink in self.uplinks:
            self.bytes += len(uplink[4]) + len(uplink[5]) + UPLINK_BYTES
        for row in self.telemetry:
            self.bytes += len(row[6]) + len(row[8]) + RECORD_BYTES

    @property
    def is_lean(self) -> bool:
        """Whether it has uplinks only."""
        return not (self.outcomes or self.telemetry or self.converted or self.integrations)

    def _uplinks(self, group: Group) -> None:
        names, received = self._names, self.received
        sources = []
        datasource, source, tenant = "", 0, 0
        for stored, _ in group.entries:
            uplink = stored.uplink
            if uplink.datasource != datasource:
                datasource = uplink.datasource
                source, tenant = names[datasource], names[uplink.tenant]
                self.tenant[source] = tenant
            self.uplinks.append(
                (stored.seq, tenant, source, uplink.received_ms, check_json(uplink.metadata), uplink.payload)
            )
            sources.append(source)
            received[source] = stored.seq
        for source, count in Counter(sources).items():
            self.tally[source, State.RECEIVED.value] += count

    def _settlement(self, settlement: SettledUplinks) -> None:
        source = self._names[settlement.datasource]
        done = self.converted.get(source, self._positions.converted.get(source, -1))
        if settlement.cursor > done:
            self.converted[source] = settlement.cursor
        self.tally[source, KEPT] += settlement.kept
        self.tally[source, State.FAILED.value] += settlement.lost
        if settlement.outcomes:
            self._replace(source, settlement.outcomes, done)
            self._outcomes(source, settlement)

    def _outcomes(self, source: int, settlement: SettledUplinks) -> None:
        names, seq = self._names, self.telemetry_seq
        origins = self._origins_of(source, settlement)
        for outcome in settlement.outcomes:
            error = None if outcome.error is None else _json(outcome.error)
            state = outcome.state.value
            self.tally[source, state] += 1
            converter = names[outcome.converter]
            self.outcomes[outcome.seq] = (outcome.seq, state, converter, seq + 1, error)
            # A user had it converted again while it was trimmed: only its tenant and time are unknown.
            tenant_id, received_ms = origins.get(outcome.seq) or (names[DEFAULT_TENANT], outcome.received_ms)
            tenant = names.texts[tenant_id]
            for output in outcome.outputs:
                seq += 1
                record = TelemetryRecord(
                    seq, outcome.seq, tenant, settlement.datasource, DateMs(received_ms), output.device_name,
                    output.device_type, check_json(output.body), shape=output.shape,
                )  # fmt: skip
                self.telemetry.append(self._row(record, tenant_id, source))
                self.new_records.append(record)
        self.telemetry_seq = seq
        self.new_outcomes += settlement.outcomes

    def _record(self, record: TelemetryRecord) -> None:
        check_json(record.body)
        self.telemetry_seq = seq = self.telemetry_seq + 1
        record = msgspec.structs.replace(record, seq=seq)
        self.telemetry.append(self._row(record, self._names[record.tenant], self._names[record.datasource]))
        self.new_records.append(record)

    def _replace(self, source: int, outcomes: list[Outcome], done: int) -> None:
        """Take the earlier outcomes of these uplinks out of the tally. Uplinks that are new, and come in order, have
        none. Uplinks up to ``done`` that have no row were kept without an outcome."""
        positions, tally = self._positions, self.tally
        settled = self.settled.get(source) or positions.settled.get(source, positions.settled_at_start)
        numbers = [outcome.seq for outcome in outcomes]
        if min(numbers) <= max(settled, done):
            stored = self._states([seq for seq in numbers if seq not in self.outcomes])
            unknown = 0
            for seq in numbers:
                if seq in self.outcomes:
                    tally[source, self.outcomes[seq][1]] -= 1
                elif seq in stored:
                    tally[source, stored[seq][0]] -= 1
                elif seq <= done:
                    unknown += 1
            if unknown:
                tally[source, KEPT] -= min(unknown, self._kept(source) + tally[source, KEPT])
        self.settled[source] = max(settled, *numbers)

    def _origins_of(self, source: int, settlement: SettledUplinks) -> dict[int, tuple[int, int]]:
        """Position → (tenant's number, received_ms) of the uplinks that have outputs."""
        tenant = self._positions.tenant.get(source)
        outcomes = [outcome for outcome in settlement.outcomes if outcome.outputs]
        if tenant is not None and all(outcome.received_ms for outcome in outcomes):
            return {outcome.seq: (tenant, outcome.received_ms) for outcome in outcomes}
        return self._origins([outcome.seq for outcome in outcomes])


def columns(rows: Iterable[tuple[object, ...]], count: int) -> list[list[Any]]:
    """The columns of rows that have so many."""
    flat = list(chain.from_iterable(rows))
    return [flat[at::count] for at in range(count)]
