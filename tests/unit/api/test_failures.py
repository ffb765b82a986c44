"""Failures and series over the API."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.model import DeliveryState, Event, Parked, State


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


async def furnish(bench: Any, client: Any) -> tuple[str, str]:
    """A converter whose messages fail, an integration with dead letters, and a refusal."""
    converter = (await client.ok("POST", "/converters", {"name": "thermo", "script": "function f() {}"}))[
        "id"
    ]
    body = {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    integration = (await client.ok("POST", "/integrations", body))["id"]
    for _ in range(2):
        bench.add("here", b"x", State.FAILED, converter=f"{converter}/3")
    bench.add("here", b"x")
    (record,) = bench.messages[0].records
    dead = Parked(integration, record, DeliveryState.DEAD, 10, 0, "400: value 7")
    bench.journal.storage.parked[integration, record.seq] = dead
    for more in ({}, {"more": 4}):
        detail = {"peer": "192.0.2.7", "reason": "credentials", **more}
        bench.events.emit(
            Event(9000, "refused", "datasource", "field", "192.0.2.7: a wrong password", detail=detail)
        )
    return converter, integration


@inline
async def test_what_fails_is_shown_in_groups(bench: Any, connect: Any) -> None:
    client = connect()
    await furnish(bench, client)
    page = await client.ok("GET", "/failures")
    refusal, delivery, conversion = page["items"]
    shown = {key: value for key, value in conversion.items() if key != "id"}
    assert shown == {
        "kind": "conversion", "where": "thermo", "version": 3, "pattern": "boom", "datasources": ["here"], "count": 2,
        "error": {"message": "boom", "line": 3, "column": 7}, "first": 1000, "last": 2000, "sample": "e1-2",
    }  # fmt: skip
    assert (delivery["kind"], delivery["where"], delivery["version"]) == ("delivery", "out", None)
    assert (delivery["pattern"], delivery["sample"], delivery["count"]) == ("N: value N", "e1-3", 1)
    assert (refusal["kind"], refusal["where"], refusal["count"]) == ("refusal", "field", 6)
    assert (refusal["pattern"], refusal["sample"]) == ("N: a wrong password", "event-4")
    assert (page["next"], page["lookedBackTo"]) == (None, 1000)


@inline
async def test_failures_are_filtered(bench: Any, connect: Any) -> None:
    client = connect()
    await furnish(bench, client)
    for query, kinds in [
        ("kind=delivery", ["delivery"]),
        ("datasource=here", ["delivery", "conversion"]),
        ("datasource=field", ["refusal"]),
        ("device=dev-1", ["delivery"]),
        ("since=3000", ["refusal", "delivery"]),
        ("until=3000", ["conversion"]),
        ("tenant=north", []),
    ]:
        found = await client.ok("GET", f"/failures?{query}")
        assert [each["kind"] for each in found["items"]] == kinds, query
    answer = await client("GET", "/failures?since=5&until=4")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "until")


@inline
async def test_dead_letters_of_one_integration_alone(bench: Any, connect: Any) -> None:
    client = connect()
    await furnish(bench, client)
    found = (await client.ok("GET", "/failures?integration=out"))["items"]
    assert [(each["kind"], each["where"]) for each in found] == [("delivery", "out")]
    assert (await client.ok("GET", "/failures?integration=other"))["items"] == []


@inline
async def test_older_failures_are_on_further_pages_alone(bench: Any, connect: Any) -> None:
    client = connect()
    await furnish(bench, client)
    bench.journal.looks = 2
    first = await client.ok("GET", "/failures")
    assert [each["kind"] for each in first["items"]] == ["refusal", "delivery", "conversion"]
    second = await client.ok("GET", f"/failures?before={first['next']}")
    assert [(each["kind"], each["id"]) for each in second["items"]] == [
        ("conversion", first["items"][2]["id"])
    ]
    assert second["next"] is None


@inline
async def test_the_messages_of_a_group_are_listed_and_converted_again(bench: Any, connect: Any) -> None:
    client = connect()
    await furnish(bench, client)
    bench.add("here", b"x", State.FAILED, converter="other/1")
    *_, conversion = (await client.ok("GET", "/failures"))["items"]
    found = (await client.ok("GET", f"/messages?group={conversion['id']}"))["items"]
    assert [each["id"] for each in found] == ["e1-2", "e1-1"]
    answer = await client("GET", "/messages?group=x&state=converted")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, "group")
    assert (await client("POST", "/messages/reprocess", {"group": "x", "state": "filtered"})).status == 422
    assert (await client.ok("POST", "/messages/reprocess", {"group": conversion["id"]}))["count"] == 2


@inline
async def test_a_device_s_readings_are_shown_one_by_one_or_in_buckets(bench: Any, connect: Any) -> None:
    client = connect()
    for number in range(1, 4):
        bench.add("here", b"%d" % number, device="kitchen")
    page = await client.ok("GET", "/devices/kitchen/telemetry")
    assert page["readings"] == {"n": [{"ts": at * 1000, "value": at} for at in (1, 2, 3)]}
    assert (page["device"], page["every"], page["next"], page["lookedBackTo"]) == ("kitchen", 0, None, 1000)
    page = await client.ok("GET", "/devices/kitchen/telemetry?every=2&keys=n,m&until=3500")
    assert page["buckets"] == {
        "n": [
            {"ts": 0, "count": 1, "min": 1, "max": 1, "mean": 1},
            {"ts": 2000, "count": 2, "min": 2, "max": 3, "mean": 2.5},
        ]
    }
    assert (await client.ok("GET", "/devices/kitchen/telemetry?keys=m"))["readings"] == {}
    assert (await client.ok("GET", "/devices/kitchen/telemetry?since=3000"))["readings"]["n"][0]["ts"] == 3000
    assert (await client.ok("GET", "/devices/kitchen/telemetry?tenant=north"))["readings"] == {}
    first = await client.ok("GET", "/devices/kitchen/telemetry?limit=2")
    second = await client.ok("GET", f"/devices/kitchen/telemetry?before={first['next']}")
    assert [each["ts"] for each in second["readings"]["n"]] == [1000]
