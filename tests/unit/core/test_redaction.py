"""Texts for people hold nothing that looks like a secret."""

from __future__ import annotations

import pytest

from iotgw.core.errors import SettingsError
from iotgw.core.redaction import LONGEST, hidden, problem_text, redacted

KEY = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIHush\n-----END EC PRIVATE KEY-----"


@pytest.mark.parametrize(
    "text",
    [
        f"expected a port, got {KEY!r}",
        f"expected a port, got {KEY[:40]!r}",
        "got 'https://user:Hush@host/'",
        "got 'https://user:Hu/sh@Hush@host/'",
        "got 'https://host/?token=Hush'",
        "got 'https://host/p?a=1&sig=Hush#x'",
        "sent Authorization: Bearer Hush",
        "sent basic Hush==",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    assert "Hush" not in redacted(text)
    assert "***" in redacted(text)


@pytest.mark.parametrize(
    "text",
    [
        "expected `int`, got `str`",
        "expected a URL that begins with http:// or https://",
        "no route to 10.0.0.1:1883",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert redacted(text) == text


def test_a_problem_with_a_setting_repeats_no_key_and_is_not_long() -> None:
    key = "MHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY"
    assert key not in str(SettingsError("configuration.host", f"expected a name, got {key!r}"))
    assert len(str(SettingsError("", "x " * 100_000))) < LONGEST + 50


def test_known_secrets_are_taken_out_where_they_are_long_enough_to_be_told() -> None:
    assert hidden("you sent hush-hush, a", ["hush-hush", "a", ""]) == "you sent ***, a"


def test_of_a_very_long_text_only_the_beginning_is_looked_at_and_no_secret_stands_in_it() -> None:
    key = "-----BEGIN PRIVATE KEY-----\n" + "MC4CAQ+/" * 5000
    assert problem_text(f"got {key}") == "got -----BEGIN PRIVATE KEY-----***… (40032 characters)"
    assert problem_text("x y " * 20_000) == f"{'x y ' * 250}… (80000 characters)"
