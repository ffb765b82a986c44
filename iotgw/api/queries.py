"""Query parameters: each is declared once, and the declaration reads it, bounds it, and describes it in OpenAPI.

A call does what it says or nothing: a parameter that nobody declared, or that comes twice, is 400; a value that is not
as declared is 422. Either names the parameter, and says what was expected and what came.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from msgspec import Struct

from iotgw.api.problems import Problem
from iotgw.core.errors import SettingsError
from iotgw.core.numbers import LONGEST, MOST, shown, whole

_FIELDS = 50
"""Parameters of one request that are looked at."""
_BOOLEANS = {"true": True, "false": False}


class Query(Struct, frozen=True):
    """A query parameter. ``type`` is str, int or bool; ``default`` None means that it may be missing.

    ``range`` is for numbers, ``choices`` and ``longest`` (characters) are for texts, which are never empty.
    """

    name: str
    type: type = str
    default: Any = None
    description: str = ""
    range: tuple[int, int] = (0, MOST)
    choices: tuple[str, ...] = ()
    longest: int = 255
    pattern: str = ""
    """What a text must match, whole; anything if it is empty."""

    def read(self, text: str) -> Any:
        """The value that a text stands for; raises SettingsError."""
        if self.type is bool:
            return self._one_of(text, tuple(_BOOLEANS)) == "true"
        if self.type is int:
            low, high = self.range
            number = whole(text, low, high)
            if number is None:
                raise self._wrong(f"a whole number, {low} to {high}", text)
            return number
        if self.choices:
            return self._one_of(text, self.choices)
        if not 0 < len(text) <= self.longest:
            raise self._wrong(f"1 to {self.longest} characters", text)
        if self.pattern and re.fullmatch(self.pattern, text, re.ASCII) is None:
            raise self._wrong(f"a text like {self.pattern}", text)
        return text

    @property
    def schema(self) -> dict[str, Any]:
        """What OpenAPI says of it."""
        if self.type is bool:
            found: dict[str, Any] = {"type": "boolean"}
        elif self.type is int:
            found = {"type": "integer", "minimum": self.range[0], "maximum": self.range[1]}
        elif self.choices:
            found = {"type": "string", "enum": list(self.choices)}
        else:
            found = {"type": "string", "minLength": 1, "maxLength": self.longest}
            if self.pattern:
                found["pattern"] = f"^{self.pattern}$"
        if self.default is not None:
            found["default"] = self.default
        return found

    def _one_of(self, text: str, choices: tuple[str, ...]) -> str:
        if text not in choices:
            raise self._wrong(f"one of {', '.join(choices)}", text)
        return text

    def _wrong(self, expected: str, text: str) -> SettingsError:
        return SettingsError(self.name, f"expected {expected}, got {shown(text) if text else 'nothing'}")


TENANT = Query("tenant", description="for tokens of all tenants: which one")


def read(declared: Sequence[Query], query: bytes) -> dict[str, Any]:
    """The values of a request's query, by name; a parameter that isn't given has its default.

    Raises Problem 400 for a parameter that isn't declared or comes again, SettingsError for a wrong value.
    """
    try:
        given = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except UnicodeDecodeError as error:
        raise Problem(400, "expected a query in UTF-8, percent-encoded") from error
    except ValueError as error:
        raise Problem(400, f"expected at most {_FIELDS} query parameters") from error
    known = {each.name: each for each in declared}
    found: dict[str, Any] = {}
    for name, text in given:
        if name not in known:
            raise _refused(name, f"expected {_listed(known)}, got another one")
        if name in found:
            raise _refused(name, "expected it only once")
        found[name] = known[name].read(text)
    return {each.name: each.default for each in declared} | found


def _refused(name: str, problem: str) -> Problem:
    errors = [{"path": name[:LONGEST], "problem": problem}]
    return Problem(400, f"query parameter {shown(name)}: {problem}", errors=errors)


def _listed(known: dict[str, Query]) -> str:
    return f"one of {', '.join(known)}" if known else "no query parameter"
