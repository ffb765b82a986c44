"""Characters that no name may have."""

from __future__ import annotations

import unicodedata

import pytest

from iotgw.core.names import unfit, without_unfit


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a\x01b\x02", "U+0001"), ("\x00", "U+0000"), ("a\x7f", "U+007F"), ("\x85", "U+0085"), ("\ufffe", "U+FFFE"),
        ("\uffff", "U+FFFF"), ("\ufdd0", "U+FDD0"), ("\U0010ffff", "U+10FFFF"), ("\U0001fffe", "U+1FFFE"),
        ("\ud800", "U+D800"), ("a\n", "U+000A"),
    ],
)  # fmt: skip
def test_control_characters_surrogates_and_non_characters_are_found(text: str, first: str) -> None:
    assert unfit(text) == first
    assert unfit(without_unfit(text, "_")) == ""


@pytest.mark.parametrize("text", ["", "meter 7", "Zähler-ü", "温度計", "a\u00a0b", "😀", "\ue000"])
def test_every_other_character_may_stand_in_a_name(text: str) -> None:
    assert unfit(text) == ""
    assert without_unfit(text, "_") == text


def test_they_are_those_of_unicode() -> None:
    found = {number for number in range(0x110000) if unfit(chr(number))}
    controls = {number for number in range(0x110000) if unicodedata.category(chr(number)) in ("Cc", "Cs")}
    assert controls <= found
    assert len(found - controls) == 66  # Unicode 15, §23.7: there are 66 noncharacters
