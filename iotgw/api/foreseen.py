"""What will be there once a document is applied, for the checks of its entries: each is judged beside the others of the
document, not beside what they are about to replace."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct


class Foreseen(Struct, frozen=True):
    """``converters`` are the directions (UPLINK, DOWNLINK) of converters that are coming, by name. ``gone`` are names of converters that
    go. ``replaced`` are ids of stored resources that are replaced or deleted: what they have is free."""

    converters: Mapping[str, str] = {}
    gone: frozenset[str] = frozenset()
    replaced: frozenset[str] = frozenset()


NOTHING = Foreseen()
"""A change of one resource alone."""
