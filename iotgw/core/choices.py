"""What may stand where only some values may: for whoever wrote another one there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from msgspec import inspect

_SAID = re.compile(r"invalid (?:enum )?value (.*)", re.DOTALL)
"""What msgspec says of a value that is none of those that may be."""

_type_info = cache(inspect.type_info)


def with_choices(problem: str, type_: Any, place: str) -> str:
    """What msgspec says of a value at a place such as ``auth.type`` or ``rules[0].how`` of a type, with the values that may stand there."""
    said = _SAID.fullmatch(problem)
    found = choices(type_, place) if said else []
    return f"expected one of {', '.join(found)}, got {said[1]}" if said and found else problem


def choices(type_: Any, place: str) -> list[str]:
    """The values that may stand at a place, where the type has a list of them."""
    around: list[Any] = []
    infos = [*_plain(_type_info(type_))]
    part = ""
    for part in steps(place):
        around = infos
        infos = [each for info in infos for below in _inner(info, part) for each in _plain(below)]
    values = [value for info in infos if isinstance(info, inspect.LiteralType) for value in info.values]
    tags = [info.tag for info in around if isinstance(info, inspect.StructType) and info.tag_field == part]
    return [*dict.fromkeys(map(str, [*values, *tags]))]


def steps(place: str) -> list[str]:
    """The names and the numbers on the way to a place; of a table, msgspec says ``[...]`` for any name."""
    return re.findall(r"(?<=\[)\.\.\.(?=\])|[^.\[\]]+", place)


def _plain(info: Any) -> Iterator[Any]:
    """A type without what is said of it; of a union, each."""
    if isinstance(info, inspect.Metadata):
        yield from _plain(info.type)
    elif isinstance(info, inspect.UnionType):
        for each in info.types:
            yield from _plain(each)
    else:
        yield info


def _inner(info: Any, part: str) -> list[Any]:
    if isinstance(info, inspect.StructType):
        return [field.type for field in info.fields if field.encode_name == part]
    if isinstance(info, inspect.DictType):
        return [info.value_type]
    return [info.item_type] if isinstance(info, inspect.CollectionType) else []
