"""An integration for some datasources, by their names, gets what waits for it: over a kill, a rename, and a deletion."""

import pytest

from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.process import wait_until


def test_what_waited_is_delivered_and_so_is_what_comes_later(tmp_path):
    sink = HttpSink(tmp_path / "sink", persistent=True)
    with Gateway(tmp_path / "gateway") as gateway:
        gateway.create("datasources", name="here", type="http", converter="json", routingKey="here")
        gateway.create(
            "integrations", name="out", type="http", configuration={"url": sink.url}, route={"datasources": ["here"]},
            retry={"initial": 0.1, "cap": 0.1},
        )  # fmt: skip
        for n in range(20):
            assert gateway.post("here", {"deviceName": "d", "n": n}).status < 300
        wait_until(lambda: gateway.api("GET", "/integrations/out/stats").json["queued"] == 20)
        gateway.kill()
        with sink:
            gateway.start()
            assert gateway.post("here", {"deviceName": "d", "n": 20}).status < 300
            wait_until(lambda: len(sink.documents) >= 21)
            assert {each["telemetry"][0]["values"]["n"] for each in sink.documents} == set(range(21))
            assert gateway.api("GET", "/integrations/out/stats").json["dropped"] == {}


def renamed(gateway):
    body = gateway.api("GET", "/datasources/here").json
    kept = {key: body[key] for key in ("type", "converter", "routingKey", "configuration")}
    assert gateway.api("PUT", "/datasources/here", {**kept, "name": "there"}).status == 200


def deleted(gateway):
    assert gateway.api("DELETE", "/datasources/here?backlog=drain").status in (200, 202)
    wait_until(lambda: gateway.api("GET", "/datasources/here").status == 404)


@pytest.mark.parametrize("change", [renamed, deleted])
def test_what_waits_is_delivered_although_its_datasource_is(tmp_path, change):
    sink = HttpSink(tmp_path / "sink", persistent=True)
    with Gateway(tmp_path / "gateway").start() as gateway:
        gateway.create("datasources", name="here", type="http", converter="json", routingKey="here")
        gateway.create(
            "integrations", name="out", type="http", configuration={"url": sink.url}, route={"datasources": ["here"]},
            retry={"initial": 0.1, "cap": 0.1},
        )  # fmt: skip
        for n in range(200):
            assert gateway.post("here", {"deviceName": f"d{n}", "n": n}).status < 300
        wait_until(lambda: gateway.api("GET", "/integrations/out/stats").json["queued"] == 200)
        change(gateway)
        with sink:
            wait_until(lambda: len(sink.documents) >= 200)
            assert gateway.api("GET", "/integrations/out/stats").json["dropped"] == {}
