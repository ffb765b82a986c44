"""Where downlinks come from besides the API: what an integration's target says reaches the device."""

import json
import subprocess

from tests.peers.patience import HANGS
from tests.peers.process import find, wait_until

UPLINK = b'{"deviceName": "d", "t": 1}'


def publish(broker, topic, document):
    """One message from the command line of mosquitto."""
    subprocess.run(
        [find("mosquitto_pub"), "-p", str(broker.port), "-q", "1", "-t", topic, "-m", json.dumps(document)],
        check=True, timeout=HANGS,
    )  # fmt: skip


def integration(gateway, type_, **configuration):
    gateway.create("integrations", name=type_, type=type_, configuration=configuration)


def connected(gateway, name):
    wait_until(
        lambda: (
            gateway.api("GET", f"/integrations/{name}").json["status"]["target"].get("state") == "connected"
        ),
        what=f"{name} to be connected",
    )


def queued(gateway, count=1):
    """The device's items as soon as there are so many, oldest first."""

    def there():
        items = gateway.api("GET", "/devices/d/downlinks").json["items"]
        return items if len(items) == count else None

    return wait_until(there, 20, f"{count} items in the queue")


def devices(gateway):
    gateway.create("datasources", name="http", type="http", routingKey="key", converter="json")


def test_a_command_topic(gateway, mosquitto):
    devices(gateway)
    integration(gateway, "mqtt", host="127.0.0.1", port=mosquitto.port, topic="t", commandTopic="cmd/+/down")
    connected(gateway, "mqtt")
    publish(mosquitto, "cmd/d/down", {"msgType": "config", "msg": {"interval": 900}, "priority": 3})
    (item,) = queued(gateway)
    assert (item["msgType"], item["priority"]) == ("config", 3)
    assert gateway.post("key", UPLINK).json == {"interval": 900}


def test_a_thingsboard_rpc_and_shared_attributes(gateway, mosquitto):
    devices(gateway)
    integration(gateway, "thingsboard", host="127.0.0.1", port=mosquitto.port, token="T")
    connected(gateway, "thingsboard")
    rpc = {"id": 7, "method": "setInterval", "params": 60}
    publish(mosquitto, "v1/gateway/rpc", {"device": "d", "data": rpc})
    queued(gateway)
    publish(mosquitto, "v1/gateway/attributes", {"device": "d", "data": {"interval": 60}})
    assert [item["msgType"] for item in queued(gateway, 2)] == ["rpc", "attributes"]
    assert gateway.post("key", UPLINK).json == rpc
    assert gateway.post("key", UPLINK).json == {"interval": 60}


def test_the_response_of_an_http_integration(gateway, http_sink):
    devices(gateway)
    http_sink.script({"status": 200, "body": json.dumps({"data": "go", "contentType": "TEXT"})})
    integration(gateway, "http", url=http_sink.url, downlinks=True)
    assert gateway.post("key", UPLINK).status == 204
    queued(gateway)
    answer = gateway.post("key", UPLINK)
    assert (answer.status, answer.body) == (200, b"go")


def test_what_is_no_downlink_is_an_event(gateway, mosquitto):
    integration(gateway, "mqtt", host="127.0.0.1", port=mosquitto.port, topic="t", commandTopic="cmd/+")
    connected(gateway, "mqtt")
    publish(mosquitto, "cmd/d", {"msg": 1, "ttl": -5})
    event = wait_until(
        lambda: gateway.api("GET", "/events?type=downlink.refused").json["items"], what="the event"
    )[0]
    assert "ttl" in event["message"]
