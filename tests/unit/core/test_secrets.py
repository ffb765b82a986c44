"""Secrets: sealed when stored, masked when shown, kept when the mask comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from iotgw.core.errors import SettingsError
from iotgw.core.secrets import MASK, Secret, all_masked, masked, revealed, sealed


class Basic(Struct, tag="basic", tag_field="type"):
    user: str
    password: Secret


class Bearer(Struct, tag="bearer", tag_field="type"):
    token: Secret


class Settings(Struct, rename="camel"):
    url: str
    api_key: Secret | None = None
    auth: Basic | Bearer | None = None
    headers: dict[str, Secret] = {}
    keys: list[Secret] = []


def seal(text: str) -> str:
    return "sealed:" + text[::-1]


def unseal(text: str) -> str:
    assert text.startswith("sealed:")
    return text.removeprefix("sealed:")[::-1]


FULL: dict[str, Any] = {
    "url": "http://x",
    "apiKey": "one",
    "auth": {"type": "basic", "user": "u", "password": "two"},
    "headers": {"X-Key": "three"},
    "keys": ["four", ""],
}


def test_every_secret_is_sealed_wherever_it_stands() -> None:
    stored = sealed(FULL, Settings, seal)
    assert stored["apiKey"] == "sealed:eno"
    assert stored["auth"] == {"type": "basic", "user": "u", "password": "sealed:owt"}
    assert stored["headers"] == {"X-Key": "sealed:eerht"}
    assert stored["keys"] == ["sealed:ruof", ""]
    assert stored["url"] == "http://x"


def test_what_was_sealed_is_revealed_again() -> None:
    assert revealed(sealed(FULL, Settings, seal), Settings, unseal) == FULL


def test_the_mask_shows_only_that_a_secret_is_set() -> None:
    shown = masked(sealed(FULL, Settings, seal), Settings)
    assert shown["apiKey"] == MASK
    assert shown["auth"] == {"type": "basic", "user": "u", "password": MASK}
    assert shown["keys"] == [MASK, ""]
    assert "sealed" not in str(shown)


def test_a_mask_that_comes_back_keeps_the_stored_secret() -> None:
    stored = sealed(FULL, Settings, seal)
    again = sealed(masked(stored, Settings), Settings, seal, stored)
    assert again == stored


def test_another_member_of_a_union_is_sealed_by_its_own_type() -> None:
    assert sealed({"url": "", "auth": {"type": "bearer", "token": "t"}}, Settings, seal)["auth"] == {
        "type": "bearer",
        "token": "sealed:t",
    }


def test_a_mask_with_nothing_stored_is_refused_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"configuration\.auth\.password: expected the secret"):
        sealed(
            {"url": "", "auth": {"type": "basic", "user": "u", "password": MASK}},
            Settings,
            seal,
            path="configuration",
        )


def test_the_value_that_came_in_is_not_changed() -> None:
    before = {"url": "http://x", "apiKey": "one"}
    sealed(before, Settings, seal)
    assert before == {"url": "http://x", "apiKey": "one"}


def test_a_value_of_unknown_type_shows_no_text() -> None:
    assert all_masked({"a": "x", "b": [1, "y"], "c": {"d": None}}) == {
        "a": MASK, "b": [1, MASK], "c": {"d": None},
    }  # fmt: skip


_texts = st.text(max_size=8)
_settings = st.fixed_dictionaries(
    {"url": _texts},
    optional={
        "apiKey": st.none() | _texts,
        "auth": st.none()
        | st.fixed_dictionaries({"type": st.just("basic"), "user": _texts, "password": _texts})
        | st.fixed_dictionaries({"type": st.just("bearer"), "token": _texts}),
        "headers": st.dictionaries(_texts, _texts, max_size=3),
        "keys": st.lists(_texts, max_size=3),
    },
)


@given(_settings)
def test_whatever_is_sealed_comes_back_the_same_and_by_its_mask_too(value: dict[str, Any]) -> None:
    if MASK in str(value):
        return
    stored = sealed(value, Settings, seal)
    assert revealed(stored, Settings, unseal) == value
    assert sealed(masked(stored, Settings), Settings, seal, stored) == stored
