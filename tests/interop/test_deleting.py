"""Deleting what has a backlog, while the gateway is killed: every message ends, and the journal can be trimmed."""

import http.client
import json
import random

import pytest

from tests.peers.gateway import Gateway
from tests.peers.process import wait_until

pytestmark = pytest.mark.interop

ROUNDS = 3
SLOW = """
var i, n = 0;
for (i = 0; i < 200000; i++) { n += i % 7; }
return {deviceName: "d", deviceType: "default", telemetry: {n: n}};
"""


LONGER = [("drain", "stop"), ("drop", "kill"), ("drop", "stop")]


def waiting(gateway):
    return gateway.api("GET", "/status").json["journal"]["waiting"]


def gone(gateway, collection, name):
    return gateway.api("GET", f"/{collection}/{name}").status == 404


@pytest.mark.parametrize(
    ("backlog", "end"),
    [("drain", "kill"), *(pytest.param(*each, marks=pytest.mark.interop) for each in LONGER)],
)
def test_a_deleted_datasource_s_messages_end_whatever_happens_to_the_gateway(tmp_path, backlog, end):
    dice = random.Random(3)
    gateway = Gateway(tmp_path / "gateway")
    total = 0
    with gateway.start():
        gateway.create("converters", name="slow", type="UPLINK", script=SLOW)
    for number in range(ROUNDS):
        with gateway.start():
            name = f"ds{number}"
            gateway.create("datasources", name=name, type="http", routingKey=name, converter="slow")
            for _ in range(60):
                assert gateway.post(name, b"{}").status == 204
            total += 60
            path = f"/datasources/{name}?backlog={backlog}"
            if dice.random() < 0.3:
                assert gateway.api("DELETE", path).status in (200, 202)
            else:
                delete_without_waiting(gateway, path)
            getattr(gateway, end)()
        with gateway.start():
            wait_until(lambda name=name: gone(gateway, "datasources", name), 30, "the datasource to go")
            assert waiting(gateway) == 0
            states = [message["state"] for message in gateway.all_messages()]
            assert len(states) == total
            assert "received" not in states
            if backlog == "drain":
                assert set(states) == {"converted"}


def test_an_integration_is_drained_over_kills_and_gets_nothing_newer(tmp_path, http_sink):
    gateway = Gateway(tmp_path / "gateway")
    with gateway.start():
        gateway.create("datasources", name="in", type="http", routingKey="in", converter="json")
        gateway.create("integrations", name="out", type="http", configuration={"url": f"{http_sink.url}/x"})
        http_sink.always({"status": 503, "headers": {"Retry-After": "1"}})
        for number in range(20):
            assert gateway.post("in", json.dumps({"deviceName": "d", "n": number}).encode()).status == 204
        wait_until(lambda: len(gateway.messages(state="converted")) == 20, what="the conversions")
        assert gateway.api("DELETE", "/integrations/out").json["state"] == "deleting"
        assert gateway.post("in", b'{"deviceName": "d", "n": 99}').status == 204
        gateway.kill()
    for _ in range(2):
        with gateway.start():
            assert gateway.api("GET", "/integrations/out").json["status"]["state"] == "deleting"
            gateway.kill()
    refused = len(http_sink.received)
    http_sink.always(None)
    with gateway.start():
        wait_until(lambda: gone(gateway, "integrations", "out"), 40, "the integration to go")
        numbers = [document["telemetry"][0]["values"]["n"] for document in http_sink.documents[refused:]]
        assert sorted(set(numbers)) == list(range(20))


def delete_without_waiting(gateway, path):
    """Send the request, wait until the decision is on disk, and hang up."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    connection.request("DELETE", f"/api/v1{path}", headers={"Authorization": f"Bearer {gateway.token}"})
    name = path.split("?")[0]

    def decided():
        answer = gateway.api("GET", name)
        return answer.status == 404 or json.loads(answer.body)["status"].get("state") == "deleting"

    wait_until(decided, 10, "the decision")
    connection.close()
