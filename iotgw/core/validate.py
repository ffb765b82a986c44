"""A JSON value against its type: the value, or an error that says where it is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from iotgw.core.choices import with_choices
from iotgw.core.errors import SettingsError
from iotgw.core.patterns import in_words
from iotgw.core.secrets import is_secret

T = TypeVar("T")

MOST = 10_000
"""Entries of a list or an object in what is saved, unless its type says less: each is looked at, and a secret is sealed, before anybody else has a turn."""


def convert(value: Any, type_: type[T], path: str = "") -> T:
    """Validate a JSON value as a Struct; raises SettingsError with the path of the wrong field.

    A Struct's own ``__post_init__`` may raise ValueError to say more.
    """
    try:
        return msgspec.convert(value, type_, strict=True)
    except msgspec.ValidationError as error:
        problem, _, place = str(error).partition(" - at `")
        place = place.rstrip("`").removeprefix("$").removeprefix(".")
        where = ".".join(part for part in (path, place) if part)
        problem = with_choices(in_words(problem[:1].lower() + problem[1:]), type_, place)
        raise SettingsError(where, problem, is_secret(type_, place)) from error


@contextmanager
def settings_of(path: str) -> Iterator[None]:
    """What is raised as a ValueError meanwhile is what is wrong with the settings at this path: it becomes a SettingsError."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(path, str(error)) from error


def check_sizes(value: Any) -> None:
    """Raise SettingsError where a list or an object of a JSON value has more than `MOST` entries."""
    waiting = [("", value)]
    while waiting:
        place, each = waiting.pop()
        if not isinstance(each, dict | list):
            continue
        if len(each) > MOST:
            raise SettingsError(place, f"expected at most {MOST} entries, got {len(each)}")
        pairs = each.items() if isinstance(each, dict) else enumerate(each)
        waiting += [
            (f"{place}[{key}]" if isinstance(key, int) else f"{place}.{key}" if place else key, item)
            for key, item in pairs
            if isinstance(item, dict | list)
        ]
