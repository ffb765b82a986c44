"""A list of devices where there is room for some."""

from __future__ import annotations

from collections.abc import Iterable

from iotgw.core.ports.devices import Saved

FULL = "the tenant has as many devices as its quota lets it have"


def within(rows: Iterable[Saved], room: int | None) -> list[Saved]:
    """The rows, of which no more than ``room`` make a new device (None: any number); further ones are refused."""
    found: list[Saved] = []
    for each in rows:
        if each.outcome != "created" or room is None:
            found.append(each)
        elif room:
            room -= 1
            found.append(each)
        else:
            found.append(Saved(None, "refused", FULL))
    return found
