"""Secrets: sealed when stored, masked when shown, kept when the mask comes back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from iotgw import testing
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import MASK, Secret, SecretTemplate, SecretUrl, all_masked, masked, revealed, sealed


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


class Key(Struct, rename="camel"):
    value: Secret
    id: str = ""
    not_after: int | None = None


class Ring(Struct):
    keys: list[Key] = []


vault = testing.MemoryRegistry()
unseal = vault.unseal


FULL: dict[str, Any] = {
    "url": "http://x",
    "apiKey": "one",
    "auth": {"type": "basic", "user": "u", "password": "two"},
    "headers": {"X-Key": "three"},
    "keys": ["four", ""],
}


def test_every_secret_is_sealed_wherever_it_stands() -> None:
    stored = sealed(FULL, Settings, vault)
    assert stored["apiKey"] == "sealed:eno"
    assert stored["auth"] == {"type": "basic", "user": "u", "password": "sealed:owt"}
    assert stored["headers"] == {"X-Key": "sealed:eerht"}
    assert stored["keys"] == ["sealed:ruof", ""]
    assert stored["url"] == "http://x"


def test_what_was_sealed_is_revealed_again() -> None:
    assert revealed(sealed(FULL, Settings, vault), Settings, unseal) == FULL


def test_the_mask_shows_only_that_a_secret_is_set() -> None:
    shown = masked(sealed(FULL, Settings, vault), Settings, unseal)
    assert shown["apiKey"] == MASK
    assert shown["auth"] == {"type": "basic", "user": "u", "password": MASK}
    assert shown["keys"] == [MASK, ""]
    assert "sealed" not in str(shown)


def test_a_mask_that_comes_back_keeps_the_stored_secret() -> None:
    stored = sealed(FULL, Settings, vault)
    again = sealed(masked(stored, Settings, unseal), Settings, vault, stored)
    assert again == stored


def ring(*keys: dict[str, Any]) -> dict[str, Any]:
    return {"keys": list(keys)}


def test_each_item_of_a_list_gets_an_id_of_its_own_and_shows_it() -> None:
    stored = sealed(ring({"value": "old"}, {"value": "new"}), Ring, vault)
    ids = [key["id"] for key in stored["keys"]]
    assert all(ids) and ids[0] != ids[1]
    assert masked(stored, Ring, unseal) == ring({"value": MASK, "id": ids[0]}, {"value": MASK, "id": ids[1]})


@pytest.mark.parametrize("order", [[1], [0], [1, 0], [0, 1]])
def test_a_mask_keeps_the_secret_of_its_id_in_any_order(order: list[int]) -> None:
    stored = sealed(ring({"value": "old", "notAfter": 5}, {"value": "new"}), Ring, vault)
    shown = masked(stored, Ring, unseal)
    again = sealed(ring(*(shown["keys"][index] for index in order)), Ring, vault, stored)
    assert again == ring(*(stored["keys"][index] for index in order))


def test_a_new_item_may_stand_before_those_that_are_kept() -> None:
    stored = sealed(ring({"value": "old"}), Ring, vault)
    again = sealed(ring({"value": "new"}, *masked(stored, Ring, unseal)["keys"]), Ring, vault, stored)
    assert [unseal(key["value"]) for key in again["keys"]] == ["new", "old"]
    assert again["keys"][1] == stored["keys"][0]


@pytest.mark.parametrize(("given", "said"), [({"id": "nobody"}, "'nobody'"), ({}, "none")])
def test_a_mask_without_a_known_id_is_refused_and_says_so(given: dict[str, Any], said: str) -> None:
    stored = sealed(ring({"value": "old"}, {"value": "new"}), Ring, vault)
    with pytest.raises(
        SettingsError, match=rf"^keys\[0\]\.id: expected the id of a stored item.*got {said};"
    ):
        sealed(ring({"value": MASK, **given}), Ring, vault, stored)


def test_two_items_with_one_id_are_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"^keys\[1\]\.id: expected an id of its own, got that of keys\[0\]"
    ):
        sealed(ring({"value": "a", "id": "k"}, {"value": "b", "id": "k"}), Ring, vault)


def test_items_that_were_stored_without_ids_show_the_same_ones_each_time_and_keep_them() -> None:
    older = ring({"value": vault.seal("old")}, {"value": vault.seal("new")})
    shown = masked(older, Ring, unseal)
    assert shown == masked(older, Ring, unseal)
    again = sealed(ring(shown["keys"][1]), Ring, vault, older)
    assert again == ring({"value": vault.seal("new"), "id": shown["keys"][1]["id"]})


def test_masks_of_items_that_have_no_ids_count_only_while_their_list_is_as_it_was() -> None:
    stored = sealed({"url": "", "keys": ["old", "new"]}, Settings, vault)
    assert sealed({"url": "", "keys": [MASK, MASK]}, Settings, vault, stored) == stored
    for keys in ([MASK], [MASK, "newer"], [MASK, MASK, MASK]):
        with pytest.raises(SettingsError, match=r"^keys\[0\]: must be entered again"):
            sealed({"url": "", "keys": keys}, Settings, vault, stored)


def test_another_member_of_a_union_is_sealed_by_its_own_type() -> None:
    assert sealed({"url": "", "auth": {"type": "bearer", "token": "t"}}, Settings, vault)["auth"] == {
        "type": "bearer",
        "token": "sealed:t",
    }


def test_a_mask_with_nothing_stored_is_refused_with_its_place() -> None:
    with pytest.raises(SettingsError, match=r"configuration\.auth\.password: expected the secret"):
        sealed(
            {"url": "", "auth": {"type": "basic", "user": "u", "password": MASK}},
            Settings,
            vault,
            path="configuration",
        )


def test_the_value_that_came_in_is_not_changed() -> None:
    before = {"url": "http://x", "apiKey": "one"}
    sealed(before, Settings, vault)
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
    stored = sealed(value, Settings, vault)
    assert revealed(stored, Settings, unseal) == value
    assert sealed(masked(stored, Settings, unseal), Settings, vault, stored) == stored


class Query(Struct):
    query: dict[str, SecretTemplate] = {}


def test_a_template_is_shown_where_it_only_inserts_what_a_message_says() -> None:
    given = {"query": {"key": "hush", "t": "{{ values.t * 2 }}", "both": "hush{{ ts }}", "none": ""}}
    stored = sealed(given, Query, vault)
    assert all(text.startswith("sealed:") for text in stored["query"].values() if text)
    shown = masked(stored, Query, unseal)
    assert shown == {"query": {"key": MASK, "t": "{{ values.t * 2 }}", "both": MASK, "none": ""}}
    assert sealed(shown, Query, vault, stored) == stored
    assert revealed(stored, Query, unseal) == given
    changed = sealed({"query": {"t": "{{ values.u }}", "key": "{{ ts }}"}}, Query, vault, stored)
    assert revealed(changed, Query, unseal) == {"query": {"t": "{{ values.u }}", "key": "{{ ts }}"}}


def test_a_template_that_can_not_be_unsealed_is_a_mask() -> None:
    from iotgw.core.errors import IotgwError

    def lost(text: str) -> str:
        raise IotgwError("the key is lost")

    assert masked({"query": {"t": "sealed:x"}}, Query, lost) == {"query": {"t": MASK}}


def test_a_url_is_as_long_as_it_can_be_looked_through_quickly():
    class WithUrl(Struct):
        url: SecretUrl

    url = "http://h/?" + "a=1&" * 20_000
    with pytest.raises(SettingsError, match="url: expected a URL of at most 4096 characters, got 80010"):
        sealed({"url": url}, WithUrl, testing.MemoryRegistry())
