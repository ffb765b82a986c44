"""Usage over the API."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from iotgw.api.auth import ALL_TENANTS
from iotgw.core.ports.usage import DeviceTally
from iotgw.core.times import DateMs
from iotgw.testing.contracts.usage import BEGUN, DAY_MS, HOUR_MS, tally


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@pytest.fixture
def used(bench: Any) -> Any:
    """Two hours of a datasource, one of another tenant's, and a device."""
    usage = bench.parts.usage
    usage.add(
        DateMs(BEGUN), [tally("a", messages=1, bytes=10, errors=1)], [DeviceTally("default", "dev-1", 1, 10)]
    )
    usage.add(DateMs(BEGUN + HOUR_MS), [tally("a", messages=2), tally("c", "converter", cpu=0.25)], [])
    usage.add(DateMs(BEGUN), [tally("a", tenant="north", messages=5)], [])
    return usage


@inline
async def test_usage_is_asked_for_by_hour_by_day_and_in_all(used: Any, connect: Any) -> None:
    client = connect()
    page = await client.ok("GET", "/usage?every=hour")
    assert page["next"] is None
    first = {
        "at": BEGUN, "tenant": "default", "id": "a", "name": "A", "messages": 1, "bytes": 10, "errors": 1,
        "refused": 0, "deliveries": 0, "cpu": 0.0,
    }  # fmt: skip
    assert page["items"] == [first, {**first, "at": BEGUN + HOUR_MS, "messages": 2, "bytes": 0, "errors": 0}]
    [day] = (await client.ok("GET", f"/usage?every=day&since={BEGUN}&until={BEGUN + DAY_MS}"))["items"]
    assert (day["at"], day["messages"]) == (BEGUN, 3)
    [both] = (await client.ok("GET", "/usage"))["items"]
    assert (both["at"], both["messages"]) == (0, 3)
    [script] = (await client.ok("GET", "/usage?per=converter"))["items"]
    assert (script["id"], script["cpu"]) == ("c", 0.25)
    [device] = (await client.ok("GET", "/usage?per=device&every=day&name=dev-1"))["items"]
    assert (device["name"], device["bytes"]) == ("dev-1", 10)


@inline
async def test_pages_follow_each_other(used: Any, connect: Any) -> None:
    client = connect()
    page = await client.ok("GET", "/usage?every=hour&limit=1")
    assert (len(page["items"]), page["next"]) == (1, 1)
    rest = await client.ok("GET", f"/usage?every=hour&limit=1&after={page['next']}")
    assert (rest["items"][0]["at"], rest["next"]) == (BEGUN + HOUR_MS, None)


@inline
async def test_a_tenant_sees_its_own_and_an_admin_of_all_the_totals_of_all(used: Any, connect: Any) -> None:
    def seen(page: Any) -> list[tuple[str, int]]:
        return [(each["tenant"], each["messages"]) for each in page["items"]]

    north, everybody = connect(tenant="north"), connect(tenant=ALL_TENANTS)
    assert seen(await north.ok("GET", "/usage")) == [("north", 5)]
    assert seen(await north.ok("GET", "/usage?per=tenant")) == [("north", 5)]
    assert (await north("GET", "/usage?per=tenant&tenant=default")).status == 403
    assert seen(await everybody.ok("GET", "/usage?per=tenant")) == [("default", 3), ("north", 5)]
    assert seen(await everybody.ok("GET", "/usage?per=tenant&tenant=north")) == [("north", 5)]
    assert seen(await everybody.ok("GET", "/usage?tenant=north")) == [("north", 5)]


@inline
async def test_usage_is_written_for_spreadsheets(used: Any, connect: Any) -> None:
    used.add(DateMs(BEGUN), [tally("x", name="=1+1", messages=1)], [])
    answer = await connect()("GET", "/usage?every=hour&format=csv&limit=2")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["x-next"] == "2"
    lines = answer.text.split("\r\n")
    assert lines[0] == "at,tenant,id,name,messages,bytes,errors,refused,deliveries,cpu"
    assert lines[1] == "2024-10-04T00:00:00Z,default,x,'=1+1,1,0,0,0,0,0.0"


@inline
async def test_what_is_not_kept_is_refused(connect: Any) -> None:
    client = connect()
    for query in (
        "per=device&every=hour",
        "since=5&until=5",
        "per=world",
        "every=week",
        "limit=0",
        "format=xml",
    ):
        assert (await client("GET", f"/usage?{query}")).status == 422, query
    assert (await connect("downlink")("GET", "/usage")).status == 403
