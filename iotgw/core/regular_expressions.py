"""Regular expressions that users save, run by Python's `re`, which tries again and again what can be matched in several ways.

``(a+)+b`` takes for ever for some short texts, and nothing else goes on meanwhile. So the ways to match are counted before one is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

MOST_WAYS = 100_000
"""In which a text may be matched: some milliseconds for the worst one."""
_REPEATS = frozenset((codes.MAX_REPEAT, codes.MIN_REPEAT, codes.POSSESSIVE_REPEAT))


def check_expression(text: str, longest: int) -> None:
    """Raise ValueError for what is no regular expression, or takes too long for some texts of at most ``longest`` characters."""
    try:
        ways = _ways(parser.parse(text), longest)
        re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"expected a regular expression: {error}") from None
    if ways > MOST_WAYS:
        raise ValueError(
            "expected a regular expression with fewer ways to match a text: at most two parts such as .* or [a-z]+, "
            "and no choices or repetitions inside of repetitions"
        )


def _ways(parts: Iterable[Any], longest: int) -> int:
    """In how many ways a text can be matched at most; the counting ends where they are too many."""
    ways = 1
    for code, given in parts:
        if code in _REPEATS:
            least, most, inner = given
            single = min(_ways(inner, longest), MOST_WAYS + 1)
            ends = min(most, longest) - min(least, longest) + 1
            ways *= ends if single == 1 else single ** min(most, MOST_WAYS.bit_length())
        else:
            for several in _inside(code, given):
                ways *= sum(_ways(each, longest) for each in several)
        if ways > MOST_WAYS:
            break
    return ways


def _inside(code: Any, given: Any) -> Iterable[list[Any]]:
    """The choices in a part that has some, or the one that is inside of it."""
    if code is codes.BRANCH:
        yield given[1]
    elif code is codes.SUBPATTERN:
        yield [given[3]]
    elif code is codes.ATOMIC_GROUP:
        yield [given]
    elif code in (codes.ASSERT, codes.ASSERT_NOT):
        yield [given[1]]
    elif code is codes.GROUPREF_EXISTS:
        yield [each for each in given[1:] if each is not None]
