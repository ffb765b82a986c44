"""Secrets in what users save: sealed when stored, masked when shown, kept when the mask comes back.

A settings Struct marks a secret by its type, ``password: Secret = ""``; also inside lists, dicts, unions
and nested Structs. Everything here walks a JSON value beside its type and returns a new value.

A mask keeps the secret that is stored at the same place. In a list, a place is no name: an item that holds secrets has
an ``id``, and its masks keep the secrets of the stored item with that id.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import blake2s
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Struct, inspect

from iotgw.core.errors import SettingsError

Secret = Annotated[str, msgspec.Meta(extra_json_schema={"writeOnly": True, "format": "password"})]
"""A string that is stored encrypted and never shown."""

SECRET_NAME = re.compile(
    r"pass(word|phrase)?$|secret|token$|authorization|cookie|psk$|key$|credential", re.IGNORECASE
)
"""Names of fields whose values are not repeated in logs and errors, whatever their type says."""

MASK = "***"
"""What the API shows for a secret, and what a client may send back to keep the stored one."""


class Vault(Protocol):
    """What encrypts secrets; an `iotgw.core.ports.registry.IRegistry` is one."""

    def seal(self, secret: str) -> str:
        """The encrypted text."""

    def unseal(self, sealed: str) -> str:
        """The clear text; raises IotgwError."""


class _Nothing(Struct, frozen=True):
    """Why a mask has nothing to keep. ``place`` is what to mend, if it isn't the mask itself."""

    problem: str
    place: str = ""


_type_info = cache(inspect.type_info)
"""Inspecting a Struct takes a millisecond, so the result is cached."""


def sealed(value: Any, type_: Any, vault: Vault, stored: Any = None, path: str = "") -> Any:
    """The value with its secrets sealed. A `MASK` takes the sealed text that ``stored`` has at the same place, or in the
    list item with the same id. List items that hold secrets get ids where they have none.

    Raises SettingsError when there is none. An empty secret stays empty.
    """

    def one(text: str, before: Any, place: str) -> str:
        if text != MASK:
            return vault.seal(text) if text else ""
        if isinstance(before, _Nothing):
            raise SettingsError(before.place or place, before.problem)
        if not isinstance(before, str):
            raise SettingsError(place, f"expected the secret, got the mask {MASK!r}, and nothing is stored")
        return before

    return _Walk(one, gives_ids=True).walk(value, _type_info(type_), stored, path)


def masked(value: Any, type_: Any) -> Any:
    """The stored value as it may be shown: `MASK` for each secret that is set, ids for list items that hold secrets."""
    return _SHOWING.walk(value, _type_info(type_), None, "")


def revealed(value: Any, type_: Any, unseal: Callable[[str], str]) -> Any:
    """The stored value with its secrets in the clear, for the part that uses them."""
    return _Walk(lambda text, before, place: unseal(text) if text else "").walk(
        value, _type_info(type_), None, ""
    )


def all_masked(value: Any) -> Any:
    """A value of unknown type as it may be shown: without any of its strings."""
    if isinstance(value, dict):
        return {key: all_masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [all_masked(item) for item in value]
    return MASK if isinstance(value, str) else value


class _Walk:
    """Replaces each secret of a value by ``one(secret, the stored value in its place, its path)``."""

    def __init__(
        self, one: Callable[[str, Any, str], str], gives_ids: bool = False, is_showing: bool = False
    ) -> None:
        self._one = one
        self._gives_ids = gives_ids
        self._is_showing = is_showing
        """Whether what it walks through is stored, and what it makes isn't."""

    def walk(self, value: Any, info: Any, before: Any, path: str) -> Any:
        """The new value."""
        if isinstance(info, inspect.Metadata):
            if (info.extra_json_schema or {}).get("writeOnly") and isinstance(value, str):
                return self._one(value, before, path)
            return self.walk(value, info.type, before, path)
        if isinstance(info, inspect.UnionType):
            chosen = _member(value, info)
            return value if chosen is None else self.walk(value, chosen, before, path)
        if isinstance(info, inspect.StructType) and isinstance(value, dict):
            fields = {field.encode_name: field.type for field in info.fields}
            return {
                key: self.walk(item, fields[key], _at(before, key), _below(path, key))
                if key in fields
                else item
                for key, item in value.items()
            }
        if isinstance(info, inspect.DictType) and isinstance(value, dict):
            return {
                key: self.walk(item, info.value_type, _at(before, key), _below(path, key))
                for key, item in value.items()
            }
        if isinstance(info, inspect.CollectionType) and isinstance(value, list):
            return self._list(value, info, before, path)
        return value

    def _list(self, value: list[Any], info: inspect.CollectionType, before: Any, path: str) -> list[Any]:
        if not _holds_secrets(info.item_type):
            return value
        if _has_id(info.item_type):
            return self._by_id(value, info.item_type, before, path)
        return self._by_index(value, info, before, path)

    def _by_id(self, value: list[Any], info: Any, before: Any, path: str) -> list[Any]:
        stored = {}
        if isinstance(before, list):
            stored = {_id_of(item, index): item for index, item in enumerate(before)}
        found: list[Any] = []
        places: dict[str, str] = {}
        for index, item in enumerate(value):
            place = f"{path}[{index}]"
            id = item.get("id") if isinstance(item, dict) else None
            earlier: Any = before
            if isinstance(before, list):
                said = repr(id) if id else "none"
                earlier = stored.get(str(id)) or _Nothing(
                    f"expected the id of a stored item, whose secret the mask {MASK!r} keeps, got {said}; "
                    "enter the secret itself for a new item",
                    f"{place}.id",
                )
            new = self.walk(item, info, earlier, place)
            if isinstance(new, dict) and self._gives_ids:
                new = {**new, "id": _id_of(item if self._is_showing else new, index)}
                if (other := places.setdefault(new["id"], place)) != place:
                    raise SettingsError(f"{place}.id", f"expected an id of its own, got that of {other}")
            found.append(new)
        return found

    def _by_index(self, value: list[Any], info: Any, before: Any, path: str) -> list[Any]:
        if isinstance(before, list) and value != _SHOWING.walk(before, info, None, ""):
            before = _Nothing("must be entered again: its list has changed, whose items have no ids")
        return [
            self.walk(item, info.item_type, _at(before, index), f"{path}[{index}]")
            for index, item in enumerate(value)
        ]


_SHOWING = _Walk(lambda text, before, place: MASK if text else "", gives_ids=True, is_showing=True)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _at(before: Any, key: str | int) -> Any:
    if isinstance(before, _Nothing):
        return before
    if isinstance(key, int):
        return before[key] if isinstance(before, list) and key < len(before) else None
    return before.get(key) if isinstance(before, dict) else None


def _id_of(item: Any, index: int) -> str:
    """A list item's id. One that was stored before items had ids gets one that is the same each time."""
    if not isinstance(item, dict):
        return ""
    if item.get("id"):
        return str(item["id"])
    content = msgspec.json.encode([index, {key: each for key, each in item.items() if key != "id"}])
    return blake2s(content, digest_size=4, person=b"iotgwids").hexdigest()


def _has_id(info: Any) -> bool:
    while isinstance(info, inspect.Metadata):
        info = info.type
    return isinstance(info, inspect.StructType) and any(field.encode_name == "id" for field in info.fields)


def _holds_secrets(info: Any, above: tuple[Any, ...] = ()) -> bool:
    """Whether a value of this type may hold a secret."""
    if any(info is each for each in above):
        return False
    above = (*above, info)
    if isinstance(info, inspect.Metadata):
        return bool((info.extra_json_schema or {}).get("writeOnly")) or _holds_secrets(info.type, above)
    if isinstance(info, inspect.UnionType):
        return any(_holds_secrets(each, above) for each in info.types)
    if isinstance(info, inspect.StructType):
        return any(_holds_secrets(field.type, above) for field in info.fields)
    if isinstance(info, inspect.DictType):
        return _holds_secrets(info.value_type, above)
    return isinstance(info, inspect.CollectionType) and _holds_secrets(info.item_type, above)


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
