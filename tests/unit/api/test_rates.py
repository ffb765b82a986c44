"""`GET /series`: figures step by step."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_twisted

from iotgw.core.ports.rates import Figures


def inline(function: Any) -> Any:
    return pytest_twisted.ensureDeferred(function)


@inline
async def test_what_a_datasource_received_second_by_second(bench: Any, connect: Any) -> None:
    client = connect("viewer", "default")
    made = await connect()("PUT", "/datasources/web", {"type": "coap"})
    id = made.json["id"]
    for received in (10, 12, 12, 19):
        bench.sampled.rows = [Figures("datasource", "default", id, "web", (received, 0, 0, 0, 0, received))]
        bench.rates.take()
        bench.clock.advance(1)
    page = await client.ok("GET", "/series?kind=datasource&name=web&step=1")
    (item,) = page["items"]
    now = int(bench.clock.seconds())
    at = (now - 4) - page["since"] // 1000
    assert item["points"]["received"][at : at + 4] == [0, 2, 0, 7]
    assert item["points"]["waiting"][at : at + 4] == [10, 12, 12, 19]
    assert item["points"]["received"][at - 1] is None
    assert (await connect("viewer", "acme")("GET", "/series?kind=datasource&name=web")).status == 404


@inline
async def test_the_gateways_figures_are_the_journals(bench: Any, connect: Any) -> None:
    for payload in (b"1", b"2", b"3"):
        bench.add("web", payload)  # received in seconds 1, 2 and 3
    path = "/series?step=10&since=1&until=30000"
    page = await connect("viewer", "default").ok("GET", path)
    assert page["items"] == [
        {"kind": "gateway", "id": "", "name": "", "points": {"received": [3, 0, 0], "outputs": [3, 0, 0]}}
    ]
    assert (page["step"], page["since"]) == (10, 0)
    assert (await connect("viewer", "acme")("GET", path)).status == 403


@inline
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("step=7", "step"),
        ("step=1", "step"),
        ("kind=datasource&step=86400", "step"),
        ("step=10&since=1&until=86400000", "step"),
        ("since=5&until=5", "until"),
        ("name=web", "name"),
    ],
)
async def test_what_makes_no_sense_is_refused(query: str, field: str, connect: Any) -> None:
    answer = await connect("viewer", "default")("GET", f"/series?{query}")
    assert (answer.status, answer.json["errors"][0]["path"]) == (422, field)
