"""Secrets in what users save: sealed when stored, masked when shown, kept when the mask comes back.

A settings Struct marks a secret by its type, ``password: Secret = ""``; also inside lists, dicts, unions
and nested Structs. Everything here walks a JSON value beside its type and returns a new value.

A mask keeps the secret that is stored at the same place. In a list, a place is no name: an item that holds secrets has
an ``id``, and its masks keep the secrets of the stored item with that id.

A mask is bound to where its secret goes: `iotgw.core.destination` says when the stored ones are `Withheld`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from hashlib import blake2s
from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Struct, inspect

from iotgw.core.choices import steps
from iotgw.core.errors import IotgwError, SettingsError
from iotgw.core.redaction import MASK, is_private_key
from iotgw.core.secret_url import is_fact, masked_url, unmasked_url, url_secrets

__all__ = [
    "MASK", "SEALED", "SECRET_NAME", "Secret", "SecretTemplate", "SecretUrl", "Vault", "Withheld", "all_masked", "clear_secrets", "is_secret", "masked",
    "resealed", "revealed", "sealed",
]  # fmt: skip

LONGEST_URL = 4096
"""Characters. Whatever shows a URL looks for secrets in it, which takes a microsecond or two for each."""

Secret = Annotated[str, msgspec.Meta(extra_json_schema={"format": "password"})]
"""A string that is stored encrypted and never shown: an answer has `MASK` in its place, so that it isn't OpenAPI's ``writeOnly``."""

SecretUrl = Annotated[str, msgspec.Meta(extra={"secret": "url"})]
"""A URL, or a template of one, that is stored encrypted. It is shown with masks for its password and the values of its
query, as `iotgw.core.secret_url` finds them."""

SecretTemplate = Annotated[str, msgspec.Meta(extra={"secret": "template"})]
"""A template of a value that is stored encrypted. It is shown where it only inserts what a message says
(`iotgw.core.secret_url.is_fact`); otherwise a mask is."""

SECRET_NAME = re.compile(
    r"pass(word|phrase)?$|secret|token$|authorization|cookie|psk$|key$|credential", re.IGNORECASE
)
"""Names of fields whose values are not repeated in logs and errors, whatever their type says."""

SEALED = "sealed:"
"""How every sealed text begins. What doesn't was stored before its field became a secret."""


class Vault(Protocol):
    """What encrypts secrets; an `iotgw.core.ports.registry.IRegistry` is one."""

    def seal(self, secret: str) -> str:
        """The encrypted text."""

    def unseal(self, sealed: str) -> str:
        """The clear text; raises IotgwError."""


class Withheld(Struct, frozen=True):
    """Stands for what is stored, where no mask may keep it, and says why. ``place`` is what to mend, if it isn't the
    mask itself."""

    problem: str
    place: str = ""


NO_SECRET = "expected no private key here: this setting is stored and shown in the clear"

_type_info = cache(inspect.type_info)
"""Inspecting a Struct takes a millisecond, so the result is cached."""


def sealed(value: Any, type_: Any, vault: Vault, stored: Any = None, path: str = "") -> Any:
    """The value with its secrets sealed. A `MASK` takes the sealed text that ``stored`` has at the same place, or in the
    list item with the same id. List items that hold secrets get ids where they have none.

    Raises SettingsError when there is none. An empty secret stays empty.
    """

    def kept(before: Any, place: str) -> str:
        if isinstance(before, Withheld):
            raise SettingsError(before.place or place, before.problem)
        if not isinstance(before, str) or not before:
            raise SettingsError(place, f"expected the secret, got the mask {MASK!r}, and nothing is stored")
        return before

    def one(text: str, kind: str, before: Any, place: str) -> str:
        if text == MASK:
            return kept(before, place)
        if kind == "template" and isinstance(before, str) and before.startswith(SEALED) and is_fact(text):
            return before if vault.unseal(before) == text else vault.seal(text)
        if kind == "url" and len(text) > LONGEST_URL:
            problem = f"expected a URL of at most {LONGEST_URL} characters, got {len(text)}"
            raise SettingsError(place, problem)
        if kind == "url" and MASK in url_secrets(text):
            clear = _opened(vault.unseal)(kept(before, place), kind, None, place)
            try:
                text = unmasked_url(text, clear)
            except ValueError as error:
                problem = f"expected the secret {error}, got the mask {MASK!r}, and nothing is stored for it"
                raise SettingsError(place, problem) from error
            if text == clear and before.startswith(SEALED):
                return str(before)
        return vault.seal(text) if text else ""

    shown = _showing(vault.unseal)
    return _Walk(one, gives_ids=True, shown=shown).walk(value, _type_info(type_), stored, path)


def masked(value: Any, type_: Any, unseal: Callable[[str], str]) -> Any:
    """The stored value as it may be shown: `MASK` for each secret that is set, ids for list items that hold secrets.
    A URL that can't be unsealed is a `MASK` as a whole."""
    return _showing(unseal).walk(value, _type_info(type_), None, "")


def revealed(value: Any, type_: Any, unseal: Callable[[str], str]) -> Any:
    """The stored value with its secrets in the clear, for the part that uses them."""
    return _Walk(_opened(unseal)).walk(value, _type_info(type_), None, "")


def clear_secrets(value: Any, type_: Any, unseal: Callable[[str], str]) -> list[str]:
    """The secrets of a stored value in the clear, as no text for people may repeat them."""
    found: list[str] = []
    clear = _opened(unseal)

    def one(text: str, kind: str, before: Any, place: str) -> str:
        said = clear(text, kind, before, place)
        found.extend(url_secrets(said) if kind == "url" else [said])
        return text

    _Walk(one).walk(value, _type_info(type_), None, "")
    return found


def resealed(value: Any, type_: Any, vault: Vault) -> Any:
    """The stored value with those secrets sealed that were stored before their fields became secrets."""

    def one(text: str, kind: str, before: Any, place: str) -> str:
        return vault.seal(text) if text and not text.startswith(SEALED) else text

    return _Walk(one).walk(value, _type_info(type_), None, "")


def is_secret(type_: Any, place: str) -> bool:
    """Whether a value at a place such as ``auth.password`` or ``keys[0].value`` is a secret, or may be part of one."""
    infos = [_type_info(type_)]
    for part in steps(place):
        infos = [below for info in infos for below in _inner(info, part)]
    return any(_holds_secrets(info) for info in infos)


def all_masked(value: Any) -> Any:
    """A value of unknown type as it may be shown: without any of its strings."""
    if isinstance(value, dict):
        return {key: all_masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [all_masked(item) for item in value]
    return MASK if isinstance(value, str) else value


One = Callable[[str, str, Any, str], str]
"""``one(secret, kind, stored, path)``: what replaces a secret; ``kind`` is "url", "template", or empty."""


class _Walk:
    """Replaces each secret of a value. ``shown`` makes the list that a client saw of a stored one; a walk without it goes
    through what is stored itself."""

    def __init__(self, one: One, gives_ids: bool = False, shown: _Walk | None = None) -> None:
        self._one = one
        self._gives_ids = gives_ids
        self._shown = shown

    def walk(self, value: Any, info: Any, before: Any, path: str) -> Any:
        """The new value."""
        if isinstance(info, inspect.Metadata):
            if isinstance(value, str) and _is_secret(info):
                return self._one(value, _kind(info), before, path)
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
        if self._shown and isinstance(value, str) and is_private_key(value):
            raise SettingsError(path, NO_SECRET, True)
        return value

    def _list(self, value: list[Any], info: inspect.CollectionType, before: Any, path: str) -> list[Any]:
        if not _holds_secrets(info.item_type):
            return [
                self.walk(item, info.item_type, None, f"{path}[{index}]") for index, item in enumerate(value)
            ]
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
                earlier = stored.get(str(id)) or Withheld(
                    f"expected the id of a stored item, whose secret the mask {MASK!r} keeps, got {said}; "
                    "enter the secret itself for a new item",
                    f"{place}.id",
                )
            new = self.walk(item, info, earlier, place)
            if isinstance(new, dict) and self._gives_ids:
                new = {**new, "id": _id_of(new if self._shown else item, index)}
                if (other := places.setdefault(new["id"], place)) != place:
                    raise SettingsError(f"{place}.id", f"expected an id of its own, got that of {other}")
            found.append(new)
        return found

    def _by_index(self, value: list[Any], info: Any, before: Any, path: str) -> list[Any]:
        if isinstance(before, list) and self._shown and value != self._shown.walk(before, info, None, ""):
            before = Withheld("must be entered again: its list has changed, whose items have no ids")
        return [
            self.walk(item, info.item_type, _at(before, index), f"{path}[{index}]")
            for index, item in enumerate(value)
        ]


def _opened(unseal: Callable[[str], str]) -> One:
    return lambda text, kind, before, place: unseal(text) if text.startswith(SEALED) else text


def _showing(unseal: Callable[[str], str]) -> _Walk:
    clear = _opened(unseal)

    def one(text: str, kind: str, before: Any, place: str) -> str:
        if not text or not kind:
            return MASK if text else ""
        try:
            said = clear(text, kind, before, place)
        except IotgwError:
            return MASK
        if kind == "url":
            return masked_url(said)
        return said if is_fact(said) else MASK

    return _Walk(one, gives_ids=True)


def _is_secret(info: inspect.Metadata) -> bool:
    return (info.extra_json_schema or {}).get("format") == "password" or bool(_kind(info))


def _kind(info: inspect.Metadata) -> str:
    return str((info.extra or {}).get("secret", ""))


def _inner(info: Any, part: str) -> list[Any]:
    """The types that a part of a value of this type may have."""
    if isinstance(info, inspect.Metadata):
        return [info] if _is_secret(info) else _inner(info.type, part)
    if isinstance(info, inspect.UnionType):
        return [below for each in info.types for below in _inner(each, part)]
    if isinstance(info, inspect.StructType):
        return [field.type for field in info.fields if field.encode_name == part]
    if isinstance(info, inspect.DictType):
        return [info.value_type]
    return [info.item_type] if isinstance(info, inspect.CollectionType) else []


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _at(before: Any, key: str | int) -> Any:
    if isinstance(before, Withheld):
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
        return _is_secret(info) or _holds_secrets(info.type, above)
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
