"""Limits in ThingsBoard's form, ``100:1,2000:60``: at most 100 in a second and 2,000 in a minute. Pure: the time is passed in.

A window begins with its first message, so a limit of 100:1 may let 200 pass within a second, the end of one window and the beginning of the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from typing import Literal

from msgspec import Struct

from iotgw.core.patterns import pattern
from iotgw.core.windows import CountWindow, Windows

NEAR = 0.8
"""The share of a limit at which it is nearly reached."""
MOST_RULES = 5
_RULE = re.compile(r"([1-9][0-9]{0,8}):([1-9][0-9]{0,6})")
FORM = pattern(
    r"^$|^[1-9][0-9]{0,8}:[1-9][0-9]{0,6}(,[1-9][0-9]{0,8}:[1-9][0-9]{0,6}){0,4}$",
    f"COUNT:SECONDS, up to {MOST_RULES} of them with commas between, such as 100:1,2000:60",
)
"""The form of a limit, as JSON Schema knows it."""


class Rule(Struct, frozen=True):
    """So many in so many seconds."""

    count: int
    seconds: int

    @property
    def near(self) -> int:
        """How many are nearly too many."""
        return math.ceil(self.count * NEAR)

    def __str__(self) -> str:
        """As people write it."""
        return f"{self.count}:{self.seconds}"


def read_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a limit; raises ValueError for what is none."""
    found = [_RULE.fullmatch(part) for part in text.split(",")] if text else []
    if len(found) > MOST_RULES or not all(found):
        raise ValueError(
            f"expected COUNT:SECONDS, up to {MOST_RULES} of them with commas between, such as 100:1,2000:60, got {text[:60]!r}"
        )
    return tuple(Rule(int(each[1]), int(each[2])) for each in found if each is not None)


class Reached(Struct, frozen=True):
    """A rule that is nearly used up, has just been used up, or doesn't let a message pass (``beyond``). ``wait`` is in seconds, until its window ends."""

    level: Literal["near", "full", "beyond"]
    rule: Rule
    used: int
    wait: float


class RateLimit:
    """The rules of one limit, for up to so many ``keys``; further ones take the place of those whose window began longest ago."""

    def __init__(self, rules: tuple[Rule, ...], keys: int = 1) -> None:
        self._rules = [(rule, Windows(rule.seconds, keys)) for rule in rules]

    def beyond(self, key: Hashable, now: float) -> Reached | None:
        """The rule that lets no more pass for the longest time; None if one may."""
        worst: Reached | None = None
        for rule, windows in self._rules:
            window = windows.current(key, now)
            if window is not None and window.used >= rule.count:
                wait = window.since + rule.seconds - now
                if worst is None or wait > worst.wait:
                    worst = Reached("beyond", rule, window.used, wait)
        return worst

    def take(self, key: Hashable, now: float) -> Reached | None:
        """One passes. Returns the rule that is nearly or just used up by it, once in each window; None if none is."""
        told: Reached | None = None
        for rule, windows in self._rules:
            window: CountWindow = windows.current(key, now) or windows.begin(key, now)[0]
            window.used += 1
            if window.used in (rule.count, rule.near):
                level: Literal["near", "full"] = "full" if window.used == rule.count else "near"
                if told is None or level == "full":
                    told = Reached(level, rule, window.used, window.since + rule.seconds - now)
        return told
