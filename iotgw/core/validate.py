"""A JSON value against its type: the value, or an error that says where it is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from iotgw.core.errors import SettingsError
from iotgw.core.secrets import is_secret

T = TypeVar("T")


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
        raise SettingsError(where, problem[:1].lower() + problem[1:], is_secret(type_, place)) from error
