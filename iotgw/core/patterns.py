"""Settings that are texts of a form: a regular expression, as JSON Schema knows it, and what is said to a person who typed something else."""

from __future__ import annotations

_SAID = "expected `str` matching regex "
"""How msgspec begins what it says of a text of another form."""
_words: dict[str, str] = {}


def pattern(regex: str, words: str) -> str:
    """This regular expression, for a field's ``pattern``. ``words`` are the form as a person says it, with an example, as they stand
    behind "expected"."""
    _words[regex] = words
    return regex


def in_words(problem: str) -> str:
    """What msgspec says of a value, with the form's words in the place of its regular expression."""
    if not problem.startswith(_SAID):
        return problem
    words = _words.get(problem.removeprefix(_SAID)[1:-1])
    return f"expected {words}" if words else problem
