"""Changes to the rows that an integration keeps in the journal beside its cursor."""

from __future__ import annotations

from iotgw.core.model import Attempt, DeliveryState, Parked, TelemetryRecord


class RowChanges:
    """Changes of one integration's rows since they were last handed to the journal.

    A row is a parked record or a dead letter. Rows that are not here are in the journal unchanged.
    """

    def __init__(self, integration: str) -> None:
        self._integration = integration
        self._changed: dict[int, Parked] = {}
        self._released: dict[int, None] = {}

    def put(
        self, record: TelemetryRecord, state: DeliveryState, attempts: int, next_try_ms: int, error: str,
        tries: tuple[Attempt, ...] = (),
    ) -> None:  # fmt: skip
        """Add or change a row, even one that was to be deleted. ``next_try_ms`` is in milliseconds of gateway time, 0 for
        never."""
        self._released.pop(record.seq, None)
        self._changed[record.seq] = Parked(
            self._integration, record, state, attempts, next_try_ms, error, tries
        )

    def release(self, seq: int) -> None:
        """Delete the row at this position."""
        self._changed.pop(seq, None)
        self._released[seq] = None

    def is_released(self, seq: int) -> bool:
        """Whether a row is to be deleted, although the journal may still return it."""
        return seq in self._released

    def after(self, position: int) -> set[int]:
        """The positions after ``position`` whose rows changed."""
        return {seq for seq in self._changed if seq > position}

    def changes(self) -> tuple[tuple[Parked, ...], tuple[int, ...]]:
        """The rows that are new or changed since the last call, and the positions whose rows are to be deleted."""
        if not self._changed and not self._released:
            return (), ()
        changed = tuple(self._changed.values()), tuple(self._released)
        self._changed = {}
        self._released = {}
        return changed
