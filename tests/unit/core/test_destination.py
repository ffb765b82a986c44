"""Where the secrets of settings go, by what the settings say or by the names of their fields."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from iotgw import testing
from iotgw.core.destination import MOVED, destination, origin, to_keep
from iotgw.core.errors import SettingsError
from iotgw.core.secrets import Secret, SecretUrl, sealed


class Elsewhere(Struct, rename="camel"):
    """Settings of somebody else's, which don't say where their secrets go."""

    webhook_url: SecretUrl
    port: int = 0
    tls: bool = False
    password: Secret = ""
    note: str = ""


class Listening(Struct, rename="camel"):
    port: int = 0
    interface: str = ""
    password: Secret = ""


STORED: dict[str, Any] = {"webhookUrl": "https://h/p?k=one", "port": 1, "password": "hush"}
vault = testing.MemoryRegistry()


@pytest.mark.parametrize(
    "change", [{"note": "x"}, {"webhookUrl": "https://h/other?k=***"}, {"password": "new"}]
)
def test_masks_count_while_the_secrets_go_where_they_went(change: dict[str, Any]) -> None:
    stored = sealed(STORED, Elsewhere, vault)
    assert to_keep({**STORED, **change}, stored, Elsewhere, vault.unseal) == stored


@pytest.mark.parametrize(
    "change", [{"webhookUrl": "https://evil/p"}, {"webhookUrl": "http://h/p"}, {"port": 2}, {"tls": True}]
)
def test_masks_count_no_longer_when_a_host_a_port_or_tls_changes(change: dict[str, Any]) -> None:
    stored = sealed(STORED, Elsewhere, vault)
    assert to_keep({**STORED, **change}, stored, Elsewhere, vault.unseal) is MOVED


def test_masks_count_no_longer_when_it_can_not_be_told_where_the_secrets_went() -> None:
    assert to_keep(STORED, {"webhookUrl": 5}, Elsewhere, vault.unseal) is MOVED


def test_secrets_that_a_listener_asks_for_go_nowhere() -> None:
    assert destination(Listening(1, "::")) == destination(Listening(2, "127.0.0.1"))


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://H.example/p?x", ("https", "h.example", 443)),
        ("http://h:8080", ("http", "h", 8080)),
        ("HTTP://[::1]:81?x", ("http", "::1", 81)),
        ("http://h?x", ("http", "h", 80)),
    ],
)
def test_the_origin_of_a_url(url: str, found: tuple[str, str, int]) -> None:
    assert origin(url, "url") == found


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "ftp://hush/",
        "http://",
        "http://u:hush@h/",
        "http://u:hush/x@h/",
        "http://[hush/",
        "http://{{ hush }}/",
    ],
)
def test_a_wrong_url_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^url: expected") as caught:
        origin(url, "url")
    assert "hush" not in str(caught.value)
