"""Whatever comes in, no route fails with a 500, and no answer shows a traceback."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import pytest
import pytest_twisted

from iotgw.api.app import routes

from .test_real_parts import house

__all__ = ["house"]

BODIES: list[Any] = [
    None, 0, True, "text", [], [[]], [None], {}, {"": None}, {"name": None}, {"name": 5}, {"name": "\x00"},
    {"name": "x" * 5000}, {"name": "a", "type": "coap", "configuration": []}, {"script": None}, {"script": 5},
    {"name": "a", "type": "http", "configuration": {"url": 5, "headers": {"a": None}}},
    {"name": "a", "script": "function f() {}", "options": 5}, {"payload": "\ud800"}, {"hex": "zz"}, {"text": 1},
    {"name": "a", "script": "function f() {}", "tests": [5]},
    {"name": "c", "identity": "*", "secrets": [{"value": "***"}]}, {"name": "t", "role": "god"},
    {"ids": ["e1-x", 5]}, {"ids": ["nothing"]}, {"state": "lost"}, {"limit": -1}, {"limit": 10**30},
    {"since": "now"}, {"since": 10**30}, {"receivedAt": 10**30, "text": "x"}, {"positions": [10**30]}, {"positions": "all"}, {"version": 10**30},
    {"datasource": [{}], "converter": [{}], "integration": [5]},
    {"converter": [{"library": None}, {"library": ["x"]}, {"library": "x", "name": {}}]},
]  # fmt: skip
NAMES = [
    "%C2%B2",
    "e1-%C2%B2",
    "e1-" + "9" * 5000,
    "9" * 5000,
    "nothing",
    "%00",
    "..%2f..",
    "%F0%9F%99%82",
    "x" * 3000,
    "a%0d%0ab",
    "e1-1",
    "%22%3E",
]
QUERIES = [
    "limit=%C2%B2",
    "limit=" + "9" * 5000,
    "after=%C2%B2",
    "before=e1-%C2%B2",
    "limit=-1",
    "limit=1e9",
    "before=x",
    "before=%00",
    "state=%ff",
    "after=%00",
    "tenant=%F0%9F%99%82",
    "limit=",
]


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def calm(bench: Any) -> Any:
    """A bench with one of each, so that names lead somewhere."""
    bench.add("here", b"x")
    return bench


def paths(route: Any, name: str) -> str:
    return re.sub(r"<[^>]+>", name, route.path)


@inline
async def test_no_body_makes_a_route_fail(calm: Any, connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "nothing", "type": "coap"})
    await client.ok(
        "POST", "/integrations", {"name": "nothing", "type": "http", "configuration": {"url": "x"}}
    )
    await client.ok("POST", "/converters", {"name": "nothing", "script": "function f() {}"})
    for route in routes(calm.parts):
        if route.method in ("POST", "PUT", "PATCH"):
            for body in BODIES:
                answer = await client(route.method, paths(route, "nothing"), body)
                assert answer.status < 500, (route.method, route.path, body, answer.text)


@inline
async def test_no_name_or_query_makes_a_route_fail(calm: Any, connect: Any) -> None:
    client = connect()
    for route in routes(calm.parts):
        for name in NAMES if "<" in route.path else ():
            answer = await client(route.method, paths(route, name), {} if route.method != "GET" else None)
            assert answer.status < 500, (route.method, route.path, name, answer.text)
        if route.method == "GET" and "<" not in route.path:
            for query in QUERIES:
                answer = await client("GET", f"{route.path}?{query}")
                assert answer.status < 500, (route.path, query, answer.text)


@inline
async def test_nor_does_any_query_of_the_real_journal_and_registry(
    house: Any, bench: Any, connect: Any
) -> None:
    client = connect()
    made = await client.ok("POST", "/datasources", {"name": "nothing", "type": "http"})
    assert (await client("POST", f"/i/{made['routingKey']}", data=b"x")).status == 204
    epoch = house.journal.epochs.current
    queries = [
        *QUERIES,
        f"before={epoch}-999999999999999999",
        f"before={epoch}-%C2%B2",
        "device=%00",
        "device=%F0%9F%99%82",
        "datasource=%27--",
    ]
    for path in ("/messages", "/events", "/devices", "/datasources", "/tokens", "/status", "/metrics"):
        for query in queries:
            answer = await client("GET", f"{path}?{query}")
            assert answer.status < 500, (path, query, answer.text)
    for name in [
        *NAMES,
        f"{epoch}-%C2%B2",
        f"{epoch}-{'9' * 5000}",
        f"{epoch}-0",
        f"{epoch}-999999999999999999",
    ]:
        for path in ("/messages/", "/devices/", "/datasources/", "/credentials/"):
            answer = await client("GET", path + name)
            assert answer.status in (200, 400, 404), (path, name, answer.text)
    for body in BODIES:
        answer = await client("POST", "/messages/reprocess", body)
        assert answer.status < 500, (body, answer.text)


DIGITS = [("²", "'²'"), ("１２", "'１２'"), ("9" * 5000, "(5000 characters)")]  # fmt: skip
"""What `str.isdigit` calls digits, and `int` refuses or shouldn't take; and how much of it is shown."""


@pytest.mark.parametrize(("digits", "seen"), DIGITS)
@inline
async def test_digits_that_are_no_number_are_named_with_what_was_expected(
    calm: Any, connect: Any, digits: str, seen: str
) -> None:
    client = connect()
    answer = await client("GET", f"/messages?limit={quote(digits)}")
    assert answer.status == 422
    assert answer.json["errors"][0]["path"] == "limit"
    assert "expected a whole number, 1 to " in answer.json["detail"]
    assert seen in answer.json["detail"]


@pytest.mark.parametrize("digits", ["\xb2", "9" * 5000])
@inline
async def test_an_entity_tag_that_is_no_revision_matches_nothing(
    calm: Any, connect: Any, digits: str
) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    answer = await client(
        "PATCH", "/datasources/field", {"enabled": False}, headers={"If-Match": f'"{digits}"'}
    )
    assert answer.status == 412
    assert "If-Match: expected a revision" in answer.json["detail"]


@pytest.mark.parametrize("digits", ["²", "１", "9" * 5000])
@inline
async def test_a_version_that_is_no_number_is_not_found(calm: Any, connect: Any, digits: str) -> None:
    client = connect()
    await client.ok("POST", "/converters", {"name": "c", "script": "function f() {}"})
    answer = await client("POST", f"/converters/c/versions/{quote(digits)}/activate")
    assert answer.status == 404
    assert "has versions 1 to 1" in answer.json["detail"]


WEB = {"name": "web", "type": "http", "routingKey": "key"}
OUT = {"name": "out", "type": "http", "configuration": {"url": "http://127.0.0.1:9/"}, "enabled": False}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/datasources", {**WEB, "allow": ["10.0.0.0/8"] * 1001}, "allow"),
        ("/datasources", {**WEB, "metadata": {"a": [{}, {"b": [1] * 10_001}]}}, "metadata.a[1].b"),
        ("/integrations", {**OUT, "route": {"deviceNames": ["a*"] * 1001}}, "route.deviceNames"),
    ],
)  # fmt: skip
@inline
async def test_no_list_of_a_setting_holds_up_everybody(
    connect: Any, path: str, body: Any, place: str
) -> None:
    answer = await connect()("POST", path, body)
    assert answer.status == 422, answer.text
    assert [each["path"] for each in answer.json["errors"]] == [place]
