"""Secrets in what users save: sealed when stored, masked when shown, kept when the mask comes back.

A settings Struct marks a secret by its type, ``password: Secret = ""``; also inside lists, dicts, unions
and nested Structs. Everything here walks a JSON value beside its type and returns a new value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any

import msgspec
from msgspec import inspect

from iotgw.core.errors import SettingsError

Secret = Annotated[str, msgspec.Meta(extra_json_schema={"writeOnly": True, "format": "password"})]
"""A string that is stored encrypted and never shown."""

SECRET_NAME = re.compile(
    r"pass(word|phrase)?$|secret|token$|authorization|cookie|psk$|key$|credential", re.IGNORECASE
)
"""Names of fields whose values are not repeated in logs and errors, whatever their type says."""

MASK = "***"
"""What the API shows for a secret, and what a client may send back to keep the stored one."""


_type_info = cache(inspect.type_info)
"""Inspecting a Struct takes a millisecond, so the result is cached."""


def sealed(value: Any, type_: Any, seal: Callable[[str], str], stored: Any = None, path: str = "") -> Any:
    """The value with its secrets sealed; a `MASK` takes the sealed text of ``stored`` at the same place.

    Raises SettingsError when there is none. An empty secret stays empty.
    """

    def one(text: str, before: Any, place: str) -> str:
        if text != MASK:
            return seal(text) if text else ""
        if not isinstance(before, str):
            raise SettingsError(place, f"expected the secret, got the mask {MASK!r}, and nothing is stored")
        return before

    return _walk(value, _type_info(type_), one, stored, path)


def masked(value: Any, type_: Any) -> Any:
    """The value as it may be shown: `MASK` for each secret that is set."""
    return _walk(value, _type_info(type_), lambda text, before, place: MASK if text else "", None, "")


def revealed(value: Any, type_: Any, unseal: Callable[[str], str]) -> Any:
    """The value with its secrets in the clear, for the part that uses them."""
    return _walk(value, _type_info(type_), lambda text, before, place: unseal(text) if text else "", None, "")


def all_masked(value: Any) -> Any:
    """A value of unknown type as it may be shown: without any of its strings."""
    if isinstance(value, dict):
        return {key: all_masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [all_masked(item) for item in value]
    return MASK if isinstance(value, str) else value


def _walk(value: Any, info: Any, one: Callable[[str, Any, str], str], before: Any, path: str) -> Any:
    if isinstance(info, inspect.Metadata):
        if (info.extra_json_schema or {}).get("writeOnly") and isinstance(value, str):
            return one(value, before, path)
        return _walk(value, info.type, one, before, path)
    if isinstance(info, inspect.UnionType):
        chosen = _member(value, info)
        return value if chosen is None else _walk(value, chosen, one, before, path)
    if isinstance(info, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in info.fields}
        return {
            key: _walk(item, fields[key], one, _at(before, key), f"{path}.{key}" if path else key)
            if key in fields
            else item
            for key, item in value.items()
        }
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        return {
            key: _walk(item, info.value_type, one, _at(before, key), f"{path}.{key}" if path else key)
            for key, item in value.items()
        }
    if isinstance(info, inspect.CollectionType) and isinstance(value, list):
        return [
            _walk(item, info.item_type, one, _at(before, index), f"{path}[{index}]")
            for index, item in enumerate(value)
        ]
    return value


def _at(before: Any, key: str | int) -> Any:
    if isinstance(key, int):
        return before[key] if isinstance(before, list) and key < len(before) else None
    return before.get(key) if isinstance(before, dict) else None


def _member(value: Any, union: inspect.UnionType) -> Any:
    """The member of a union that a valid JSON value belongs to, where secrets may hide in it."""
    for member in union.types:
        plain = member.type if isinstance(member, inspect.Metadata) else member
        if isinstance(value, str) and isinstance(plain, inspect.StrType):
            return member
        if isinstance(value, list) and isinstance(plain, inspect.CollectionType):
            return member
        if isinstance(value, dict) and (
            isinstance(plain, inspect.DictType)
            or (
                isinstance(plain, inspect.StructType)
                and (plain.tag_field is None or value.get(plain.tag_field, plain.tag) == plain.tag)
            )
        ):
            return member
    return None
