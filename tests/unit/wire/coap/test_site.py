"""Which resource a path belongs to."""

from __future__ import annotations

import pytest

from iotgw.wire.coap.site import Resource, Site, parse_path


class Named(Resource):
    def __init__(self, name, takes_rest=False):
        self.name = name
        self.takes_rest = takes_rest


def site(*paths):
    made = Site()
    for path in paths:
        made.add(parse_path(path.removesuffix("**")), Named(path, path.endswith("**")))
    return made


@pytest.mark.parametrize(
    ("asked", "expected", "rest"),
    [
        ("m", "m", ""),
        ("m/x", None, ""),
        ("data", "data/**", ""),
        ("data/a/b", "data/**", "a/b"),
        ("data/a/c", "data/a/c", ""),
        ("api/v1/tok/telemetry", "api/v1/*/telemetry", ""),
        ("api/v1/known/telemetry", "api/v1/known/telemetry", ""),
        ("api/v1/tok/rpc", "api/v1/*/*", ""),
        ("api/v1/tok", None, ""),
        ("api/v1/tok/telemetry/x", None, ""),
        ("i/key/v1/tok/telemetry", "i/key/**", "v1/tok/telemetry"),
    ],
)
def test_the_most_exact_path_has_a_request(asked, expected, rest):
    found = site(
        "m", "data/**", "data/a/c", "api/v1/*/*", "api/v1/*/telemetry", "api/v1/known/telemetry", "i/key/**"
    ).find(parse_path(asked))
    assert (found and found[0].name, found and found[1]) == (expected, expected and parse_path(rest))


def test_the_root_has_what_nobody_else_has_or_will_have_soon():
    made = site("**", "i/key/**", "api/*")
    away = Named("away")
    made.otherwise = lambda path: away if path[:2] == ("i", "closed") else None
    names = [made.find(parse_path(path))[0].name for path in ("x/y", "", "i/key/z", "api/x", "i/closed")]
    assert names == ["**", "**", "i/key/**", "api/*", "away"]


def test_a_root_that_is_a_path_of_its_own_has_requests_without_a_path_only():
    made = site("")
    assert made.find(())[0].name == ""
    assert made.find(("x",)) is None


def test_a_pattern_that_is_removed_is_found_no_more():
    made = site("a/*", "a/*/b")
    made.remove(("a", "*"))
    assert made.find(("a", "x")) is None
    assert made.find(("a", "x", "b"))[0].name == "a/*/b"
