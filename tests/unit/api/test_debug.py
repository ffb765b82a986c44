"""Debugging over the API."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.ports.debug import DebugEntry


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_thing_is_debugged_for_a_while(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "field", "type": "coap"}))["id"]
    answer = await client("POST", "/debug", {"name": "field"})
    assert answer.status == 201
    switch = answer.json
    now_ms = int(bench.clock.seconds() * 1000)
    assert (switch["kind"], switch["target"], switch["until"] - now_ms, switch["left"]) == (
        "datasource",
        id,
        900_000,
        None,
    )
    assert (await client.ok("GET", "/debug"))["items"] == [switch]
    again = await client.ok("POST", "/debug", {"name": id, "seconds": 60, "count": 5})
    assert (await client.ok("GET", "/debug"))["items"] == [again]
    assert await client.ok("DELETE", f"/debug/{again['id']}") == again
    assert (await client("DELETE", f"/debug/{again['id']}")).status == 404
    assert [event.type for event in bench.events.emitted if event.name == "field"][-2:] == [
        "debug.started",
        "debug.ended",
    ]


@inline
async def test_a_name_that_several_have_needs_its_kind(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/datasources", {"name": "dev-1", "type": "coap"})
    refused = await client("POST", "/debug", {"name": "dev-1"})
    assert refused.status == 422
    assert "one of datasource, device" in refused.text
    assert (await client.ok("POST", "/debug", {"name": "dev-1", "kind": "device"}))["kind"] == "device"
    for body in ({"name": "nobody"}, {"name": "dev-1", "kind": "integration"}):
        assert (await client("POST", "/debug", body)).status == 404
    for body in (
        {"name": "dev-1", "seconds": 0},
        {"name": "dev-1", "kind": "world"},
        {"name": "dev-1", "count": 0},
    ):
        assert (await client("POST", "/debug", body)).status == 422
    assert (await connect("viewer")("POST", "/debug", {"name": "dev-1"})).status == 403


@inline
async def test_what_was_kept_of_a_message_is_read_by_its_tenant(bench: Any, connect: Any) -> None:
    client, north = connect(), connect(tenant="north")
    bench.add("ds1", b"{}")
    id = bench.journal.epochs.message_id(1)
    bench.debug_store.add("default", id, DebugEntry(5, "delivery", {"request": "GET /", "answer": "200"}))
    kept = await client.ok("GET", f"/messages/{id}/debug")
    assert kept["items"] == [{"at": 5, "stage": "delivery", "said": {"request": "GET /", "answer": "200"}}]
    assert (await north("GET", f"/messages/{id}/debug")).status == 404
    await client.ok("POST", "/debug", {"name": "dev-1"})
    assert (await north.ok("GET", "/debug"))["items"] == []
