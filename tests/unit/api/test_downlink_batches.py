"""One downlink for many devices over the API."""

from __future__ import annotations

from typing import Any

import pytest_twisted

from iotgw.core.specs import DownlinkSpec

ON = {"data": "on", "contentType": "TEXT"}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_a_group_gets_a_downlink_as_a_job(bench: Any, connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/devices", {"name": "boiler", "groups": ["cellar"]})
    body = {"downlink": ON, "group": "cellar", "rate": 5, "at": 99_000_000_000_000}
    answer = await client("POST", "/downlinks", body)
    assert answer.status == 201
    job = answer.json
    assert (job["kind"], job["state"], job["startsAt"]) == ("downlinks", "waiting", 99_000_000_000_000)
    assert (job["what"]["group"], job["what"]["rate"]) == ("cellar", 5)
    assert job["what"]["downlink"]["data"] == "on"


@inline
async def test_it_is_said_which_devices_are_meant(bench: Any, connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/devices", {"name": "known"})
    job = await client.ok("POST", "/downlinks", {"downlink": ON, "devices": ["known"]})
    assert job["what"]["devices"] == ["known"]
    refused = await client("POST", "/downlinks", {"downlink": ON, "devices": ["known", "knwon"]})
    assert refused.status == 422
    assert "nobody knows 'knwon'" in refused.text
    meant = {"downlink": ON, "devices": ["knwon"], "allowUnknown": True}
    assert (await client("POST", "/downlinks", meant)).status == 201
    for body in (
        {"downlink": ON},
        {"downlink": ON, "all": True, "group": "x"},
        {"downlink": ON, "devices": [], "all": False},
        {"downlink": ON, "all": True, "rate": 0},
        {"downlink": {"data": "no base64!"}, "all": True},
        {"downlink": ON, "trouble": "lazy"},
        {"downlink": ON, "datasource": "nobody"},
    ):
        assert (await client("POST", "/downlinks", body)).status in (404, 422), body


@inline
async def test_a_group_or_type_that_nobody_has_may_be_mistyped(connect: Any) -> None:
    client = connect()
    await client.ok("POST", "/device-groups", {"name": "empty-yet"})
    await client.ok("POST", "/devices", {"name": "boiler", "type": "heater"})
    for known in ({"group": "empty-yet"}, {"type": "heater"}, {"group": "elsewhere", "allowUnknown": True}):
        assert (await client("POST", "/downlinks", {"downlink": ON, **known})).status == 201, known
    for mistyped in ({"group": "empty-jet"}, {"type": "heatr"}):
        refused = await client("POST", "/downlinks", {"downlink": ON, **mistyped})
        assert refused.status == 422
        assert f"no device has the {next(iter(mistyped))} {next(iter(mistyped.values()))!r}" in refused.text


@inline
async def test_who_may_send_downlinks_may_send_many(connect: Any) -> None:
    body = {"downlink": ON, "all": True}
    assert (await connect("downlink")("POST", "/downlinks", body)).status == 201
    assert (await connect("viewer")("POST", "/downlinks", body)).status == 403


@inline
async def test_what_became_of_the_items_is_asked_by_state(bench: Any, connect: Any) -> None:
    client = connect()
    job = await client.ok("POST", "/downlinks", {"downlink": ON, "all": True})
    path = f"/jobs/{job['id']}/downlinks"
    assert await client.ok("GET", path) == {"states": {}, "items": [], "next": None}
    spec = DownlinkSpec(data="on", content_type="TEXT")
    for name in ("a", "b", "c"):
        item = await bench.parts.downlinks.push("default", name, spec, job["id"])
    bench.parts.downlinks.outcome(item.id, "delivered")
    page = await client.ok("GET", f"{path}?limit=2")
    assert page["states"] == {"DELIVERED": 1, "QUEUED": 2}
    assert [(item["device"], item["job"]) for item in page["items"]] == [("a", job["id"]), ("b", job["id"])]
    rest = await client.ok("GET", f"{path}?limit=2&after={page['next']}")
    assert ([item["device"] for item in rest["items"]], rest["next"]) == (["c"], None)
    waiting = await client.ok("GET", f"{path}?state=QUEUED")
    assert [item["device"] for item in waiting["items"]] == ["a", "b"]
    assert await client.ok("DELETE", path) == {"cancelled": 2}
    assert (await client.ok("GET", path))["states"] == {"DELETED": 2, "DELIVERED": 1}
    assert (await client.ok("GET", f"/jobs/{job['id']}"))["state"] == "cancelled"


@inline
async def test_the_downlinks_of_another_tenant_s_job_or_of_none_are_not_there(connect: Any) -> None:
    client, north = connect(), connect(tenant="north")
    job = await client.ok("POST", "/downlinks", {"downlink": ON, "all": True})
    other = await client.ok("POST", "/jobs", {"reprocess": {}})
    for who, id in ((north, job["id"]), (client, other["id"]), (client, "nothing")):
        for method in ("GET", "DELETE"):
            assert (await who(method, f"/jobs/{id}/downlinks")).status == 404


@inline
async def test_downlinks_of_all_devices_come_newest_first_and_by_state(connect: Any) -> None:
    client = connect()
    for device in ("dev-1", "gate", "dev-1"):
        await client.ok("POST", f"/devices/{device}/downlinks?allowUnknown=true", ON)
    await client.ok("DELETE", "/devices/gate/downlinks")

    async def found(query: str) -> tuple[list[str], str | None]:
        page = await client.ok("GET", f"/downlinks{query}")
        return [item["id"] for item in page["items"]], page["next"]

    assert await found("") == (["dl3", "dl2", "dl1"], None)
    assert await found("?state=open") == (["dl3", "dl1"], None)
    assert await found("?state=over") == await found("?state=DELETED") == (["dl2"], None)
    assert await found("?device=dev-1&limit=1") == (["dl3"], "3")
    assert await found("?device=dev-1&limit=1&before=3") == (["dl1"], "1")
    assert (await connect("viewer")("GET", "/downlinks")).status == 200
    for wrong in ("?state=lost", "?before=x", "?before=-1", "?before=%C2%B2"):
        assert (await client("GET", f"/downlinks{wrong}")).status == 422, wrong
