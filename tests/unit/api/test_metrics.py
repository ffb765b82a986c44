"""`/metrics`: what it says of datasources that share a port, of tenants, and of more things than anybody can look at."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from pytest_twisted import ensureDeferred as inline

from iotgw.api import metrics
from iotgw.api.metric_table import METRICS
from iotgw.core.histogram import Histogram
from iotgw.core.ports.meters import Meter


class Rooms:
    """What rooms count."""

    def __init__(self) -> None:
        self.counted: dict[str, Meter] = {}
        self.of: dict[str, Histogram] = {}
        self.files = {("default", "server.pem"): 1_800_000_000, ("acme", "own.pem"): 1_700_000_000}

    def meters(self) -> dict[str, Meter]:
        return self.counted

    def waits(self, tenant: str) -> Histogram | None:
        return self.of.get(tenant)

    def ends(self) -> dict[tuple[str, str], int]:
        return self.files


def told(text: str, name: str) -> dict[str, float]:
    """The samples of a metric, by their labels."""
    found = re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", text, re.M)
    return {labels: float(value) for labels, value in found}


async def scraped(bench: Any, rooms: Rooms, tenant: str | None = None) -> str:
    parts = msgspec.structs.replace(bench.parts, meters=(rooms,), latency=rooms, certificate_ends=rooms)

    class Caller:
        tenants = tenant
        sees_gateway = tenant in (None, "default")

    reply = await metrics.MetricsRoutes(parts).read(Caller())  # type: ignore[arg-type]
    assert isinstance(reply.content, bytes)
    return reply.content.decode()


@inline
async def test_counters_are_what_the_rooms_counted_and_not_the_accounts(bench: Any, connect: Any) -> None:
    client, rooms = connect(), Rooms()
    source = (await client.ok("POST", "/datasources", {"name": "field", "type": "coap"}))["id"]
    out = {"name": "out", "type": "http", "configuration": {"url": "http://x"}}
    target = (await client.ok("POST", "/integrations", out))["id"]
    waits = Histogram((0.1, 1.0))
    waits.add({50: 1, 700: 1, 3000: 1})
    rooms.counted[source] = Meter({"received": 9, "converted": 5, "filtered": 1, "failed": 3, "refused": 2})
    rooms.counted[target] = Meter({"delivered": 3, "dead": 1, "expired": 0, "dropped": 0}, waits)
    rooms.of["default"] = waits
    text = await scraped(bench, rooms)
    field, place = 'tenant="default",datasource="field"', 'tenant="default",integration="out"'
    assert told(text, "iotgw_uplinks_received_total") == {field: 9}
    assert told(text, "iotgw_uplinks_refused_total") == {field: 2}
    assert told(text, "iotgw_conversions_total") == {
        f'{field},outcome="{outcome}"': count
        for outcome, count in (("converted", 5), ("filtered", 1), ("failed", 3))
    }
    assert told(text, "iotgw_deliveries_ended_total")[f'{place},outcome="dead"'] == 1
    assert told(text, "iotgw_delivered_seconds_bucket") == {
        f'{place},le="0.1"': 1, f'{place},le="1.0"': 2, f'{place},le="+Inf"': 3,
    }  # fmt: skip
    assert told(text, "iotgw_durable_seconds_count") == {'tenant="default"': 3}


@inline
async def test_a_port_that_datasources_share_is_counted_once_and_each_has_its_own_requests(
    bench: Any, connect: Any
) -> None:
    client = connect()
    port = {"listener": "coap 0.0.0.0:5683", "requests": 5, "malformed": 2, "peers": 3}
    for name, status in (
        ("one", {"coap": {"requests": 2}, "coapPort": port}),
        ("two", {"coap": {"requests": 3}, "coapPort": port}),
        ("alone", {"coaps": {**port, "listener": "coaps 0.0.0.0:5684", "requests": 9, "uplinkRequests": 7}}),
    ):
        id = (await client.ok("POST", "/datasources", {"name": name, "type": "coap"}))["id"]
        bench.pipeline.statuses[id] |= {
            "datagrams": 4,
            "connections": 1,
            "pending": 6,
            "isOdd": True,
            **status,
        }
    text = await scraped(bench, Rooms())
    requests = {
        labels: value for labels, value in told(text, "iotgw_protocol_total").items() if "requests" in labels
    }
    assert requests == {
        f'tenant="default",datasource="{name}",protocol="{protocol}",figure="requests"': count
        for name, protocol, count in (("one", "coap", 2), ("two", "coap", 3), ("alone", "coaps", 7))
    }
    assert told(text, "iotgw_listener_total")['listener="coap 0.0.0.0:5683",figure="malformed"'] == 2
    assert told(text, "iotgw_listener") == {
        f'listener="{scheme}",figure="peers"': 3 for scheme in ("coap 0.0.0.0:5683", "coaps 0.0.0.0:5684")
    }
    figures = {labels.rpartition("figure=")[2] for labels in told(text, "iotgw_protocol_total")}
    assert figures == {'"requests"', '"datagrams"'}
    assert len(told(text, "iotgw_protocol")) == len(told(text, "iotgw_conversions_pending")) == 3


@inline
async def test_a_tenant_sees_its_own_figures_and_none_of_the_gateway(bench: Any, connect: Any) -> None:
    client, rooms = connect(), Rooms()
    for tenant in ("default", "acme"):
        await client.ok("POST", f"/datasources?tenant={tenant}", {"name": f"of {tenant}", "type": "coap"})
    assert len(told(await scraped(bench, rooms), "iotgw_datasource_up")) == 2
    text = await scraped(bench, rooms, "acme")
    assert told(text, "iotgw_datasource_up") == {'tenant="acme",datasource="of acme",type="coap"': 1}
    assert told(text, "iotgw_certificate_end_seconds") == {'tenant="acme",file="own.pem"': 1_700_000_000}
    assert not any(
        told(text, metric.name) for metric in METRICS.values() if metric.gateway
    )  # fmt: skip


@inline
async def test_what_is_beyond_the_most_that_have_figures_of_their_own_is_added_up(
    bench: Any, connect: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(metrics, "MOST", 2)
    monkeypatch.setattr(metrics, "AT_ONCE", 10)
    client, rooms = connect(), Rooms()
    for number in range(5):
        made = await client.ok("POST", "/datasources", {"name": f"field {number}", "type": "coap"})
        rooms.counted[made["id"]] = Meter({"received": 10**number})
    received = told(await scraped(bench, rooms), "iotgw_uplinks_received_total")
    assert len(received) == 3
    assert sum(received.values()) == 11111
    assert received['tenant="(others)",datasource="(others)"'] > 0
