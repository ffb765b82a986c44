"""Where devices send to, simulated ones as well, and which datasource they belong to."""

from __future__ import annotations

import json
import os
from typing import Any

from iotgw.simulate.runner import Summary
from tests.unit.ctl.test_commands import file, inline

__all__ = ["file"]

LISTENING = {
    "state": "listening",
    "address": "somewhere",
    "urls": ["/i/k%2F1", "coap://0.0.0.0:5683/i/k", "coaps://[::]:5684/i/k", "tcp://192.0.2.1:9"],
}


@inline
async def test_the_url_of_a_datasource_is_as_seen_from_here(
    bench: Any, run: Any, file: str, monkeypatch: Any
) -> None:
    await run("apply", file)
    (datasource,) = bench.registry.list("datasource")
    bench.pipeline.statuses[datasource.id] = LISTENING
    gateway = os.environ["IOTGW_URL"]
    assert await run("url", "field") == (0, f"{gateway}/i/k%2F1\n", "")
    for scheme, expected in (
        ("coap", "coap://127.0.0.1:5683/i/k"),
        ("coaps", "coaps://127.0.0.1:5684/i/k"),
        ("tcp", "tcp://192.0.2.1:9"),
    ):
        assert (await run("url", "field", "--scheme", scheme))[1] == f"{expected}\n"
    assert json.loads((await run("url", "field", "--json"))[1])[1] == "coap://127.0.0.1:5683/i/k"
    code, _, err = await run("url", "field", "--scheme", "mqtt")
    assert (code, err) == (1, "iotgwctl: field: it is listening, and has no such URL\n")
    out = (await run("status"))[1]
    assert f"{gateway}/i/k%2F1, coap://127.0.0.1:5683/i/k" in out


@inline
async def test_simulated_devices_find_the_routing_key(
    bench: Any, run: Any, file: str, monkeypatch: Any
) -> None:
    plans = []
    monkeypatch.setattr(
        "iotgw.simulate.command._play", lambda plan: plans.append(plan) or Summary(plan.count)
    )
    await run("apply", file)
    assert (await run("simulate", "coap"))[0] == 2, "it isn't open"
    (datasource,) = bench.registry.list("datasource")
    bench.pipeline.statuses[datasource.id] = LISTENING
    for arguments in (["coap"], ["coap", "--path", "/i/mine"], ["coap", "--port", "7"], ["tekelek"]):
        assert (await run("simulate", *arguments))[0] == 0
    assert [(plan.path, plan.port) for plan in plans] == [
        ("/i/k", 5683),
        ("/i/mine", 0),
        ("/i/k", 7),
        ("", 0),
    ]


@inline
async def test_a_device_is_handed_over(bench: Any, run: Any, file: str) -> None:
    await run("apply", file)
    datasource, *_ = bench.registry.list("datasource")
    code, out, _ = await run("hand-over", "dev-1", datasource.name)
    assert (code, out) == (0, f"dev-1 belongs to {datasource.name} now\n")
    assert bench.parts.owners.owner("default", "dev-1") == datasource.id
