"""Puts what an earlier process has spilled into its partition, before anything else is: under the same positions, and so the same ids.

A spilled uplink is in the partition already if the partition is past its position: then the process ended before it could drop it from the file.
Another node may have had the partition meanwhile. It gave no positions to uplinks, but it opened an epoch of its own; that one begins after what
is drained now.

Somebody else may have given those positions: another data directory of a node of this name, or this one belongs to another database. Then what
was spilled gets new positions first, in the file itself.
"""

from __future__ import annotations

import sqlite3
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct

from iotgw.core.epochs import Epoch, new_name
from iotgw.core.model import StoredUplink
from iotgw.store.group import Group
from iotgw.store.names import NameTable
from iotgw.store.postgres.draft import GroupDraft
from iotgw.store.postgres.fenced import FencedConnection
from iotgw.store.postgres.positions import PartitionPositions
from iotgw.store.postgres.spill import ANSWERED
from iotgw.store.postgres.statements import DRAIN, drained
from iotgw.store.sqlite import damage
from iotgw.store.sqlite.spill import SpillFile

CHUNK = 2000
"""Uplinks in a commit."""


class Drained(Struct, frozen=True):
    """How many uplinks were put into the partition, whether they got new ids, and what became of a damaged file; empty for nothing."""

    count: int = 0
    renumbered: bool = False
    put_aside: str = ""


class SpillDrain:
    """Drains a file into the partition of a connection. ``positions`` and ``names`` are those of the partition, and go on with it."""

    def __init__(self, database: FencedConnection, positions: PartitionPositions, names: NameTable) -> None:
        self._database = database
        self._positions = positions
        self._names = names

    def drain(self, path: Path) -> Drained:
        """Drain the file ``path``, if there is one. Raises as `FencedConnection.commit` does."""
        if not path.exists():
            return Drained()
        file = SpillFile(path)
        try:
            if file.put_aside:
                return Drained(put_aside=file.put_aside)
            origin = file.origin
            if origin is None or not (file.size.count or file.is_damaged):
                return Drained()
            if not file.is_damaged:
                try:
                    return self._drain(file, origin)
                except sqlite3.DatabaseError as error:
                    if not damage.is_damage(error):
                        raise
            return self._rescue(file, origin)
        finally:
            file.close()

    def _rescue(self, file: SpillFile, origin: Epoch) -> Drained:
        """Put what can be read of a damaged file into the partition. Where its positions are others' by now, they can't be told, and nothing is."""
        last, begun = self._reached()
        count = 0
        if not self._is_foreign(origin, begun, last):
            origin = msgspec.structs.replace(origin, uplink=begun.get(origin.name, max(origin.uplink, last)))
            found = file.readable(last)
            while chunk := list(islice(found, CHUNK)):
                self._commit(chunk, origin)
                count += len(chunk)
        return Drained(count, put_aside=f"{file.put_all_aside()}; {count} messages of it could be read")

    def _reached(self) -> tuple[int, dict[str, int]]:
        """The last position of the partition, and after which positions its epochs began."""
        ((last,),) = self._database.fetch(
            "SELECT uplink FROM partition WHERE id = %s", (self._database.part,)
        )
        rows = self._database.fetch("SELECT name, uplink FROM epoch WHERE part = %s", (self._database.part,))
        return last, dict(rows)

    def _drain(self, file: SpillFile, origin: Epoch) -> Drained:
        last, begun = self._reached()
        is_foreign = self._is_foreign(origin, begun, last)
        if is_foreign:
            self._drop_identical(file, last)
            origin = Epoch(new_name(), self._positions.uplink, self._positions.telemetry)
            file.renumber(origin)
        else:
            origin = msgspec.structs.replace(origin, uplink=begun.get(origin.name, max(origin.uplink, last)))
            file.drop(last)
        count = 0
        while chunk := file.after(0, CHUNK):
            self._commit(chunk, origin)
            file.drop(chunk[-1].seq)
            count += len(chunk)
        return Drained(count, is_foreign)

    def _is_foreign(self, origin: Epoch, begun: dict[str, int], last: int) -> bool:
        """Whether somebody else has given positions since the first one was spilled: somebody who began an epoch after that, and is past its
        beginning."""
        if origin.name not in begun:
            return last > origin.uplink
        return any(
            begun[origin.name] <= uplink < last for name, uplink in begun.items() if name != origin.name
        )

    def _drop_identical(self, file: SpillFile, last: int) -> None:
        """What is in the partition already was drained by an earlier start, and its epoch has been forgotten since."""
        after = 0
        while chunk := [each for each in file.after(after, CHUNK) if each.seq <= last]:
            after = chunk[-1].seq
            rows = self._database.fetch(
                "SELECT seq, received_ms, payload, metadata FROM uplink WHERE part = %s AND seq = ANY(%s::bigint[])",
                (self._database.part, [each.seq for each in chunk]),
            )
            stored = {tuple(row) for row in rows}
            same = [
                each.seq
                for each in chunk
                if (each.seq, each.uplink.received_ms, each.uplink.payload, each.uplink.metadata) in stored
            ]
            if same:
                file.drop_these(same)

    def _commit(self, chunk: list[StoredUplink], origin: Epoch) -> None:
        group = Group()
        for stored in chunk:
            group.append(stored, ANSWERED)
        positions, last = self._positions, chunk[-1].seq
        draft = GroupDraft(positions, self._names, lambda seqs: {}, lambda seqs: {}, lambda source: 0)
        draft.add(group)
        self._database.commit(
            DRAIN, drained(draft, self._names, origin, last), last, positions.telemetry, draft.bytes
        )
        self._names.saved()
        positions.uplink = max(positions.uplink, last)
        positions.bytes += draft.bytes
        positions.received.update(draft.received)
        positions.tenant.update(draft.tenant)
