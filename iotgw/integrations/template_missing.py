"""What a template gets for a value that a message lacks. It knows the value's name, and fails with it when it is used."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from jinja2 import StrictUndefined, Undefined
from jinja2.utils import missing

LONGEST_NAME = 80
"""Characters of a name in an error."""


class Missing(StrictUndefined):
    """A missing value. What it would have in it is missing too, so ``attributes.site.city | default("")`` works without a site."""

    __slots__ = ("path",)

    def __init__(self, hint: str | None = None, obj: Any = missing, name: Any = None, *args: Any) -> None:
        super().__init__(hint, obj, name, *args)
        self.path = short(name)

    @property
    def _undefined_message(self) -> str:
        return self._undefined_hint or f"{self.path} is missing"

    def below(self, name: str | int) -> Missing:
        """What would be in it by that name."""
        return absent(self.path, name)


def absent(path: str, name: str | int) -> Missing:
    """What is missing in the value that is called ``path``; empty where nobody knows what it is called."""
    found = Missing(name=name)
    if path:
        found.path = f"{path}[{name}]" if isinstance(name, int) else f"{path}.{short(name)}"
    return found


def short(name: Any) -> str:
    """A name for an error. It may be a device's."""
    text = str(name)
    return text if len(text) <= LONGEST_NAME else text[:LONGEST_NAME] + "…"


def present(value: Any) -> Any:
    """The value itself; raises Jinja's UndefinedError if it is missing."""
    if isinstance(value, Undefined):
        str(value)
    return value


def line_of(traceback: TracebackType | None) -> int:
    """The line of a template in which an exception was raised, as Jinja wrote it into the traceback; 0 if it isn't known."""
    line = 0
    while traceback is not None:
        if "__jinja_exception__" in traceback.tb_frame.f_globals:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line
