"""In every list of the built-in settings, a mask keeps the secret of its item and not of its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import Struct, inspect
from twisted.internet.task import Clock

from iotgw.app.parts import DATASOURCES, INTEGRATIONS
from iotgw.connect.endpoint import Connector
from iotgw.core.credential import CredentialSpec, SecretSpec
from iotgw.core.secrets import Secret, is_secret
from iotgw.core.types import Types


class _Nameless(Struct):
    value: Secret


class _Settings(Struct):
    headers: list[_Nameless] | None = None


def lists_of_secrets(type_: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each list below a type whose items may hold a secret: its place, and the items' type."""
    info = inspect.type_info(type_) if not isinstance(type_, inspect.Type) else type_
    if isinstance(info, inspect.Metadata):
        yield from lists_of_secrets(info.type, path)
    elif isinstance(info, inspect.UnionType):
        for each in info.types:
            yield from lists_of_secrets(each, path)
    elif isinstance(info, inspect.StructType):
        for field in info.fields:
            yield from lists_of_secrets(field.type, f"{path}.{field.encode_name}".lstrip("."))
    elif isinstance(info, inspect.DictType):
        yield from lists_of_secrets(info.value_type, f"{path}.*")
    elif isinstance(info, inspect.CollectionType):
        yield path, info.item_type
        yield from lists_of_secrets(info.item_type, f"{path}[0]")


def nameless(type_: Any) -> list[str]:
    """The lists whose items hold secrets and have no ids."""
    return [
        path
        for path, item in lists_of_secrets(type_)
        if is_secret(type_, f"{path}[0]")
        and not (
            isinstance(item, inspect.StructType) and "id" in {field.encode_name for field in item.fields}
        )
    ]


def settings_of_all_types() -> list[Any]:
    connector = Connector(Clock())  # type: ignore[arg-type]
    made: list[Any] = [
        type_
        for factories in (DATASOURCES, INTEGRATIONS)
        for type_ in Types("iotgw.none", Clock(), factories, connector)  # type: ignore[arg-type, type-var]
    ]
    return [type_.settings for type_ in made] + [CredentialSpec]


@pytest.mark.parametrize("settings", settings_of_all_types(), ids=lambda settings: settings.__name__)
def test_items_that_hold_secrets_have_ids(settings: Any) -> None:
    assert nameless(settings) == []


def test_the_search_finds_lists_with_and_without_ids() -> None:
    assert [path for path, _ in lists_of_secrets(CredentialSpec)] == ["secrets"]
    assert is_secret(CredentialSpec, "secrets[0]")
    assert "id" in SecretSpec.__struct_fields__
    assert nameless(_Settings) == ["headers"]
