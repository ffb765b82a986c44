"""Works around damaged pages that a commit would have to change, so that they don't take everything else with them.

A commit carries changes of many rooms. After any damage within a transaction, SQLite refuses to commit it. So what can't be
written is found by trying each part of the group by itself, and is mended or left out; then the group is committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from iotgw.core.model import ConversionError, Outcome, State, TelemetryRecord
from iotgw.store.group import Group, SettledUplinks
from iotgw.store.sqlite.commit import Committer
from iotgw.store.sqlite.damage import Tell, is_damage
from iotgw.store.sqlite.rebuild import rebuild_parked
from iotgw.store.sqlite.uplinks_anew import rebuild_uplinks

Results = list[SettledUplinks | TelemetryRecord]


class WorkAround:
    """Takes out of groups what a damaged page keeps from being written. Used in the writer's thread only."""

    def __init__(self, connection: sqlite3.Connection, committer: Committer, path: Path, tell: Tell) -> None:
        self._connection = connection
        self._committer = committer
        self._path = path
        self._tell = tell
        self.unused = 0
        """Pages that hold nothing any more, and can't be used again before the next start."""

    def _pages(self) -> int:
        (count,), (free,) = (
            self._connection.execute(f"PRAGMA {what}").fetchone() for what in ("page_count", "freelist_count")
        )
        return int(count - free)

    def mend(self, group: Group, now_ms: int) -> None:
        """Change a group, or the database, so that the group may be written."""
        committer = self._committer
        if group.entries and self._fails(lambda: committer.write_results([], group)):
            before = self._pages()
            rebuild_uplinks(self._connection, self._path, self._tell)
            self.unused += self._pages() - before
        if self._fails(lambda: committer.mark(now_ms)):
            committer.marks = False
            self._tell("mark", 0, 0, "mark: the times of messages can't be noted any more, as it is damaged")
        if self._fails(lambda: self._deliveries(group)):
            self._mend_deliveries(group)
        if self._fails(lambda: committer.write_results(group.results)):
            fits: Results = []
            self._fit(fits, group.results)
            group.results = fits

    def _fails(self, write: Callable[[], object]) -> bool:
        """Whether damage keeps this from being written."""
        connection = self._connection
        connection.execute("BEGIN")
        try:
            write()
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            return True
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return False

    # --- deliveries

    def _deliveries(self, group: Group) -> None:
        for integration in group.forgotten:
            self._committer.forget(integration)
        for integration, advance in group.progress.items():
            self._committer.advance(integration, advance)

    def _mend_deliveries(self, group: Group) -> None:
        lost = [seq for _, seq in rebuild_parked(self._connection, self._path)]
        what = (
            f"parked: it was damaged and has been built anew; {len(lost)} parked deliveries could not be read"
        )
        self._tell("parked", min(lost, default=0), max(lost, default=0), what)
        for integration, advance in list(group.progress.items()):
            if self._fails(lambda each=integration, way=advance: self._committer.advance(each, way)):  # type: ignore[misc]
                del group.progress[integration]
                what = f"integration: the progress of {integration} can't be written, as it is damaged"
                self._tell("integration", advance.cursor, advance.cursor, what)

    # --- results

    def _fit(self, fits: Results, items: Results) -> None:
        """Add to ``fits`` what of the items can be written with it: halves of them, where all together can't."""
        if not self._fails(lambda: self._committer.write_results([*fits, *items])):
            fits += items
        elif len(items) > 1:
            middle = len(items) // 2
            self._fit(fits, items[:middle])
            self._fit(fits, items[middle:])
        elif isinstance(items[0], SettledUplinks):
            fits.append(self._fitting(fits, items[0]))
        else:
            self._tell("telemetry", 0, 0, "telemetry: an event could not be stored, as it is damaged")

    def _fitting(self, fits: Results, item: SettledUplinks) -> SettledUplinks:
        """A settlement with those of its outcomes that can be written. One that can't be is tried as a failure; if that
        can't be written either, it counts as one, without a row."""
        kept: list[Outcome] = []
        lost: list[int] = []

        def fails(outcomes: list[Outcome]) -> bool:
            tried = replace(item, outcomes=[*kept, *outcomes])
            return self._fails(lambda: self._committer.write_results([*fits, tried]))

        def fit(outcomes: list[Outcome]) -> None:
            if not fails(outcomes):
                kept.extend(outcomes)
            elif len(outcomes) > 1:
                middle = len(outcomes) // 2
                fit(outcomes[:middle])
                fit(outcomes[middle:])
            elif not fails([_unwritable(outcomes[0])]):
                kept.append(_unwritable(outcomes[0]))
            else:
                lost.append(outcomes[0].seq)

        fit(item.outcomes)
        failed = [one.seq for one in kept if one.error is not None and one.error.name == _NAME]
        for table, seqs in (("outcome", lost), ("telemetry", failed)):
            if seqs:
                what = f"{table}: what became of {len(seqs)} messages could not be stored, as it is damaged"
                self._tell(table, min(seqs), max(seqs), what)
        return replace(item, outcomes=kept, lost=item.lost + self._new(item, lost))

    def _new(self, item: SettledUplinks, seqs: list[int]) -> int:
        """How many of these positions had no outcome before, and count as failed now."""
        positions, names = self._committer.positions, self._committer.names
        done = positions.converted.get(names[item.datasource], 0)
        return sum(seq > done for seq in seqs)


_NAME = "Unwritable"


def _unwritable(outcome: Outcome) -> Outcome:
    error = ConversionError(
        "the journal is damaged where the result would be stored", stage="store", name=_NAME
    )
    return replace(outcome, state=State.FAILED, outputs=(), error=error)
