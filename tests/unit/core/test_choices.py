"""What may stand where only some values may."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Struct

from iotgw.core.choices import choices
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import Secret
from iotgw.core.validate import convert


class Basic(Struct, tag_field="type", tag="basic"):
    user: str = ""


class Bearer(Struct, tag_field="type", tag="bearer"):
    token: str = ""
    where: Literal["header", "query"] = "header"


class Rule(Struct):
    how: Annotated[Literal["keep", "drop"] | None, msgspec.Meta(description="How")] = None
    number: Literal[1, 2] = 1


class Settings(Struct):
    auth: Basic | Bearer = msgspec.field(default_factory=Basic)
    rules: list[Rule] = []
    by_name: dict[str, Rule] = {}
    text: str = ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"rules": [{}, {"how": "kept"}]}, "rules[1].how: expected one of drop, keep, got 'kept'"),
        ({"by_name": {"a": {"number": 3}}}, "by_name[...].number: expected one of 1, 2, got 3"),
        ({"auth": {"type": "digest"}}, "auth.type: expected one of basic, bearer, got 'digest'"),
        (
            {"auth": {"type": "bearer", "where": "body"}},
            "auth.where: expected one of header, query, got 'body'",
        ),
    ],
)
def test_a_value_that_may_not_stand_there_is_refused_with_those_that_may(value: Any, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        convert(value, Settings)
    assert str(caught.value) == said


@pytest.mark.parametrize("place", ["", "text", "rules", "none", "rules[0]", "text.below"])
def test_where_anything_may_stand_nothing_is_listed(place: str) -> None:
    assert choices(Settings, place) == []


class Hidden(Struct):
    word: Secret = ""


class Tables(Struct):
    by_name: dict[str, Hidden] = {}


def test_a_wrong_secret_in_a_table_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as caught:
        convert({"by_name": {"a": {"word": 5}}}, Tables)
    assert caught.value.is_secret
