"""What a user types in on the platform's side: fields and headers, and no secret."""

from __future__ import annotations

import msgspec
import pytest

from iotgw.core.ports.datasources import ISetsUp
from iotgw.datasources.http.datasource import HttpSourceType
from iotgw.datasources.http.settings import HttpSourceSettings
from iotgw.envelopes.presets.choices import FILES
from tests.unit.datasources.fakes import clock


def setup(key: str = "demo", **settings):
    type_ = HttpSourceType(clock())
    assert ISetsUp.providedBy(type_)
    return type_.setup(msgspec.convert(settings, HttpSourceSettings), key)


def test_a_preset_says_what_to_type_in_and_where():
    found = setup(preset="the-things-stack")
    assert found.url == "{gateway}/i/demo" and found.fields["Base URL"] == found.url
    assert "Anybody who knows the URL can send" in found.note and found.headers == {}


@pytest.mark.parametrize(
    ("settings", "headers"),
    [
        (
            {"security": {"mode": "bearer", "token": "hush"}},
            {"Authorization": "Bearer and the value of security.token"},
        ),
        (
            {"security": {"mode": "basic", "username": "u", "password": "hush"}},
            {"Authorization": "Basic, with security.username and security.password"},
        ),
        ({"headersFilter": {"X-Key": "hush"}}, {"X-Key": "the value of headersFilter.X-Key"}),
    ],
)
def test_headers_say_where_their_value_is_and_no_secret(settings, headers):
    found = setup(preset="chirpstack", **settings)
    assert found.headers == headers and "hush" not in str(found) and "Anybody" not in found.note


@pytest.mark.parametrize("name", FILES)
def test_each_platform_has_something_to_type_in(name):
    found = setup("a b", preset=name)
    assert any(text.startswith("{gateway}/i/a%20b") for text in found.fields.values())


def test_a_datasource_without_a_preset_has_nothing():
    assert setup() is None
