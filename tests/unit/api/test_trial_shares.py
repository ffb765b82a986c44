"""What people try out runs apart from messages and saves, and each tenant has a share."""

from __future__ import annotations

from typing import Any

import pytest_twisted
from twisted.internet.defer import Deferred, gatherResults

from iotgw.core.model import State

SCRIPT = {"script": "function Decoder() {}", "text": "x"}


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_nothing_that_is_tried_goes_to_the_workers_of_messages(bench: Any, connect: Any) -> None:
    client = connect("admin", "acme")
    await client.ok(
        "POST", "/converters", {"name": "mine", "script": "function x() {}", "tests": [{"output": 1}]}
    )
    id = (await client.ok("GET", "/converters/mine"))["id"]
    bench.add("id9", b"dev-1", converter=f"{id}/1", tenant="acme")
    await client.ok("POST", "/converters/test", SCRIPT)
    await client.ok("POST", "/converters/json/test", {"text": "x"})
    await client.ok("POST", "/converters/mine/test-suite")
    replayed = await client.ok("POST", "/converters/mine/replay", {"script": "function mark() {}"})
    assert replayed["count"] == 1
    assert (bench.converters.seen, bench.converters.tried) == ([], [])
    assert len(bench.trials.seen) == 2
    assert [version.tenant for version in bench.trials.tried] == ["acme"] * 3, "a bundled one counts too"


@inline
async def test_a_tenant_that_has_its_share_under_way_is_told_so(bench: Any, connect: Any) -> None:
    acme, north = connect("admin", "acme"), connect("admin", "north")
    bench.trials.busy = {"acme"}
    for path in ("/converters/test", "/converters/json/test"):
        answer = await acme("POST", path, SCRIPT if path == "/converters/test" else {"text": "x"})
        assert (answer.status, answer.headers["retry-after"]) == (429, "1")
        assert answer.json["title"] == "Too many requests"
        assert "at a time" in answer.json["detail"]
    assert (await north("POST", "/converters/test", SCRIPT)).status == 200
    assert (await acme("POST", "/converters", {"name": "mine", "script": "function x() {}"})).status == 201
    bench.converters.busy = {"acme"}
    answer = await acme("POST", "/converters", {"name": "other", "script": "function x() {}"})
    assert answer.status == 429


@inline
async def test_replays_of_a_tenant_are_bounded(bench: Any, connect: Any) -> None:
    acme, north = connect("admin", "acme"), connect("admin", "north")
    for client in (acme, north):
        await client.ok("POST", "/converters", {"name": "mine", "script": "function x() {}"})
        id = (await client.ok("GET", "/converters/mine"))["id"]
        tenant = client.token and (await client.ok("GET", "/converters/mine"))["tenant"]
        bench.add("id9", b"dev-1", State.CONVERTED, converter=f"{id}/1", tenant=tenant)
    bench.trials.held = []
    draft = {"script": "function mark() {}"}

    def replay(client: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(client("POST", "/converters/mine/replay", draft))

    first = [replay(acme), replay(acme)]
    while len(bench.trials.held) < 2:
        await acme.ok("GET", "/converters")
    answer = await acme("POST", "/converters/mine/replay", draft)
    assert (answer.status, "at most 2 replays of a tenant" in answer.json["detail"]) == (429, True)
    first.append(replay(north))
    while len(bench.trials.held) < 3:
        await acme.ok("GET", "/converters")
    held, bench.trials.held = bench.trials.held, None
    for jobs, done in held:
        done([bench.trials.makes(job) for job in jobs])
    assert [answer.status for answer in await gatherResults(first)] == [200] * 3
    assert (await replay(acme)).status == 200
