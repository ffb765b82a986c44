"""The three payloads of ThingsBoard's CoAP guide, by libcoap's client, to a broker, a web server and sshd."""

import json

import pytest

from tests.peers.coap import coap_client
from tests.peers.process import wait_until

TEXT = b"SN-001,default,temperature,25.7,humidity,69"
DOCUMENT = b'{"deviceName":"SN-001","deviceType":"default","temperature":25.7,"humidity":69}'
BINARY = b"\x53\x4e\x2d\x30\x30\x31\x64\x65\x66\x61\x75\x6c\x74\x32\x35\x2e\x37\x36\x39"

FROM_TEXT = """
function Decoder(payload, metadata) {
  var parts = decodeToString(payload).split(',');
  var values = {};
  for (var i = 2; i + 1 < parts.length; i += 2) { values[parts[i]] = Number(parts[i + 1]); }
  return {deviceName: parts[0], deviceType: parts[1], telemetry: values};
}
"""
FROM_DOCUMENT = """
var data = decodeToJson(payload);
return {
  deviceName: data.deviceName,
  deviceType: data.deviceType,
  telemetry: {temperature: data.temperature, humidity: data.humidity}
};
"""
FROM_BINARY = """
function Decoder(payload, metadata) {
  var text = decodeToString(payload);
  return {
    deviceName: text.substring(0, 6),
    deviceType: text.substring(6, 13),
    telemetry: {temperature: parseFloat(text.substring(13, 17)), humidity: parseFloat(text.substring(17, 19))}
  };
}
"""
PAYLOADS = {"text": (TEXT, FROM_TEXT), "document": (DOCUMENT, FROM_DOCUMENT), "binary": (BINARY, FROM_BINARY)}


def datasources(gateway):
    for key, (_, script) in PAYLOADS.items():
        gateway.create("converters", name=key, script=script)
        gateway.create(
            "datasources", name=key, type="coap", routingKey=key, converter=key, speaksFor="unproved",
            configuration={"port": gateway.coap_port},
        )  # fmt: skip


def send_all(gateway):
    for key, (payload, _) in PAYLOADS.items():
        printed = coap_client(f"coap://127.0.0.1:{gateway.coap_port}/i/{key}", payload)
        assert "4." not in printed.split("\n")[0], printed
        assert "5." not in printed.split("\n")[0], printed


def check(device):
    assert device["deviceName"] == "SN-001"
    assert device["deviceType"] == "default"
    assert [item["values"] for item in device["telemetry"]] == [{"temperature": 25.7, "humidity": 69}]


@pytest.fixture
def ready(gateway):
    datasources(gateway)
    return gateway


def test_each_payload_becomes_the_same_device_and_values(ready):
    send_all(ready)

    def converted():
        items = ready.messages()
        return items if len(items) == 3 and all(item["state"] == "converted" for item in items) else None

    for item in wait_until(converted, what="three converted messages"):
        assert len(item["output"]) == 1
        check(item["output"][0])
        assert item["metadata"]["remoteIp"] == "127.0.0.1"


def test_each_arrives_once_at_a_real_broker(ready, mosquitto):
    ready.create(
        "integrations",
        name="broker",
        type="mqtt",
        configuration={"host": "127.0.0.1", "port": mosquitto.port},
    )
    with mosquitto.subscribe() as subscriber:
        send_all(ready)
        wait_until(lambda: len(subscriber.messages) >= 3, what="three messages at mosquitto")
        assert_settled(ready, "broker", 3)
        assert len(subscriber.messages) == 3
        for document in subscriber.documents:
            check(document)


def test_each_arrives_once_at_a_real_web_server(ready, http_sink):
    ready.create("integrations", name="web", type="http", configuration={"url": f"{http_sink.url}/data"})
    send_all(ready)
    wait_until(lambda: len(http_sink.received) >= 3, what="three requests at the web server")
    assert_settled(ready, "web", 3)
    assert len(http_sink.received) == 3
    for document in http_sink.documents:
        check(document[0] if isinstance(document, list) else document)


def test_each_arrives_once_as_a_file_at_a_real_sshd(ready, sshd):
    ready.create(
        "integrations", name="files", type="sftp",
        configuration={
            "host": "127.0.0.1", "port": sshd.port, "username": "root",
            "path": f"{sshd.root}/{{{{ deviceName }}}}/{{{{ key }}}}.json",
            "privateKey": sshd.user_key.read_text(), "hostKeys": [sshd.host_public_key],
        },
    )  # fmt: skip
    send_all(ready)

    def documents():
        found = []
        for path in sorted(sshd.root.rglob("*.json")):
            content = json.loads(path.read_text())
            found += content if isinstance(content, list) else [content]
        return found

    wait_until(lambda: len(documents()) >= 3, what="three documents in files")
    assert_settled(ready, "files", 3)
    assert len(documents()) == 3
    assert not [path for path in sshd.root.rglob("*") if path.is_file() and path.suffix != ".json"]
    for document in documents():
        check(document)


def assert_settled(gateway, integration, count):
    """Every message says that it was delivered to the integration, once."""

    def delivered():
        items = gateway.messages()
        states = [
            each["state"]
            for item in items
            for each in item["deliveries"]
            if each["integration"] == integration
        ]
        return states == ["delivered"] * count

    wait_until(delivered, what=f"{count} deliveries in state delivered")
