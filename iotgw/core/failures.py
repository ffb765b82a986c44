"""Failures in groups: those of one kind are one fault, which is mended once.

What differs from message to message (numbers, hexadecimal, what stands in quotes) doesn't make another group.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import replace

from iotgw.core.model import ConversionError
from iotgw.core.times import DateMs

LONGEST = 500
"""Characters of an error that tell groups apart."""
# Each begins with its first character, to which the engine skips, and looks back at it: that takes a third of the time of plain alternatives.
_QUOTED = re.compile(r"[\"`'](?:(?<=\")[^\"]*\"|(?<=`)[^`]*`|(?<=')(?<!\w')[^']*'(?!\w))")
_NUMBERS = re.compile(
    r"[0-9A-Fa-f](?:(?<=\b0)[xX][0-9A-Fa-f]+\b"  # hexadecimal
    r"|(?<=\b[0-9A-Fa-f])(?:(?<=[0-9])|(?=[A-Fa-f]*[0-9]))[0-9A-Fa-f]{5,}\b"
    r"|(?<=[0-9])[0-9]*(?:[.,:][0-9]+)*)"  # numbers, addresses, times
)


def pattern(message: str) -> str:
    """A message of an error without what varies: each number is ``N``, what is in quotes is ``…``."""
    return _NUMBERS.sub("N", _QUOTED.sub("…", message[:LONGEST]))


@lru_cache(1000)
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


def merged(groups: Iterable[FailureGroup]) -> list[FailureGroup]:
    """One of each id, the latest first."""
    alike: dict[str, list[FailureGroup]] = {}
    for group in groups:
        alike.setdefault(group.id, []).append(group)
    return sorted(map(_together, alike.values()), key=lambda group: -group.last_ms)


def _together(groups: list[FailureGroup]) -> FailureGroup:
    newest = max(groups, key=lambda group: (group.last_ms, group.sample))
    datasources = dict.fromkeys(each for group in groups for each in group.datasources)
    count, first_ms = sum(group.count for group in groups), min(group.first_ms for group in groups)
    return replace(newest, datasources=tuple(datasources), count=count, first_ms=first_ms)


class FoundFailures(Struct, frozen=True):
    """Groups, the latest first. As with `iotgw.core.message_query.FoundMessages`, the search goes on before position ``next``, and has looked at
    all since ``looked_back_to``."""

    groups: list[FailureGroup]
    next: int
    looked_back_to: DateMs
