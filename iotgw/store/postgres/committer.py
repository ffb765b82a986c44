"""Turns groups into commits of a partition. Used in the writer's thread only.

A commit works on a draft, and positions change once it is durable: after a failure everything is as it was.
"""

from __future__ import annotations

import time

import msgspec
from psycopg.types.numeric import Int8

from iotgw.core.model import Counters
from iotgw.store.group import Group
from iotgw.store.names import NameTable
from iotgw.store.postgres.draft import KEPT, GroupDraft
from iotgw.store.postgres.fenced import FencedConnection
from iotgw.store.postgres.positions import PartitionEpochs, PartitionPositions
from iotgw.store.postgres.statements import BEAT, FORGET, FULL, LATEST, LEAN, TAKE_BACK, full, lean
from iotgw.store.writing import Committed

MARK_MS = 10_000
"""Milliseconds between time marks."""


class PartitionCommitter:
    """Writes groups to a partition. ``lease`` in seconds."""

    def __init__(
        self, database: FencedConnection, names: NameTable, positions: PartitionPositions, epochs: PartitionEpochs, lease: float
    ) -> None:  # fmt: skip
        self._lease = lease
        self._database = database
        self._names = names
        self.positions = positions
        self._epochs = epochs
        self._rested = (0, 0)
        self._heard = time.monotonic()

    def commit(self, group: Group, now_ms: int) -> Committed:
        """Write a group durably. Raises as `FencedConnection.commit` does, or whatever a value raises that can't be stored."""
        positions = self.positions
        draft = GroupDraft(positions, self._names, self._states, self._origins, self._kept)
        draft.add(group)
        self._forget(group)
        is_new = bool(group.entries or draft.new_records) and not self._epochs.is_written
        last = group.entries[-1][0].seq if group.entries else 0
        mark = (now_ms, positions.uplink, positions.telemetry) if self._is_due(group, now_ms) else None
        if draft.is_lean and not is_new and mark is None and not self._names.unsaved:
            self._write(LEAN, lean(draft), last, draft)
        else:
            marked_ms = now_ms if mark is not None and now_ms < positions.mark_ms else LATEST
            epochs = self._epochs if is_new else None
            self._write(FULL, full(draft, self._names, epochs, mark, marked_ms), last, draft)
        self._names.saved()
        if is_new:
            self._epochs.is_written = True
        if mark is not None:
            positions.mark_ms = now_ms
        self._take_over(group, draft)
        return Committed(draft.new_outcomes, draft.new_records, draft.telemetry_seq)

    def _write(self, statement: str, values: list[object], last: int, draft: GroupDraft) -> None:
        self._database.commit(statement, values, last, draft.telemetry_seq, draft.bytes)
        self._heard = time.monotonic()

    def _is_due(self, group: Group, now_ms: int) -> bool:
        return bool(group.entries or group.results) and abs(now_ms - self.positions.mark_ms) >= MARK_MS

    def _forget(self, group: Group) -> None:
        """Drop integrations that are gone: a commit before the group's own, as the group may hold new progress of the same one."""
        if group.forgotten:
            numbers = [self._names[integration] for integration in group.forgotten]
            self._database.commit(FORGET, [numbers, numbers])
            for number in numbers:
                self.positions.delivered.pop(number, None)
                self.positions.lent.discard(number)
            group.forgotten = []

    def rest(self, now_ms: int) -> None:
        """Between groups: note the time once after the last one, and tell now and then that the owner lives."""
        positions = self.positions
        here = (positions.uplink, positions.telemetry)
        if here != self._rested and abs(now_ms - positions.mark_ms) >= MARK_MS:
            draft = GroupDraft(positions, self._names, self._states, self._origins, self._kept)
            marked_ms = now_ms if now_ms < positions.mark_ms else LATEST
            self._write(FULL, full(draft, self._names, None, (now_ms, *here), marked_ms), 0, draft)
            self._names.saved()
            positions.mark_ms, self._rested = now_ms, here
        else:
            self.beat()

    def beat(self) -> None:
        """Tell that the owner lives, unless that was told within a quarter of the lease."""
        if time.monotonic() - self._heard > self._lease / 4:
            self._database.commit(BEAT, ())
            self._heard = time.monotonic()

    def take_back(self, integration: str) -> tuple[int, Counters] | None:
        """Write from now on how far a lent integration has come; returns that, and its accounts. None where nothing is known of it."""
        number, database = self._names[integration], self._database
        database.commit(TAKE_BACK, [number])
        self.positions.lent.discard(number)
        rows = database.fetch(
            "SELECT cursor, counters FROM integration WHERE part = %s AND id = %s", (database.part, number)
        )
        if not rows:
            return None
        self.positions.delivered[number] = rows[0][0]
        return rows[0][0], msgspec.json.decode(rows[0][1], type=Counters)

    # --- what a draft asks

    def _states(self, seqs: list[int]) -> dict[int, tuple[int, int]]:
        rows = self._database.fetch(
            "SELECT seq, state FROM outcome WHERE part = %s AND seq = ANY(%s::bigint[])", (self._database.part, seqs)
        )  # fmt: skip
        return {seq: (state, 0) for seq, state in rows}

    def _origins(self, seqs: list[int]) -> dict[int, tuple[int, int]]:
        rows = self._database.fetch(
            "SELECT seq, tenant, received_ms FROM uplink WHERE part = %s AND seq = ANY(%s::bigint[])",
            (self._database.part, seqs),
        )
        return {seq: (tenant, received_ms) for seq, tenant, received_ms in rows}

    def _kept(self, source: int) -> int:
        rows = self._database.fetch(
            "SELECT count FROM tally WHERE part = %s AND datasource = %s AND state = %s",
            (self._database.part, Int8(source), KEPT),
        )
        return int(rows[0][0]) if rows else 0

    def _take_over(self, group: Group, draft: GroupDraft) -> None:
        positions = self.positions
        if group.entries:
            positions.uplink = group.entries[-1][0].seq
        positions.telemetry = draft.telemetry_seq
        positions.bytes += draft.bytes
        positions.received.update(draft.received)
        positions.tenant.update(draft.tenant)
        positions.settled.update(draft.settled)
        positions.converted.update(draft.converted)
        for number, cursor, _, is_lent in draft.integrations:
            positions.delivered[number] = cursor
            (positions.lent.add if is_lent else positions.lent.discard)(number)
