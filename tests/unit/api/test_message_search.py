"""Searching for messages over the API: why didn't yesterday's message arrive?"""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.model import Delivery, Event, State


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def ids(client: Any, query: str) -> list[str]:
    return [each["id"] for each in (await client.ok("GET", f"/messages?{query}"))["items"]]


@inline
async def test_messages_are_found_by_time_text_and_what_became_of_them(bench: Any, connect: Any) -> None:
    client = connect()
    bench.add("here", b"1")
    bench.add("here", b"2", State.FAILED)
    bench.add("here", b"3", State.FILTERED)
    for query, expected in [
        ("since=2000", ["e1-3", "e1-2"]),
        ("until=2000", ["e1-1"]),
        ("since=2000&until=3000", ["e1-2"]),
        ("text=http", ["e1-3", "e1-2", "e1-1"]),
        ("text=mqtt", []),
        ("outcome=failed", ["e1-2"]),
        ("outcome=filtered&state=filtered", ["e1-3"]),
        ("outcome=received", []),
    ]:
        assert await ids(client, query) == expected, query


@inline
async def test_filters_that_contradict_each_other_are_refused(connect: Any) -> None:
    client = connect()
    for query, path in [
        ("since=2&until=2", "until"),
        ("outcome=failed&state=converted", "outcome"),
        ("outcome=lost", "outcome"),
        ("since=yesterday", "since"),
        ("outcome=refused&before=e1-1", "before"),
        ("view=short", "view"),
    ]:
        answer = await client("GET", f"/messages?{query}")
        assert (answer.status, answer.json["errors"][0]["path"]) == (422, path), query


@inline
async def test_messages_are_found_by_where_their_delivery_is(bench: Any, connect: Any) -> None:
    client = connect()
    for name in ("out", "other"):
        body = {"name": name, "type": "http", "configuration": {"url": "http://x"}}
        await client.ok("POST", "/integrations", body)
    for number in range(1, 5):
        bench.add("here", b"%d" % number)
    bench.add("here", b"5", State.FILTERED)
    dead = Delivery("out", "dead", 10, "400 Bad Request")
    bench.delivery.made[2] = [dead, Delivery("other", "delivered", 1, None)]
    bench.delivery.made[3] = [Delivery("other", "expired", 0, "expired")]
    for query, expected in [
        ("outcome=dead", ["e1-2"]),
        ("outcome=dead&integration=out", ["e1-2"]),
        ("outcome=dead&integration=other", []),
        ("outcome=delivered", ["e1-4", "e1-2", "e1-1"]),
        ("outcome=delivered&integration=other", ["e1-2"]),
        ("integration=other", ["e1-3", "e1-2"]),
        ("integration=nobody", []),
        ("outcome=expired&since=4000", []),
    ]:
        assert await ids(client, query) == expected, query
    (item,) = (await client.ok("GET", "/messages?outcome=dead"))["items"]
    assert [each["state"] for each in item["deliveries"]] == ["dead", "delivered"]


@inline
async def test_a_search_that_has_not_looked_at_all_says_how_far_it_came(bench: Any, connect: Any) -> None:
    client = connect()
    for number in range(1, 8):
        bench.add("here" if number > 1 else "rare", b"x")
    bench.journal.looks = 3
    pages, before = [], ""
    while True:
        page = await client.ok("GET", f"/messages?datasource=rare{before}")
        pages.append(([each["id"] for each in page["items"]], page["lookedBackTo"]))
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    assert pages == [([], 5000), ([], 2000), (["e1-1"], 1000)]


@inline
async def test_many_deliveries_are_looked_up_over_several_requests(bench: Any, connect: Any) -> None:
    client = connect()
    await client.ok(
        "POST", "/integrations", {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    )
    for _ in range(601):
        bench.add("here", b"x")
    bench.delivery.made[1] = [Delivery("out", "unknown", 0, None)]
    first = await client.ok("GET", "/messages?outcome=unknown")
    assert (first["items"], first["lookedBackTo"]) == ([], 102_000)
    last = await client.ok("GET", f"/messages?outcome=unknown&before={first['next']}")
    assert [each["id"] for each in last["items"]] == ["e1-1"]


@inline
async def test_rows_are_short(bench: Any, connect: Any) -> None:
    bench.add("here", bytes(range(40)), device="kitchen")
    bench.add("here", b"x", State.FAILED)
    failed, row = (await connect().ok("GET", "/messages?view=row"))["items"]
    assert row == {
        "id": "e1-1",
        "receivedAt": 1000,
        "datasource": "here",
        "state": "converted",
        "size": 40,
        "head": bytes(range(16)).hex(),
        "devices": ["kitchen"],
        "error": None,
    }
    assert failed["error"]["line"] == 3


def refuse(bench: Any, at_ms: int, name: str = "field", peer: str = "192.0.2.7", **more: Any) -> None:
    detail = {"peer": peer, "reason": "credentials"}
    text = f"{peer}: the password is wrong"
    bench.events.emit(
        Event(at_ms, "refused", "datasource", name, text, severity="warning", detail=detail, **more)
    )


@inline
async def test_who_was_refused_is_found_like_a_message(bench: Any, connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "field", "type": "coap"})
    refuse(bench, 1000)
    refuse(bench, 2000, "other", "192.0.2.8")
    refuse(bench, 3000, tenant="north")
    bench.events.emit(Event(4000, "started", "datasource", "field", "it listens"))
    page = await client.ok("GET", "/messages?outcome=refused&datasource=field")
    (item,) = page["items"]
    assert (item["state"], item["datasource"], item["receivedAt"]) == ("refused", "field", 1000)
    assert item["metadata"] == {"peer": "192.0.2.7"}
    assert item["error"] == {
        "message": "192.0.2.7: the password is wrong", "stage": "intake", "name": "credentials"
    }  # fmt: skip
    assert page["next"] is None
    for query, count in [("", 2), ("&since=1500", 1), ("&until=1500", 1), ("&text=192.0.2.8", 1),
                         ("&device=kitchen", 0), ("&tenant=north", 1), ("&view=row", 2)]:  # fmt: skip
        found = await client.ok("GET", f"/messages?outcome=refused{query}")
        assert len(found["items"]) == count, query
    first = await client.ok("GET", "/messages?outcome=refused&limit=1")
    second = await client.ok("GET", f"/messages?outcome=refused&limit=1&before={first['next']}")
    assert [page["items"][0]["receivedAt"] for page in (first, second)] == [2000, 1000]


@inline
async def test_messages_of_a_time_are_converted_again(bench: Any, connect: Any) -> None:
    client = connect()
    for _ in range(4):
        bench.add("here", b"x", State.FAILED)
    result = await client.ok("POST", "/messages/reprocess", {"since": 2000, "until": 4000, "text": "http"})
    assert result["count"] == 2
    assert [message.state for message in bench.messages] == [
        State.FAILED, State.CONVERTED, State.CONVERTED, State.FAILED
    ]  # fmt: skip
    answer = await client("POST", "/messages/reprocess", {"since": 3, "until": 3})
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "until")
