"""How much work a template may do for one record.

Work is counted in steps of about a tenth of a microsecond: a turn of a loop, a filter, a comparison, the characters that
they go through. Counting is the same on every machine and at every load, so that a record is either too much for a template
or isn't.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Undefined

from iotgw.core.errors import IotgwError

STEPS = 50_000
"""Steps for one record: a few milliseconds."""
MAX_RESULT = 1 << 20
"""Largest result of a template, in characters."""
TEXT = 4
"""How many times as long it takes to make a text of a list or an object as to go through it."""
_SCALARS = frozenset((int, float, bool, type(None)))


class TemplateFailed(IotgwError):
    """A template can't be rendered for this message: it lacks a value, does too much, or the result is too large."""


class Overrun(TemplateFailed):
    """A template does too much for this message."""


class StepBudget:
    """The steps that are left of one rendering."""

    def __init__(self) -> None:
        self._left = STEPS
        self._room = MAX_RESULT
        self._known: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Steps that were taken."""
        return STEPS - self._left

    def start(self, known: dict[int, int]) -> None:
        """Begin a rendering. ``known`` are the weights of large values by their `id`."""
        self._left, self._room = STEPS, MAX_RESULT
        self._known = known

    def spend(self, steps: int) -> None:
        """Take steps; raises Overrun."""
        self._left -= steps
        if self._left < 0:
            raise Overrun(f"it takes more than {STEPS} steps, of about 0.1 µs each")

    def write(self, size: int) -> None:
        """Add to the result; raises TemplateFailed when it becomes too large."""
        self._room -= size
        if self._room < 0:
            raise TemplateFailed(f"the result has more characters than allowed, {MAX_RESULT}")

    def weigh(self, value: Any, times: int = 1) -> None:
        """Take the steps of going through a value with all that is in it, ``times`` over; raises Overrun."""
        kind = type(value)
        if kind in _SCALARS:
            self.spend(times)
        elif kind is str:
            self.spend(times * (1 + (len(value) >> 5)))
        elif kind is not Undefined and not isinstance(value, Undefined):
            self._weigh_all(value, times)

    def weigh_items(self, value: Any, times: int = 1) -> None:
        """Take the steps of visiting each item of a value, which may be a text of single characters; raises Overrun."""
        self.weigh(value, times)
        if isinstance(value, str):
            self.spend(times * len(value))

    def weigh_text(self, value: Any) -> None:
        """Take the steps of making a text of a value; raises Overrun."""
        self.weigh(value, 1 if type(value) in _SCALARS or isinstance(value, str) else TEXT)

    def _weigh_all(self, value: Any, times: int) -> None:
        waiting = [value]
        while waiting:
            each = waiting.pop()
            weight = 1
            if isinstance(each, str):
                weight += len(each) >> 5
            elif (found := self._known.get(id(each))) is not None:
                weight += found
            elif isinstance(each, dict):
                weight += len(each)
                waiting += each.keys()
                waiting += each.values()
            elif isinstance(each, list | tuple):
                waiting += each
            self.spend(times * weight)
