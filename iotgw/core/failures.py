"""Failures in groups: those of one kind are one fault, which is mended once.

What differs from message to message (numbers, hexadecimal, what stands in quotes) doesn't make another group.
"""

from __future__ import annotations

import hashlib
import re

from msgspec import Struct

from iotgw.core.model import ConversionError
from iotgw.core.times import DateMs

LONGEST = 500
"""Characters of an error that tell groups apart."""
_VARYING = re.compile(
    r"\"[^\"]*\"|`[^`]*`|(?<!\w)'[^']*'(?!\w)"  # in quotes
    r"|\b0[xX][0-9A-Fa-f]+\b|\b(?=[A-Fa-f]*[0-9])[0-9A-Fa-f]{6,}\b"  # hexadecimal
    r"|[0-9]+(?:[.,:][0-9]+)*"  # numbers, addresses, times
)


def pattern(message: str) -> str:
    """A message of an error without what varies: each number is ``N``, what is in quotes is ``…``."""
    return _VARYING.sub(lambda found: "…" if found[0][0] in "\"'`" else "N", message[:LONGEST])


def group_id(kind: str, *facts: object) -> str:
    """A short name for the failures of one kind that have these facts in common. It stays the same over restarts."""
    text = "\0".join(map(str, (1, kind, *facts)))  # 1 is how groups are made
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:12]


def conversion_group(converter: str, error: ConversionError) -> str:
    """The group of a failed conversion: of a converter's version (``"{id}/{version}"``), an error and its place."""
    return group_id(
        "conversion",
        converter,
        error.stage,
        error.name,
        error.file,
        error.line,
        error.column,
        pattern(error.message),
    )


class FailureGroup(Struct, frozen=True):
    """Failures of one kind: ``conversion``, ``delivery`` (dead letters) or ``refusal``.

    ``where`` is what failed: a converter's version (``"{id}/{version}"``), an integration's id, or the name of who refused. ``datasources``
    are ids. ``sample`` is the position of the newest one's message, or the id of the newest event of a refusal.
    """

    id: str
    kind: str
    where: str
    error: ConversionError
    datasources: tuple[str, ...]
    count: int
    first_ms: DateMs
    last_ms: DateMs
    sample: int

    def __add__(self, other: FailureGroup) -> FailureGroup:
        """Both, of which one may be newer."""
        newer = max(self, other, key=lambda group: (group.last_ms, group.sample))
        return FailureGroup(
            self.id, self.kind, self.where, newer.error,
            tuple(dict.fromkeys((*self.datasources, *other.datasources))), self.count + other.count,
            min(self.first_ms, other.first_ms), newer.last_ms, newer.sample,
        )  # fmt: skip


def merged(groups: list[FailureGroup]) -> list[FailureGroup]:
    """One of each id, the latest first."""
    found: dict[str, FailureGroup] = {}
    for group in groups:
        known = found.get(group.id)
        found[group.id] = group if known is None else known + group
    return sorted(found.values(), key=lambda group: -group.last_ms)


class FoundFailures(Struct, frozen=True):
    """Groups, the latest first. As with `iotgw.core.message_query.FoundMessages`, the search goes on before position ``next``, and has looked at
    all since ``looked_back_to``."""

    groups: list[FailureGroup]
    next: int
    looked_back_to: DateMs
