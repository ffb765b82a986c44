"""Tenants with what they may use, have and used."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.api.auth import ALL_TENANTS
from iotgw.core.times import DateMs
from iotgw.testing.contracts.usage import BEGUN, tally

COAP = {"name": "field", "type": "coap"}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_an_admin_of_all_sees_every_tenant_with_what_it_has_and_used(bench: Any, connect: Any) -> None:
    everybody, north = connect(tenant=ALL_TENANTS), connect(tenant="north")
    await north.ok("POST", "/datasources", COAP)
    await north.ok("POST", "/devices", {"name": "meter"})
    bench.parts.usage.add(DateMs(BEGUN), [tally("a", tenant="north", messages=5, bytes=50)], [])
    await everybody.ok("PUT", "/tenants/south", {"limit": "100:1,2000:60"})
    page = await everybody.ok("GET", f"/tenants?since={BEGUN}")
    assert [each["name"] for each in page["items"]] == ["default", "north", "south"]
    north_view = page["items"][1]
    assert north_view["has"] == {"datasources": 1, "integrations": 0, "converters": 0, "devices": 1}
    assert (north_view["usage"]["messages"], north_view["usage"]["bytes"]) == (5, 50)
    assert page["items"][2]["limit"] == "100:1,2000:60"
    assert (await north.ok("GET", f"/tenants?since={BEGUN}"))["items"] == [north_view]
    assert await north.ok("GET", f"/tenants/north?since={BEGUN}") == north_view
    assert (await north("GET", "/tenants/default")).status == 404
    assert (await everybody("GET", "/tenants/nobody")).status == 404


@inline
async def test_what_a_tenant_may_use_is_said_by_an_admin_of_all(bench: Any, connect: Any) -> None:
    everybody = connect(tenant=ALL_TENANTS)
    spec = {"limit": "10:1", "deviceLimit": "1:60", "beyondLimit": "keep", "quota": {"devices": 5}}
    made = await everybody("PUT", "/tenants/north", spec)
    assert (made.status, made.json["quota"]["devices"], made.json["beyondLimit"]) == (201, 5, "keep")
    assert (await everybody("PUT", "/tenants/north", {"limit": "20:1"})).status == 200
    assert (await everybody.ok("GET", "/tenants/north"))["quota"]["devices"] is None
    assert (await everybody("DELETE", "/tenants/north")).status == 204
    assert (await everybody("DELETE", "/tenants/north")).status == 404
    for body in ({"limit": "fast"}, {"quota": {"devices": -1}}, {"name": "other"}, {"beyondLimit": "drop"}):
        assert (await everybody("PUT", "/tenants/north", body)).status == 422, body
    assert (await everybody("PUT", "/tenants/*", {})).status == 422
    for who in (connect(tenant="north"), connect("editor", tenant=ALL_TENANTS)):
        assert (await who("PUT", "/tenants/north", {})).status == 403
        assert (await who("DELETE", "/tenants/north")).status == 403
    changes = [event.type for event in bench.events.emitted if event.source == "tenant"]
    assert changes == ["created", "changed", "deleted"]


@inline
async def test_a_quota_bounds_what_is_made_and_not_what_is_there(bench: Any, connect: Any) -> None:
    everybody, north = connect(tenant=ALL_TENANTS), connect(tenant="north")
    await north.ok("POST", "/datasources", COAP)
    quota = {"datasources": 1, "integrations": 0, "converters": 0, "devices": 2}
    await everybody.ok("PUT", "/tenants/north", {"quota": quota})
    refused = await north("POST", "/datasources", {**COAP, "name": "another"})
    assert refused.status == 409
    assert "'north' has as many datasources as its quota lets it have: 1" in refused.text
    await north.ok("PUT", "/datasources/field", {**COAP, "description": "changed"})
    out = {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    assert (await north("POST", "/integrations", out)).status == 409
    assert (await north("POST", "/converters", {"name": "c", "script": "return null"})).status == 409
    document = {"datasource": [COAP, {**COAP, "name": "third"}]}
    for query in ("", "?dryRun=true"):
        items = (await north.ok("POST", f"/apply{query}", document))["items"]
        assert [item["outcome"] == "refused" for item in items] == [False, True], query
    await north.ok("POST", "/devices", {"name": "one"})
    rows = {"devices": [{"name": "one", "label": "x"}, {"name": "two"}, {"name": "three"}]}
    imported = await north.ok("POST", "/fleet/import", rows)
    assert (imported["created"], imported["changed"]) == (1, 1)
    assert [(row["name"], "quota" in row["error"]) for row in imported["refused"]] == [("three", True)]
    assert (await north("POST", "/devices", {"name": "four"})).status == 409
    await connect().ok("POST", "/datasources", {**COAP, "name": "another"})


@inline
async def test_messages_make_no_devices_beyond_the_quota(bench: Any, connect: Any) -> None:
    await connect(tenant=ALL_TENANTS).ok(
        "PUT", "/tenants/default", {"quota": {"devices": bench.fleet.count("default") + 1}}
    )
    from iotgw import testing

    bench.fleet.settled([], [testing.telemetry(number, f"new-{number}") for number in (1, 2, 3)])
    assert [bench.fleet.is_known("default", f"new-{number}") for number in (1, 2, 3)] == [True, False, False]


@inline
async def test_a_tenant_is_deleted_with_all_by_an_admin_of_all_who_says_its_name_twice(
    bench: Any, connect: Any
) -> None:
    everybody, north = connect(tenant=ALL_TENANTS), connect(tenant="north")
    await north.ok("POST", "/devices", {"name": "meter"})
    assert (await everybody("POST", "/tenants/north/erase", {"confirm": "south"})).status == 422
    assert (await everybody("POST", "/tenants/nobody/erase", {"confirm": "nobody"})).status == 404
    assert (await everybody("POST", "/tenants/default/erase", {"confirm": "default"})).status == 422
    assert (await north("POST", "/tenants/north/erase", {"confirm": "north"})).status == 403
    assert bench.parts.jobs.begun == []
    begun = await everybody("POST", "/tenants/north/erase", {"confirm": "north"})
    assert (begun.status, begun.json["kind"], begun.json["what"]) == (201, "tenant", {"tenant": "north"})
    again = await everybody("POST", "/tenants/north/erase", {"confirm": "north"})
    assert (again.json["id"], len(bench.parts.jobs.begun)) == (begun.json["id"], 1)


@inline
async def test_an_admin_of_all_may_look_at_the_gateway_as_one_tenant_does(bench: Any, connect: Any) -> None:
    everybody, north = connect(tenant=ALL_TENANTS), connect(tenant="north")
    await north.ok("POST", "/datasources", COAP)
    await everybody.ok("POST", "/datasources", {"name": "mine", "type": "coap"})
    assert len((await everybody.ok("GET", "/status"))["datasources"]) == 2
    seen, own = await everybody.ok("GET", "/status?tenant=north"), await north.ok("GET", "/status")
    assert [each["name"] for each in seen["datasources"]] == ["field"]
    assert {**seen, "now": 0} == {**own, "now": 0}
    assert (await north("GET", "/status?tenant=default")).status == 403
