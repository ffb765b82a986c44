"""Shell-style patterns of names, such as ``meter-*``, many at once.

``*`` is any text, ``?`` any character, ``[ab]`` one of them, ``[!ab]`` any other (`fnmatch`). Whoever saves patterns may be anybody, and they are
looked at for each message: so what must be searched for is bounded, and names and beginnings, which cost next to nothing, may be many.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from fnmatch import translate
from typing import Annotated

from msgspec import Meta

LONGEST = 256
"""Characters of a pattern; no name is longer."""
MOST_SEARCHED = 4096
"""Characters of all patterns of a list that are more than a name or its beginning: compiling them takes some milliseconds."""
MOST_SIGNS = 200
"""Wildcards of all of these."""

_SIGN = re.compile(r"[*?\[]")
NamePattern = Annotated[str, Meta(max_length=LONGEST)]


def check_patterns(place: str, patterns: Iterable[str]) -> None:
    """Raise ValueError, with the place, for patterns that cost too much."""
    searched = [each for each in patterns if not _is_simple(each)]
    if (size := sum(map(len, searched))) > MOST_SEARCHED:
        raise ValueError(
            f"{place}: expected at most {MOST_SEARCHED} characters of patterns that are more than a name or its beginning (`meter-*`), got {size}"
        )
    if (count := sum(len(_SIGN.findall(each)) for each in searched)) > MOST_SIGNS:
        raise ValueError(
            f"{place}: expected at most {MOST_SIGNS} wildcards in patterns that are more than a name's beginning (`meter-*`), got {count}"
        )


def matcher(patterns: Iterable[str]) -> Callable[[str], bool]:
    """Whether a name matches any of these patterns, in upper and lower case as they are written."""
    names, beginnings, searched = set(), [], []
    for each in patterns:
        if not _is_simple(each):
            searched.append(each)
        elif each.endswith("*"):
            beginnings.append(each[:-1])
        else:
            names.add(each)
    known, begins = frozenset(names), tuple(beginnings)
    search = re.compile("|".join(map(translate, searched))).match if searched else None
    if search is None:
        return lambda name: name in known or name.startswith(begins)
    return lambda name: name in known or name.startswith(begins) or search(name) is not None


def _is_simple(pattern: str) -> bool:
    """Whether it is a name, or the beginning of one."""
    return _SIGN.search(pattern[:-1] if pattern.endswith("*") else pattern) is None
