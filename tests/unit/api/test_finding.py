"""`GET /search`: anything by its name or id."""

from __future__ import annotations

from typing import Any

import pytest_twisted


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def found(client: Any, text: str, more: str = "") -> list[tuple[str, str]]:
    items = (await client.ok("GET", f"/search?q={text}{more}"))["items"]
    return [(each["kind"], each["name"]) for each in items]


@inline
async def test_names_are_found_by_a_part_and_those_that_begin_with_it_come_first(connect: Any) -> None:
    client = connect()
    for name in ("a-web", "Web-2", "other"):
        await client.ok("PUT", f"/datasources/{name}", {"type": "coap"})
    assert await found(client, "web") == [("datasource", "Web-2"), ("datasource", "a-web")]
    assert await found(client, "web", "&limit=1") == [("datasource", "Web-2")]
    assert await found(client, "dev-1") == [("device", "dev-1")]
    assert await found(client, "nothing") == []
    assert await found(connect("viewer", "acme"), "web") == []


@inline
async def test_an_id_finds_its_thing(bench: Any, connect: Any) -> None:
    client = connect()
    made = await client.ok("PUT", "/datasources/web", {"type": "coap"})
    bench.add("web", b"x")
    id = bench.journal.epochs.message_id(1)
    assert await found(client, made["id"]) == [("datasource", "web")]
    assert await found(client, id) == [("message", id)]
    assert await found(connect("viewer", "acme"), id) == []


@inline
async def test_nothing_to_look_for_is_refused(connect: Any) -> None:
    assert (await connect("viewer")("GET", "/search")).status == 422
