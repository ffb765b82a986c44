"""What is shown of a URL, and what a mask in it stands for."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iotgw.core.secret_url import _split, masked_url, unmasked_url, url_secrets


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://h/p?access_token=abc&v=2", "https://h/p?access_token=***&v=***"),
        ("https://h/p?device={{ deviceName }}&k=abc", "https://h/p?device={{ deviceName }}&k=***"),
        ("https://h/p?t={{ values.t | round }}", "https://h/p?t={{ values.t | round }}"),
        (
            "https://h/p?t={{ (values.t * 1.8 + 32) | round(1) }}",
            "https://h/p?t={{ (values.t * 1.8 + 32) | round(1) }}",
        ),
        ("https://h/p?t={{ 12345 }}", "https://h/p?t=***"),
        ("https://h/p?t={{ 'abc' }}", "https://h/p?t=***"),
        ("https://h/p?t={{ ts | default('abc') }}", "https://h/p?t=***"),
        ("https://h/p?t=abc{{ ts }}", "https://h/p?t=***"),
        ("https://h/{{ 'a?b' }}?t={{ 'a&b=c' }}&u=", "https://h/{{ 'a?b' }}?t=***&u="),
        ("https://h/p?{% if ts %}t=abc{% endif %}", "https://h/p?{% if ts %}t=***"),
        ("https://h/p?abc", "https://h/p?***"),
        ("https://u:abc@h/p", "https://u:***@h/p"),
        ("amqp://u:a:b@c@h/p", "amqp://u:***@h/p"),
        ("https://h/p", "https://h/p"),
        ("", ""),
    ],
)
def test_the_values_of_the_query_and_the_password_are_masked(url: str, shown: str) -> None:
    assert masked_url(url) == shown
    assert unmasked_url(shown, url) == url


def test_a_mask_keeps_the_value_of_the_parameter_of_its_name_in_any_order() -> None:
    stored = "https://h/p?a=one&b=two&b=three"
    assert (
        unmasked_url("https://h/q?b=***&c=new&b=***&a=***", stored) == "https://h/q?b=two&c=new&b=three&a=one"
    )


@pytest.mark.parametrize("url", ["https://h/p?c=***", "https://h/p?b=***", "https://h/p?a=***&a=***"])
def test_a_mask_that_could_mean_another_value_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"^of '[abc]'$"):
        unmasked_url(url, "https://h/p?a=one&b=two&b=three")


_urls = st.from_regex(
    r"https://h(/[a-z]*)?(\?([ab]=([a-z]|\{\{ [a-z'&]* \}\}|)){1}(&[ab](=[a-z]*)?){0,4})?", fullmatch=True
)


@given(_urls)
def test_what_is_shown_can_be_sent_back(url: str) -> None:
    assert unmasked_url(masked_url(url), url) == url
    assert all(secret in url for secret in url_secrets(url))


@pytest.mark.parametrize(
    "url",
    ["https://h/?" + "={{ " * 1000, "https://h/?a={{" + " " * 4000 + "!}}", "https://h/?a={{" + "{%" * 2000],
)
def test_what_is_no_template_is_a_secret_however_often_one_begins(url):
    assert masked_url(url).endswith("***")


@given(st.text("{}%#?&=a ", max_size=30), st.sampled_from("?&="))
def test_a_url_is_split_where_no_template_is(text, at):
    pieces = re.findall(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|.", text)
    before = pieces.index(at) if at in pieces else len(pieces)
    expected = "".join(pieces[:before]), "".join(pieces[before : before + 1]), "".join(pieces[before + 1 :])
    assert _split(text, at) == expected
