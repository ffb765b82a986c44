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


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("change", [renamed, deleted])
def test_what_waits_is_delivered_although_its_datasource_is(tmp_path, change, is_killed):
    sink = HttpSink(tmp_path / "sink", persistent=True)
    with Gateway(tmp_path / "gateway").start() as gateway:
        gateway.create("datasources", name="here", type="http", converter="json", routingKey="here")
        for name in ("out", "more"):
            gateway.create(
                "integrations", name=name, type="http", configuration={"url": sink.url}, route={"datasources": ["here"]},
                retry={"initial": 0.1, "cap": 0.1},
            )  # fmt: skip
        for n in range(200):
            assert gateway.post("here", {"deviceName": f"d{n}", "n": n}).status < 300
        for name in ("out", "more"):
            wait_until(
                lambda name=name: gateway.api("GET", f"/integrations/{name}/stats").json["queued"] == 200
            )
        change(gateway)
        if is_killed:
            gateway.kill()
            gateway.start()
        if change is renamed:  # and so is what its devices go on to send
            assert gateway.post("here", {"deviceName": "d200", "n": 200}).status < 300
            assert gateway.api("GET", "/configuration").json["integration"][0]["route"] == {
                "datasources": ["there"]
            }
        wanted = set(range(201 if change is renamed else 200))
        with sink:
            for name in ("out", "more"):
                stats = f"/integrations/{name}/stats"
                wait_until(lambda stats=stats: gateway.api("GET", stats).json["delivered"] >= len(wanted))
                assert gateway.api("GET", stats).json["dropped"] == {}
            sent = [each["telemetry"][0]["values"]["n"] for each in sink.documents]
            assert set(sent) == wanted and all(sent.count(n) >= 2 for n in wanted)
