"""Long actions over the API."""

from __future__ import annotations

from typing import Any

import pytest_twisted


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_messages_are_converted_again_as_a_job(bench: Any, connect: Any) -> None:
    client = connect()
    id = (await client.ok("POST", "/datasources", {"name": "field", "type": "coap"}))["id"]
    answer = await client("POST", "/jobs", {"reprocess": {"datasource": "field", "since": 5}})
    assert answer.status == 201
    job = answer.json
    assert (job["kind"], job["state"], job["what"]) == (
        "reprocess", "running", {"state": "failed", "datasource": id, "since": 5},
    )  # fmt: skip
    assert (await client.ok("GET", "/jobs"))["items"] == [job]
    assert await client.ok("GET", f"/jobs/{job['id']}") == job
    assert (await client.ok("DELETE", f"/jobs/{job['id']}"))["state"] == "cancelled"


@inline
async def test_dead_letters_are_sent_again_as_a_job(bench: Any, connect: Any) -> None:
    client = connect()
    body = {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    id = (await client.ok("POST", "/integrations", body))["id"]
    wanted = {"integration": "out", "error": "400", "receivedBefore": 9, "group": "0123456789ab"}
    job = await client.ok("POST", "/jobs", {"retry": wanted})
    assert (job["kind"], job["what"]) == ("retry", {**wanted, "integration": id})
    assert (await client("POST", "/jobs", {"retry": {"integration": "nobody"}})).status == 404


@inline
async def test_a_job_is_one_thing(connect: Any) -> None:
    client = connect()
    for body in (
        {},
        {"reprocess": {}, "retry": {"integration": "out"}},
        {"reprocess": {"since": 5, "until": 5}},
        {"reprocess": {"group": "x", "state": "filtered"}},
        {"reprocess": {"limit": 5}},
    ):
        assert (await client("POST", "/jobs", body)).status == 422, body
    assert (await connect("viewer")("POST", "/jobs", {"reprocess": {}})).status == 403


@inline
async def test_jobs_of_another_tenant_are_none(connect: Any) -> None:
    job = await connect().ok("POST", "/jobs", {"reprocess": {}})
    north = connect(tenant="north")
    assert (await north.ok("GET", "/jobs"))["items"] == []
    for method in ("GET", "DELETE"):
        assert (await north(method, f"/jobs/{job['id']}")).status == 404
