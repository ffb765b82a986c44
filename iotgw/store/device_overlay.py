"""Devices' states as they are now: their rows, with what isn't written yet laid over.

So who looks at some devices waits for no batch of others to be written.
"""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.model import TelemetryRecord
from iotgw.store.device_state import DeviceState

Change = TelemetryRecord | DeviceState
Changes = dict[tuple[str, str], Change]
"""What changed, by tenant and device name: a single record, or what several make."""


class Unwritten:
    """Changes of devices that may not be in the database yet."""

    def __init__(self) -> None:
        self._batches: list[Changes] = []

    def begin(self, batch: Changes) -> None:
        """These are being written. Nobody changes them any more."""
        self._batches.append(batch)

    def end(self, batch: Changes) -> None:
        """They are written, or can't be."""
        self._batches = [each for each in self._batches if each is not batch]

    def of(self, tenant: str, names: Iterable[str], waiting: Changes) -> dict[str, list[Change]]:
        """The changes of some devices, the earliest first, with those that wait to be written."""
        found: dict[str, list[Change]] = {}
        for name in names:
            key = tenant, name
            changes = [batch[key] for batch in self._batches if key in batch]
            if (last := waiting.get(key)) is not None:
                changes.append(
                    last.copy() if isinstance(last, DeviceState) else last
                )  # it may change meanwhile
            if changes:
                found[name] = changes
        return found


def laid_over(
    stored: Iterable[tuple[str, DeviceState]], unwritten: dict[str, list[Change]]
) -> dict[str, DeviceState]:
    """The states of devices by name, from their rows and what isn't written yet."""
    found = dict(stored)
    for name, changes in unwritten.items():
        state = found.get(name)
        for change in changes:
            later = change.copy() if isinstance(change, DeviceState) else DeviceState.of(change)
            later.settle()
            if state is not None:
                later.merge(state)
            state = later
        if state is not None:
            state.bound()
            found[name] = state
    return found
