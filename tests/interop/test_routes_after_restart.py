"""An integration for some datasources, by their names, gets what waited for it over a kill, though it is ready before they are."""

import pytest

from tests.peers.gateway import Gateway
from tests.peers.http_sink import HttpSink
from tests.peers.process import wait_until


@pytest.mark.parametrize("others", [0, 30])
def test_what_waited_is_delivered_and_so_is_what_comes_later(tmp_path, others):
    sink = HttpSink(tmp_path / "sink", persistent=True)
    with Gateway(tmp_path / "gateway") as gateway:
        for number in range(others):  # they are opened one after another
            gateway.create(
                "datasources", name=f"a{number}", type="http", converter="json", routingKey=f"key-{number}"
            )
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
